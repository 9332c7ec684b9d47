"""System `motion`: its config refuses what cannot be, in a line; guesses, losses and what is known from words alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.commands._config import load_config
from o2t_jax.errors import UsageError
from o2t_jax.models.motion.gate import GATES
from o2t_jax.models.motion.model import MODELS
from o2t_jax.models.motion.ssm import SCANS
from o2t_jax.models.motion.text import ENCODERS, word_numbers
from o2t_jax.systems import motion_config
from o2t_jax.systems.base import build_system
from o2t_jax.systems.motion import Motion
from o2t_jax.systems.motion_data import standing
from o2t_jax.systems.motion_words import CONTINUED, FOUND, MODEL, REDRAWN, TRUTH, found_by_words
from o2t_jax.training.state import Initial


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"model": "physic"}, "did you mean 'physics'"),
        ({"gate": "half"}, "gate"),
        ({"given": 2}, "given=2 must be at least 4"),
        ({"least": 8}, "least=8 frames of a clip: more than given=8"),
        ({"least": 80}, "at most given plus horizon=56"),
        ({"lambda_physics": -1.0}, "lambda_physics=-1 must not be negative"),
        ({"prefix_dropout": 1.5}, "prefix_dropout=1.5 must be 0 to 1"),
        ({"noise": float("nan")}, "noise=nan is not a finite number"),
        ({"model": "motion", "shuffled": True}, "shuffled=True needs a physics layer"),
        ({"text": "transformer", "width": 6}, "width=6 is not divisible"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(fields, words) -> None:
    config = motion_config.default()
    config.update(fields)
    with pytest.raises(UsageError) as error:
        build_system(config)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_names_in_the_config_are_those_of_the_parts() -> None:
    assert set(motion_config.GATES) == set(GATES) and set(motion_config.MODELS) == set(MODELS)
    assert set(motion_config.TEXTS) == set(ENCODERS) and set(motion_config.SCANS) == set(SCANS)


class Walks:
    """A source of clips that costs no compilation: a standing body that jitters along."""

    def make(self, split: str, indices: np.ndarray) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(len(split))
        steps = rng.normal(0.0, 0.01, (len(indices), 16, 21, 3)) + rng.normal(0.0, 0.05, (len(indices), 1, 1, 3))
        clips = standing() + np.cumsum(steps, axis=1)
        return {"positions": clips.astype(np.float32), "label": indices % 8, "style": indices % 3}


def made(**changes: Any) -> Motion:
    """The system of the smoke config, on other clips."""
    _, config = load_config("motion/cpu:smoke")
    config.update(changes)
    system: Any = build_system(config)
    system.data.source = Walks()
    return system


@pytest.fixture(scope="module")
def small() -> tuple[Motion, Any]:
    """The smoke config, and its parameters."""
    system = made()
    return system, Initial(system.init, system.tx, (0,)).make().params


def test_the_first_guess_is_the_base_and_no_clip_is_its_own(small) -> None:
    system, params = small
    batch = system.batch("train", np.arange(4))
    predicted = np.asarray(system.predict(params, {}, batch))
    given = system.config.given
    # The mean of several clips has shorter bones than a person.
    assert np.mean(np.abs(predicted - batch["base"][:, given:])) < 0.05
    assert np.all(np.abs(batch["base"] - batch["positions"])[:, given:].max((1, 2, 3)) > 1e-4)
    np.testing.assert_array_equal(batch["base"][:, :given], batch["positions"][:, :given])


def test_words_alone_make_a_clip(small) -> None:
    system, params = small
    words = np.stack([word_numbers(system.data.sentence(0, 0))] * 2)
    clips = np.asarray(jax.jit(system.said)(params, words, system.nothing(2)))
    assert clips.shape == (2, 16, 21, 3) and np.all(np.isfinite(clips))
    np.testing.assert_array_equal(clips[0], clips[1])


def test_words_alone_never_see_frames() -> None:
    """With all prefixes dropped the loss has no gradient by what the model is given, only by what it is compared to:
    another clip of other first frames is predicted alike."""
    system = made(prefix_dropout=1.0, latent=0, lambda_physics=0.0)
    params = Initial(system.init, system.tx, (0,)).make().params
    params = jax.tree.map(lambda x: x + 0.01, params)  # the last map is zero at first
    batch = {name: jnp.asarray(x) for name, x in system.batch("train", np.arange(2)).items()}
    keys = jax.random.split(jax.random.key(0), 2)
    slope = jax.jit(jax.grad(lambda base: system.loss(params, {}, {**batch, "base": base}, keys, jnp.int32(0))[0]))
    assert not np.any(slope(batch["base"]))
    batch["mask"] = batch["mask"].at[:, : system.config.given].set(0.0)
    of_truth = jax.jit(
        jax.grad(lambda clip: system.loss(params, {}, {**batch, "positions": clip}, keys, jnp.int32(0))[0])
    )(batch["positions"])
    given = system.config.given
    assert not np.any(of_truth[:, : given - 1]) and np.any(of_truth[:, given:])


def test_what_is_drawn_for_words_follows_what_they_allow(small) -> None:
    system, params = small
    words = np.stack([word_numbers(system.data.sentence(label, 0)) for label in (0, 0, 1)])
    dice = np.array([[1.0, -1.0], [0.0, 0.0], [0.0, 0.0]])
    latent, moments = system.of_words(params, words, dice), system.expected(params, words)
    np.testing.assert_allclose(latent[1:], moments.mean[1:])
    np.testing.assert_allclose(latent[0] - latent[1], dice[0] * np.exp(moments.log_scale[0]), rtol=1e-5)
    assert np.any(latent[1] != latent[2])


def test_words_find_training_clips_of_their_class_and_style() -> None:
    system = made()
    found = found_by_words(system.data, "test", np.random.default_rng(0))
    train, test = system.data.windows("train"), system.data.windows("test")
    same = (train.label[found] == test.label) & (train.style[found] == test.style)
    cells = set(zip(train.label.tolist(), train.style.tolist(), strict=True))
    known = [cell in cells for cell in zip(test.label.tolist(), test.style.tolist(), strict=True)]
    assert np.array_equal(same, known) and np.any(known)
    # Where no clip has both, one of the two words is found.
    assert np.all((train.label[found] == test.label) | (train.style[found] == test.style))


def test_shares_of_what_is_heard_stand_beside_those_of_true_clips(small) -> None:
    system, params = small
    found = dict(system.evaluators["text"](SimpleNamespace(params=params)))
    rows = {row["row"]: row for row in found["rows"].rows}
    assert next(iter(rows)) == MODEL and {REDRAWN, CONTINUED, FOUND, TRUTH} <= set(rows)
    assert found["asked"].value == rows[MODEL]["asked"] and found["ceiling"].value == rows[TRUTH]["asked"]
    assert all(0.0 <= row[name] <= 1.0 for row in rows.values() for name in ("asked", "asked_moving", "asked_style"))
    assert found["best_of_draws"].value <= found["mse"].value
    compared = {row["row"]: row for row in found["embedding"].rows}
    assert set(compared) == set(rows) and compared[TRUTH]["frechet"] == pytest.approx(0.0, abs=1e-6)
    for row in compared.values():
        assert 0.0 <= row["r_precision_1"] <= row["r_precision_2"] <= row["r_precision_3"] <= 1.0
        assert row["matched_distance"] > 0.0 and row["frechet"] >= 0.0


def test_shuffled_physics_is_that_of_another_clip() -> None:
    system = made(shuffled=True)
    assert "donor" in system.sample_spec
    rows = np.arange(32)
    batch = system.batch("train", rows)
    own = np.all(batch["donor"] == batch["positions"][:, : system.config.given], axis=(1, 2, 3))
    assert np.mean(own) < 0.2


def test_frames_that_are_not_there_are_not_learned(small) -> None:
    """The loss of a short clip does not depend on what its window is filled with."""
    system, params = small
    batch = {name: jnp.asarray(x) for name, x in system.batch("train", np.arange(2)).items()}
    batch["mask"] = batch["mask"].at[:, 12:].set(0.0)
    keys = jax.random.split(jax.random.key(0), 2)
    loss = jax.jit(lambda positions: system.loss(params, {}, {**batch, "positions": positions}, keys, jnp.int32(0))[0])
    filled = batch["positions"].at[:, 12:].add(3.0)
    np.testing.assert_allclose(loss(batch["positions"]), loss(filled), rtol=1e-5)
