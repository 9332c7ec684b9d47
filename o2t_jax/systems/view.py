"""What a viewer shows of a run: controls, and a pure function from their values to pictures, curves and numbers.

A view knows no browser. `experiments.view` draws its controls and what it shows; a new view is one file that implements
`View` and one line in `VIEWS`. Importing this module needs no JAX.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import numpy as np
from jaxtyping import Float, UInt8

from o2t_jax.config import Config
from o2t_jax.errors import UsageError
from o2t_jax.registry import Registry
from o2t_jax.training.state import TrainState

Values = Mapping[str, float]
"""The value of each control, by its name."""


class Slider(NamedTuple):
    """A number from `low` to `high` in steps of `step`; where `anew`, the motion begins again once it is moved."""

    label: str
    unit: str
    low: float
    high: float
    step: float
    start: float
    anew: bool = False


class Choice(NamedTuple):
    """One of `options`, text -> number, drawn as buttons."""

    label: str
    options: Mapping[str, float]
    start: float


class Chart(NamedTuple):
    """Lines [N, 2] of (x, y), by name; `now`, an x that is marked."""

    title: str
    x_label: str
    y_label: str
    lines: Mapping[str, Float[np.ndarray, "points 2"]]
    now: float | None = None


class Shown(NamedTuple):
    """Pictures uint8 [H, W, 3] by their titles, charts, and facts by their names; `given`, pictures of less interest
    that the model was told, drawn small."""

    pictures: Mapping[str, UInt8[np.ndarray, "H W 3"]]
    charts: tuple[Chart, ...]
    facts: Mapping[str, str]
    given: Mapping[str, UInt8[np.ndarray, "H W 3"]] = MappingProxyType({})


class View(Protocol):
    """What can be moved and what is then seen. Pure: the state is the caller's.

    Attributes: `title`; `controls` by name, in their order; `period` s of the motion from one frame to the next.
    """

    @property
    def title(self) -> str: ...

    @property
    def controls(self) -> Mapping[str, Slider | Choice]: ...

    @property
    def period(self) -> float: ...

    def begin(self, values: Values) -> Any:
        """The state from which the motion is played."""
        ...

    def advance(self, state: Any, values: Values) -> tuple[Any, Values]:
        """State and values a `period` later."""
        ...

    def show(self, state: Any, values: Values) -> Shown:
        """What is seen."""
        ...


class TrainedRun(Protocol):
    """What a view needs of a run: the part of `o2t_jax.loading.Run` that it uses."""

    workdir: Path
    step: int
    config: Config
    state: TrainState
    readouts: dict[str, Any]

    @property
    def system(self) -> Any: ...


VIEWS: Registry[Callable[[TrainedRun], View]] = Registry(
    "view",
    {
        "dynamics": "o2t_jax.systems.dynamics_view:DynamicsView",
        "o2t": "o2t_jax.systems.o2t_view:O2TView",
    },
)


def start_values(view: View) -> dict[str, float]:
    """The values that a view's controls begin with."""
    return {name: control.start for name, control in view.controls.items()}


def check_has_view(system: str, where: str) -> None:
    """Raises: UsageError for a system without a view, with those that have one."""
    if system not in VIEWS:
        raise UsageError(
            f"{where} is a run of system {system!r}, which has no view: "
            f"give one of {', '.join(VIEWS)}, or a folder of python -m experiments.recording"
        )


__all__ = [
    "VIEWS",
    "Chart",
    "Choice",
    "Shown",
    "Slider",
    "TrainedRun",
    "Values",
    "View",
    "check_has_view",
    "start_values",
]
