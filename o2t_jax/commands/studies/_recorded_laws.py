"""The law of each recording: fitted value, interval, and what is known of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from o2t_jax.data.recorded.recording import Recording
from o2t_jax.evaluation.recorded import drops, oscillations, pendulums, planets
from o2t_jax.evaluation.recorded.intervals import Estimate

EVERY = 25  # days between two accelerations of the planets


def row(
    law: str, found: Estimate | float, known: float | None = None, unit: str = "", note: str = ""
) -> dict[str, Any]:
    """One line of the table; `error` in % of the known value."""
    value = found.value if isinstance(found, Estimate) else float(found)
    interval = (found.low, found.high) if isinstance(found, Estimate) else (None, None)
    error = None if known is None else 100 * (value / known - 1)
    return {
        "law": law,
        "value": value,
        "low": interval[0],
        "high": interval[1],
        "unit": unit,
        "known": known,
        "error": error,
        "note": note,
    }


def of_lengths(recording: Recording, draws: int) -> dict[str, Any]:
    """g from the difference of two pendulums' T^2."""
    known = recording.known["g"].value
    lengths = [track.values["length"] for track in recording.tracks]
    swings = [pendulums.fit_swing(track.times, track.states[:, :2], draws) for track in recording.tracks]
    radii = [
        float(np.mean(track.states[:, 2])) / swing.scale * length
        for track, swing, length in zip(recording.tracks, swings, lengths, strict=True)
    ]
    periods = [pendulums.crossing_period(track.times, track.states[:, 0]) for track in recording.tracks]
    found = pendulums.gravity(lengths, swings, radii, periods)
    unit = "m/s^2"
    rows = [
        row("g, timing alone", found.value, known, unit, "amplitude, damping and the ball's inertia corrected"),
        row("g, lengths read to 0.5 cm", found.with_reading, known, unit, "the same, with the error of whole cm"),
        row("g, ball as a point", found.point_mass, known, unit, "without the ball's inertia"),
        row("g, small swings, ball as a point", found.small_swings, known, unit, "periods from zero crossings"),
    ]
    names = ("period", "damping", "amplitude", "last", "rms")
    films = {t.name: {name: getattr(s, name) for name in names} for t, s in zip(recording.tracks, swings, strict=True)}
    return {"laws": rows, "films": films, "radii": radii}


def of_drops(recording: Recording, draws: int) -> dict[str, Any]:
    """One g for all drops, a drag for each kind of ball."""
    known = recording.known["g"].value
    falls = [
        drops.Drop(
            track.name.rsplit(" ", 1)[0],
            track.times,
            track.states[:, 0],
            np.pi * track.values["radius"] ** 2 / track.values["mass"] if track.values else None,
        )
        for track in recording.tracks
    ]
    rows, drags = [], {}
    for name, how in (
        ("free drag", {}),
        ("drag of spheres as prior", {"spheres": True}),
        ("free drag, heights bent", {"bent": True}),
        ("drag of spheres as prior, heights bent", {"spheres": True, "bent": True}),
    ):
        fall, g = drops.bootstrap(falls, max(20, draws // 10), **how)
        note = f"rms {fall.rms:.2f} m, -2 log L {fall.misfit:.0f}" + (f", bend {fall.bend:.1f} m" if fall.bend else "")
        rows.append(row(f"g, {name}", g, known, "m/s^2", note))
        drags[name] = {"drag, 1/m": fall.drag, "coefficient": fall.coefficient}
    return {"laws": rows, "drags": drags}


def of_planets(recording: Recording, draws: int) -> dict[str, Any]:
    """The exponent of the planets' law and the Sun's GM."""
    positions = np.stack([track.states[:, :3] for track in recording.tracks], axis=1)
    place, pulls = planets.accelerations(positions, recording.step, EVERY)
    rows, masses = [], {}
    for name, fit in (("the Sun alone", planets.sun_alone), ("all pull one another", planets.all_pulling)):
        law = fit(place, pulls, draws=draws)
        note = f"largest residual {law.residual:.1e} of a planet's acceleration"
        rows.append(row(f"exponent p, {name}", law.exponent, recording.known["exponent"].value, "", note))
        gm = recording.known["GM of the Sun"]
        rows.append(row(f"GM of the Sun, {name}", law.gm, gm.value, gm.unit, note))
        masses[name] = dict(zip([t.name for t in recording.tracks], law.masses.tolist(), strict=True))
    return {"laws": rows, "masses over the Sun's": masses}


def of_oscillation(recording: Recording, draws: int) -> dict[str, Any]:
    """The form of a motion with one degree of freedom, by shooting over the whole track."""
    track, angle = recording.tracks[0], bool(recording.layout.angles)
    # Time stamps that are rounded to 1 ms count rows; gaps keep their length.
    ticks = np.round((track.times - track.times[0]) / recording.step)
    times = ticks * (track.times[-1] - track.times[0]) / ticks[-1]
    found = oscillations.name_form(times, track.states[:, 0], angle=angle, draws=draws)
    unit = f"{recording.units[0]}/{recording.clock}^2"
    text = f"{found.answer}: {' + '.join(found.terms)}"
    rows = [
        row(f"coefficient of {name}", value, None, f"{unit} per term") for name, value in found.coefficients.items()
    ]
    return {
        "laws": rows,
        "form": text,
        "rivals (BIC above)": found.rivals,
        "in every form": found.shared,
        "best form without one of its terms": found.lacking,
        "plainest": {
            "terms": list(found.plainest[0]),
            "coefficients": {name: value.as_dict() for name, value in found.plainest[1].items()},
        },
        "residual": found.rms,
        "correlation time, rows": found.tau,
    }


LAWS: dict[str, Callable[[Recording, int], dict[str, Any]]] = {
    "pendulum_lengths": of_lengths,
    "ball_drops": of_drops,
    "planets": of_planets,
    "spring": of_oscillation,
    "pendulum": of_oscillation,
}

__all__ = ["LAWS", "row"]
