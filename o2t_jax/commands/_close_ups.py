"""A finished run's laws, from the survey that it was trained on and from close-ups of the flights found there.

From either there is the law in the network's weights and the law refined by bundle adjustment.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from o2t_jax.commands import _cpu
from o2t_jax.errors import UsageError

if TYPE_CHECKING:
    from o2t_jax.config import Config
    from o2t_jax.data.o2t.flight_source import FlightSource
    from o2t_jax.systems.o2t import O2TSystem
    from o2t_jax.training.checkpoint import Opened
    from o2t_jax.training.state import TrainState

MOST_CLOSE_UPS = 600  # of a world
SUFFIX = "-close-ups"  # of the folder beside a run's that keeps the law trained on close-ups


def read_and_refine(workdir: Path, refine_setups: int = 0, close_ups: int = MOST_CLOSE_UPS) -> dict[str, Any]:
    """The laws of a run: `weights_survey` and `refined_survey` from the survey, `weights` and `refined` from close-ups.

    Without close-ups both pairs are equal. The weights trained on close-ups are kept as a checkpoint beside the run
    (`SUFFIX`). The refined laws are None, with an `error`, where no flight can be fitted. `rendered` counts the
    pictures, `zooms` the close-ups among them.
    Args: `refine_setups`: setups whose flights are used, 0: those of the training; `close_ups`: at most, 0: none.
    Raises: UsageError where the run does not follow whole flights.
    """
    from o2t_jax.data.o2t.flight_source import FlightSource
    from o2t_jax.systems.o2t import build
    from o2t_jax.training.checkpoint import open_workdir

    opened = open_workdir(workdir)
    if opened.config.get("sampler") != "flights":
        raise UsageError(
            f"{workdir}: a refined law needs whole flights: a run with sampler=flights (config fall, room)"
        )
    _cpu.start_devices(opened.config.get("cpu_tuning", "on"), opened.config.device)
    system = build(opened.config)
    setups = range(refine_setups or opened.config.num_setups)
    record: dict[str, Any] = dict.fromkeys(("weights", "weights_survey"), _weights(system.read_law(opened.state)))
    source = system.source
    assert isinstance(source, FlightSource)
    try:
        record |= _refine(system, source, opened, setups, close_ups, workdir)
        cameras = sum(len(source.survey("train", setup).cameras) for setup in setups)
        record["rendered"] = cameras * opened.config.survey_times + record["zooms"]
    finally:
        close = getattr(source.renderer, "close", None)
        if close is not None:
            close()
    return record


def as_columns(refined: Mapping[str, Any]) -> dict[str, str]:
    """A refined law's record in a table."""
    half = refined["half_width"]
    return {
        "refined g0": f"{refined['g0']:.5f} +- {half[0]:.5f}",
        "refined alpha": f"{refined['alpha']:.4f} +- {half[1]:.4f}",
        "form": refined["form"] or "undetermined",
    }


def _weights(law: Mapping[str, Any]) -> dict[str, Any]:
    # Without a slope (heights span under 5 m) the best answer is a constant.
    return {"g0": law["g0"], "alpha": law["alpha"] or 0.0, "z_visited": law["z_visited"], "step": law["step"]}


def _refine(
    system: O2TSystem, source: FlightSource, opened: Opened, setups: range, most: int, workdir: Path
) -> dict[str, Any]:
    """The part of the record that needs pictures; see `read_and_refine`."""
    from o2t_jax.evaluation.o2t import close_ups
    from o2t_jax.evaluation.o2t.refined_law import refine_survey
    from o2t_jax.systems import o2t_close_ups
    from o2t_jax.systems.o2t_sights import O2TSights

    config, state = opened.config, opened.state
    network = O2TSights(system.model, state.params)
    try:
        windows = source.windows("train", setups)
        survey = refine_survey(network, windows, config.camera_size)
    except UsageError as error:
        return {"refined": None, "refined_survey": None, "zooms": 0, "error": str(error)}
    found = {**dict.fromkeys(("refined", "refined_survey"), survey.record()), "zooms": 0, "error": None}
    if not most:
        return found
    try:
        planned = close_ups.plan_close_ups(windows, survey, most, seed=config.seed)
        sightings = close_ups.measure_close_ups(network, source.renderer, planned, config.render_workers)
        found["zooms"] = len(planned.flight)
        refined = close_ups.refine_close_ups(planned, sightings)
        # The close-ups' interval is much the narrower one, unless the network saw the ball in too few of them.
        found["refined"] = min(refined, survey, key=lambda law: law.half_width[1]).record()
        state = o2t_close_ups.train_on_close_ups(state, planned, sightings)
        law = system.read_law(state)
        found["weights"] = _weights(law)
        _keep(workdir.with_name(workdir.name + SUFFIX), config, state, law)
    except UsageError as error:  # the survey's laws are still valid
        found["zoom_error"] = str(error)
    return found


def _keep(folder: Path, config: Config, state: TrainState, law: Mapping[str, Any]) -> None:
    """Saves a checkpoint that `experiments.law --workdir=FOLDER` reads, in place of an earlier one."""
    from o2t_jax.training.checkpoint import Checkpoints

    shutil.rmtree(folder, ignore_errors=True)
    with Checkpoints(folder, keep_latest=1) as checkpoints:
        meta = {"system": config.system}
        checkpoints.save(int(state.step), state, config=config, meta=meta, readouts={"law": law})
