"""A finished run's laws by two looks: the survey it was trained on, and close-ups of the flights found there.

Of either look there is the law in the network's weights and the one refined by bundle adjustment.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments import _cpu
from o2t_jax.errors import UsageError

ZOOMS = 600  # close-ups a world at most
CLOSE_UPS = "-close-ups"  # of a run's folder: beside it lies the one with the law that was trained on close-ups


def read_and_refine(workdir: Path, refine_setups: int = 0, zooms: int = ZOOMS) -> dict[str, Any]:
    """The laws of a run, by its two looks: `weights_survey`, `refined_survey`, and with close-ups `weights`, `refined`.

    The weights' law from close-ups is kept as a checkpoint beside the run (`CLOSE_UPS`); without them both pairs are
    alike. Refined ones are None, with an `error`, where no flight can be fitted; `rendered` counts pictures, `zooms`
    those close-up.
    Args: `refine_setups`: setups whose flights are used, 0: those of the training; `zooms`: most close-ups, 0: none.
    """
    from o2t_jax.systems.base import build_system
    from o2t_jax.training.checkpoint import open_workdir

    opened = open_workdir(workdir)
    _cpu.start_devices(opened.config.get("cpu_tuning", "on"), opened.config.device)
    system: Any = build_system(opened.config)
    setups = range(refine_setups or opened.config.num_setups)
    record: dict[str, Any] = dict.fromkeys(("weights", "weights_survey"), _weights(system.read_law(opened.state)))
    try:
        record |= _second_look(system, opened, setups, zooms, workdir)
        cameras = sum(len(system.source.survey("train", setup).cameras) for setup in setups)
        record["rendered"] = cameras * opened.config.survey_times + record["zooms"]
    finally:
        close = getattr(system.source.renderer, "close", None)
        if close is not None:
            close()
    return record


def as_columns(refined: Mapping[str, Any]) -> dict[str, str]:
    """A refined law's record in a table."""
    half = refined["half_width"]
    return {
        "refined g0": f"{refined['g0']:.5f} +- {half[0]:.5f}",
        "refined alpha": f"{refined['alpha']:.4f} +- {half[1]:.4f}",
        "form": refined["form"] or "cannot tell",
    }


def _weights(law: Mapping[str, Any]) -> dict[str, Any]:
    # Without a slope (heights span under 5 m) the best answer is a constant.
    return {"g0": law["g0"], "alpha": law["alpha"] or 0.0, "z_visited": law["z_visited"], "step": law["step"]}


def _second_look(system: Any, opened: Any, setups: range, most: int, workdir: Path) -> dict[str, Any]:
    """What of the record needs pictures; see `read_and_refine`."""
    from o2t_jax.evaluation.o2t import close_ups
    from o2t_jax.evaluation.o2t.refined_law import refine_run
    from o2t_jax.systems import o2t_close_ups

    state = opened.state
    try:
        windows = system.source.windows("train", setups)
        survey = refine_run(system, state, windows)
    except UsageError as error:
        return {"refined": None, "refined_survey": None, "zooms": 0, "error": str(error)}
    found = {**dict.fromkeys(("refined", "refined_survey"), survey.record()), "zooms": 0, "error": None}
    if not most:
        return found
    try:
        zooms, sightings = close_ups.take_close_ups(system, state, windows, survey, most)
        found["zooms"] = len(zooms.flight)
        zoomed = close_ups.refine_close_ups(zooms, sightings)
        # The close-ups' by far, unless the network saw too few.
        found["refined"] = min(zoomed, survey, key=lambda law: law.half_width[1]).record()
        state = o2t_close_ups.train_on_close_ups(state, zooms, sightings)
        law = system.read_law(state)
        found["weights"] = _weights(law)
        _keep(workdir.with_name(workdir.name + CLOSE_UPS), opened.config, state, law)
    except UsageError as error:  # the survey's laws still stand
        found["zoom_error"] = str(error)
    return found


def _keep(folder: Path, config: Any, state: Any, law: Mapping[str, Any]) -> None:
    """A checkpoint that `experiments.law --workdir=FOLDER` reads; one of an earlier second look goes."""
    from o2t_jax.training.checkpoint import Checkpoints

    shutil.rmtree(folder, ignore_errors=True)
    with Checkpoints(folder, keep_latest=1) as checkpoints:
        meta = {"system": config.system}
        checkpoints.save(int(state.step), state, config=config, meta=meta, readouts={"law": law})
