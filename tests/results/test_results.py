"""Results: invalid ones are rejected, and the JSON form round-trips."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from o2t_jax import results
from o2t_jax.results import Column, Curve, Film, Picture, Scalar, Score, ScoreCurve, ScoreTable, Table

numbers = st.floats(width=64)
names = st.text(min_size=1, max_size=8)
better = st.sampled_from(["lower", "higher"])
known = st.floats(allow_nan=False)


@st.composite
def scalars(draw):
    low, value, high = sorted(draw(st.tuples(known, known, known)))
    value, interval = draw(st.one_of(st.tuples(numbers, st.just({})), st.just((value, {"low": low, "high": high}))))
    if not draw(st.booleans()):
        return Scalar(value, draw(st.text()), **interval)
    baselines = draw(st.dictionaries(names, known, min_size=1, max_size=4))
    method = draw(st.text().filter(lambda text: text not in baselines))
    return Score(value, draw(st.text()), **interval, baselines=baselines, better=draw(better), method=method)


@st.composite
def curves(draw):
    x = sorted(draw(st.sets(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=6)))
    ys = arrays.arrays(np.float64, len(x), elements=numbers)
    labels = dict(zip(("x_label", "y_label", "x_unit", "y_unit"), draw(st.tuples(*[st.text()] * 4)), strict=True))
    if draw(st.booleans()):
        stacked = np.sort(draw(arrays.arrays(np.float64, (3, len(x)), elements=known)), axis=0)
        labels |= {"low": stacked[0], "high": stacked[2]}
        y = stacked[1]
    else:
        y = draw(ys)
    if draw(st.booleans()):
        labels["truth"] = draw(ys)
    if draw(st.booleans()):
        return Curve(x, y, **labels)
    baselines = draw(st.dictionaries(names, ys, min_size=1, max_size=3))
    return ScoreCurve(x, y, **labels, baselines=baselines, better=draw(better))


@st.composite
def tables(draw):
    specs = st.sampled_from(["", ".2f", ".0%", "d"])
    columns = draw(st.dictionaries(names, st.builds(Column, st.text(), specs, st.booleans()), min_size=1, max_size=4))
    cells = st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), numbers, st.text())
    rows = draw(st.lists(st.fixed_dictionaries(dict.fromkeys(columns, cells)), max_size=4))
    if draw(st.booleans()):
        return Table(columns, rows)
    column = draw(names.filter(lambda name: name not in columns))
    rows = [{**row, column: method} for row in rows for method in ("still", "ours")]
    columns = {**columns, column: Column()}
    return ScoreTable(columns, rows, baselines=("still",), better="lower", method="ours", method_column=column)


@given(st.one_of(scalars(), curves(), tables()))
@example(Scalar(0.0, "inf"))
def test_json_gives_back_every_field(result):
    text = json.dumps(results.to_json(result), allow_nan=False)
    again = results.from_json(json.loads(text))
    assert again == result and type(again) is type(result)
    assert json.dumps(results.to_json(again), allow_nan=False) == text


@given(st.one_of(scalars(), curves(), tables()), st.one_of(scalars(), curves(), tables()))
def test_equality_is_of_values(one, other):
    """Two results are equal exactly when their files are (an int and a float that print alike differ)."""
    same = type(one) is type(other) and json.dumps(results.to_json(one)) == json.dumps(results.to_json(other))
    assert (one == other) == same


def test_a_changed_field_is_another_result():
    curve = Curve([0, 1], [math.nan, 2])
    assert curve == Curve([0, 1], [math.nan, 2])
    for change in (
        {"y": [1.0, 2.0]},
        {"x_unit": "s"},
        {"low": [math.nan, 1], "high": [math.nan, 2]},
        {"truth": [1, 2]},
    ):
        assert curve != dataclasses.replace(curve, **change)


@pytest.mark.parametrize(
    ("make", "fields"),
    [
        (Score, {"value": 1.0}),
        (ScoreCurve, {"x": [0.0], "y": [1.0]}),
        (ScoreTable, {"columns": {"method": Column()}, "rows": [{"method": "ours"}]}),
    ],
)
def test_what_is_judged_needs_its_baselines(make, fields):
    with pytest.raises(TypeError, match="baselines"):
        make(**fields, better="lower", method="ours")
    with pytest.raises(ValueError, match="baselines is empty"):
        make(**fields, better="lower", method="ours", baselines=())
    with pytest.raises(TypeError, match="better"):
        make(**fields, baselines={"still": 1.0})


def table(*methods, by=(), **fields):
    rows = [{"n": n, "method": method} for n, method in methods]
    columns = {"n": Column("steps"), "method": Column()}
    return ScoreTable(columns, rows, **{"baselines": ("still",), "better": "lower", "method": "ours", **fields}, by=by)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Scalar("1"), "value is a str"),
        (lambda: Scalar(True), "value is a bool"),
        (lambda: Scalar(np.zeros(1)), r"ndarray of shape \[1\]"),
        (lambda: Scalar(1.0, low=0.0), "both low and high"),
        (lambda: Scalar(1.0, low=2.0, high=3.0), "low=2.0 <= value=1.0"),
        (lambda: Scalar(1.0, low=math.nan, high=3.0), "leave out"),
        (lambda: Scalar(1.0, unit=None), "unit=None"),
        (lambda: Score(1.0, baselines={"still": math.nan}, better="lower"), "every baseline is NaN"),
        (lambda: Score(1.0, baselines={"still": "x"}, better="lower"), "baseline 'still' is a str"),
        (lambda: Score(1.0, baselines={"still": 1.0}, better="less"), "'lower' or 'higher'"),
        (lambda: Score(1.0, baselines={"ours": 1.0}, better="lower", method="ours"), "name of a baseline"),
        (lambda: Picture(np.zeros((2, 2, 3))), r"float64\[2, 2, 3\]: it must be uint8 \[H, W, 3\]"),
        (lambda: Picture(np.zeros((2, 2, 2, 3), np.uint8)), r"uint8\[2, 2, 2, 3\]"),
        (lambda: Picture(np.zeros((0, 2, 3), np.uint8)), "size 0"),
        (lambda: Film(np.zeros((2, 2, 3), np.uint8), 10), r"\[T, H, W, 3\]"),
        (lambda: Film(np.zeros((2, 2, 2, 3), np.uint8), 0), "fps=0.0"),
        (lambda: Film(np.zeros((2, 2, 2, 3), np.uint8), math.inf), "fps=inf"),
        (lambda: Curve([0, 1], [1]), "y has 1 numbers, x has 2"),
        (lambda: Curve([], []), "N at least 1"),
        (lambda: Curve([0, 0], [1, 2]), "rise"),
        (lambda: Curve([0, math.nan], [1, 2]), "finite"),
        (lambda: Curve([0], [1], low=[2], high=[3]), "low=2.0 <= value=1.0"),
        (lambda: Curve([0], [1], high=[3]), "both low and high"),
        (lambda: Curve([0], [1], truth=[1, 2]), "truth has 2 numbers, x has 1"),
        (lambda: ScoreCurve([0], [1], baselines={"still": [1, 2]}, better="lower"), "baseline 'still' has 2"),
        (
            lambda: ScoreCurve([0], [1], truth=[1], baselines={"truth": [1]}, better="lower"),
            "a baseline is named 'truth'",
        ),
        (lambda: Table({"n": "steps"}, []), "column 'n' is a str"),
        (lambda: Table({}, []), "columns is empty"),
        (lambda: Table({"n": Column()}, [{"n": 1}, {"m": 2}]), "row 1 and columns differ by 'm', 'n'"),
        (lambda: Table({"n": Column()}, [{"n": [1]}]), "row 0, column 'n' holds a list"),
        (lambda: Column(spec="x.2"), "not a number format"),
        (lambda: table((1, "ours")), "the table has no row of a baseline"),
        (lambda: table((1, "ours"), (1, "still"), (2, "ours"), by=("n",)), "n=2 has no row of a baseline"),
        (lambda: table((1, "still"), by=("m",)), "'m' is not a column"),
        (lambda: table((1, "still"), method=""), "method='' must be"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(make, says):
    with pytest.raises(ValueError, match=says) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_scores_know_whether_they_beat_every_baseline():
    rows = {"still": 2.0, "straight": 1.0, "unknown": math.nan}
    error = Score(0.9, baselines=rows, better="lower")
    assert error.best_baseline() == ("straight", 1.0) and error.beats_baselines
    psnr = dataclasses.replace(error, better="higher", value=1.5)
    assert psnr.best_baseline() == ("still", 2.0) and not psnr.beats_baselines
    assert not dataclasses.replace(error, value=math.nan).beats_baselines


def test_a_tie_at_zero_is_known_from_a_defeat():
    """Only where 0 is the best there is, and both have it."""
    missed = Score(0.0, baselines={"repeat": 0.0, "still": 0.5}, better="lower")
    assert missed.ties_at_zero and not missed.beats_baselines
    assert not dataclasses.replace(missed, better="higher").ties_at_zero
    assert not dataclasses.replace(missed, value=0.1).ties_at_zero
    assert not dataclasses.replace(missed, baselines={"repeat": 0.2}).ties_at_zero


def test_logs_keep_scalars_and_scores_with_their_baselines():
    score = Score(0.9, baselines={"still": 2.0, "lost": math.inf}, better="lower")
    assert results.scalars("test/loss", score) == {"test/loss": 0.9, "test/loss/still": 2.0}
    named = dataclasses.replace(score, method="O2T")
    assert results.scalars("test/psnr", named) == {"test/psnr/O2T": 0.9, "test/psnr/still": 2.0}
    assert results.scalars("test/x", Scalar(np.float32(0.5))) == {"test/x": 0.5}
    assert results.scalars("test/curve", Curve([0], [1])) == {}


def test_what_is_kept_cannot_be_changed_through_the_result():
    y = np.array([1.0, 2.0])
    curve, picture = Curve([0, 1], y), Picture(np.zeros((2, 2, 3), np.uint8))
    y[0] = 5.0
    assert curve.y[0] == 1.0
    for array in (curve.y, picture.pixels):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 7


def test_foreign_json_and_foreign_values_are_refused():
    with pytest.raises(ValueError, match="a picture has no JSON form"):
        results.to_json(Picture(np.zeros((2, 2, 3), np.uint8)))
    for value in ({}, {"kind": "film"}, {"kind": "curve", "x": [0]}, {"kind": "table", "columns": {"n": {}}}):
        with pytest.raises(ValueError, match=r"unknown|not a valid curve|not a valid table"):
            results.from_json(value)
    found = {}
    assert results.keep(found, "loss", Scalar(0.5)) is found["loss"]
    with pytest.raises(TypeError, match="'loss' is a float: yield a Scalar"):
        results.keep(found, "loss", 0.5)
    with pytest.raises(ValueError, match="'loss' is yielded twice"):
        results.keep(found, "loss", Scalar(0.5))


def test_nan_equals_nan_whatever_its_bits():
    def curve(nan: float) -> results.Curve:
        return results.Curve(np.arange(2), np.array([nan, 1.0]))

    assert curve(np.nan) == curve(-np.nan) != curve(0.0)
