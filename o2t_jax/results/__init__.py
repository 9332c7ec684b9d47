"""The results that an evaluator yields: a small union of types, checked on construction. Needs only numpy.

    Scalar       one number, perhaps with an interval           Score       a Scalar compared with its baselines
    Curve        y over x, perhaps with a band                  ScoreCurve  a Curve compared with its baselines
    Table        rows with named, unit-bearing columns          ScoreTable  a Table whose rows include baselines
    Picture      uint8 [H, W, 3]                                Film        uint8 [T, H, W, 3] at `fps` frames/s

A prediction's error and an agent's return are always a Score, ScoreCurve or ScoreTable: these cannot be made without
`baselines`, the rows of methods that learn nothing (the last picture repeated, an agent that does nothing).

Numbers may be NaN (not defined) or infinite (a rollout that left the world); the x of a curve must be finite.
`to_json` and `from_json` keep every field, NaN and infinities included, in plain JSON.

An evaluator is a callable that yields names and results:

    def rollout(state):
        error = errors(state)  # [steps]
        yield "mse", Score(error.mean(), "px²", baselines={"copy last": still.mean()}, better="lower")
        yield "mse_over_time", ScoreCurve(t, error, x_unit="s", baselines={"copy last": still}, better="lower")
        yield "film", Film(frames, fps=10, caption="truth, prediction")
"""

from o2t_jax.results.checks import Cell
from o2t_jax.results.json_form import from_json, to_json
from o2t_jax.results.kinds import (
    Better,
    Column,
    Curve,
    Film,
    Picture,
    Result,
    Scalar,
    Score,
    ScoreCurve,
    ScoreTable,
    Table,
    keep,
    kind_of,
    scalars,
)
from o2t_jax.results.seeds import known_of_seeds, over_seeds

__all__ = [
    "Better",
    "Cell",
    "Column",
    "Curve",
    "Film",
    "Picture",
    "Result",
    "Scalar",
    "Score",
    "ScoreCurve",
    "ScoreTable",
    "Table",
    "from_json",
    "keep",
    "kind_of",
    "known_of_seeds",
    "over_seeds",
    "scalars",
    "to_json",
]
