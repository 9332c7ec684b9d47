"""A learned pendulum pushed from Python: the lines of docs/dynamics.md, and what they must not accept."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from o2t_jax.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def names():
    """What the page's lines leave, run where a reader runs them: in the repository's folder."""
    (code,) = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "docs" / "dynamics.md").read_text(), re.MULTILINE | re.DOTALL
    )
    found: dict = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        exec(code, found)
    return found


def test_the_lines_show_a_model_that_follows_its_world(names):
    rolled = names["rolled"]
    assert rolled.true.shape == rolled.model.shape == (41, 2) and rolled.time[-1] == pytest.approx(4.0)
    np.testing.assert_allclose(rolled.model[0], rolled.true[0], atol=1e-5)
    assert np.abs(rolled.model - rolled.true)[:, 0].max() < 0.2 < np.ptp(rolled.true[:, 0])


def test_a_push_acts_on_world_and_model_alike(names):
    """Against the same start left alone: by no more than the first push at first, and in its direction."""
    view = names["view"]
    pushed, left = view.roll([[2.0]] * 3), view.roll(np.zeros((3, 1)))
    change = np.array([pushed.true - left.true, pushed.model - left.model])
    assert np.all(change[:, 0] == 0) and np.all(change[:, 1:, 1] > 0.15)
    np.testing.assert_allclose(change[1], change[0], atol=0.1)


@pytest.mark.parametrize(
    ("pushes", "start", "line"),
    [([1.0, 2.0], 0, "must be"), ([[1.0, 2.0]], 0, "must be"), ([[np.nan]], 0, "finite"), ([[0.0]], 200, "0 to 199")],
)
def test_pushes_that_are_none_are_refused(names, pushes, start, line):
    with pytest.raises(UsageError, match=line):
        names["view"].roll(pushes, start)
