"""Positions of the planets about the Sun, 1900 to 2050, from the ephemeris DE421 (Folkner, Williams, Boggs 2008).

The kernel is that of the package skyfield-data, read by jplephem (both in extra `bench`), or a file de421.bsp in the
folder `planets`. An ephemeris is a fit to observations, not the observations themselves.
"""

from __future__ import annotations

import struct
import warnings
from pathlib import Path

import numpy as np

from o2t_jax.data.recorded.recording import Known, Recording, Track
from o2t_jax.errors import UsageError
from o2t_jax.physics.environment import Layout

NAMES = ("mercury", "venus", "earth", "mars", "jupiter", "saturn", "uranus", "neptune", "pluto")
SUN = 10
DAY = 86400.0
_SIZES = (2, 6)  # numbers of a planet's entry: doubles, and integers at 8 and 12 in the head
_RECORD = 1024  # bytes of a kernel's record
FIRST, DAYS = 2415021.0, 54786  # 1900-01-01 to 2049-12-31, Julian days (TDB)
GM_SUN = Known(1.32712440018e20, "m^3/s^2", "IAU/JPL, heliocentric gravitational constant")


def load(folder: str | Path = "", *, first: float = FIRST, days: int = DAYS, step: float = 1.0) -> Recording:
    """Heliocentric position (m) and velocity (m/s), equatorial (ICRF), a track a planet; times in s from `first`.

    "earth" is the barycentre of Earth and Moon, and so are the others of planet and moons. Args: `first`, Julian day;
    `days` between rows `step` days apart. Raises: UsageError for a missing package or file, or times outside of it.
    """
    try:
        from jplephem.spk import SPK  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise UsageError('planets need jplephem: pip install "o2t_jax[bench]"') from None
    path = _kernel(folder)
    times = first + step * np.arange(int(days / step) + 1)
    _check_head(path)
    try:
        kernel = SPK.open(str(path))
    except Exception as error:  # damaged files fail in many ways
        raise UsageError(f"{path} is not a whole SPK kernel ({type(error).__name__}): copy it again") from error
    try:
        sun = kernel[0, SUN].compute_and_differentiate(times)
        tracks = []
        for number, name in enumerate(NAMES, 1):
            place, velocity = kernel[0, number].compute_and_differentiate(times)
            state = np.concatenate([(place - sun[0]) * 1e3, (velocity - sun[1]) * 1e3 / DAY]).T
            tracks.append(Track(name, (times - first) * DAY, state))
    except (KeyError, ValueError) as error:
        raise UsageError(f"{path} lacks a planet or a time of {times[0]:g} to {times[-1]:g}: {error}") from error
    except Exception as error:
        raise UsageError(f"{path} is a damaged SPK kernel ({type(error).__name__}): copy it again") from error
    finally:
        kernel.close()
    return Recording(
        "planets",
        tuple(tracks),
        ("x", "y", "z", "vx", "vy", "vz"),
        ("m", "m", "m", "m/s", "m/s", "m/s"),
        Layout(6, (0, 1, 2), (3, 4, 5)),
        step=step * DAY,
        known={"GM of the Sun": GM_SUN, "exponent": Known(2.0, "", "Newton's law")},
        notes=(
            "the ephemeris was computed with Newton's law (and small relativistic terms), then fitted to observations",
            "positions are relative to the Sun, which the planets move: that is an acceleration of its own",
        ),
        licence="public domain (JPL); package skyfield-data MIT",
    )


def _check_head(path: Path) -> None:
    """Raises UsageError for a head with other sizes than a kernel's, of which jplephem makes texts of gigabytes, and a
    list of planets that is broken or a circle, which it follows for ever."""
    seen: set[int] = set()
    try:
        with path.open("rb") as file:
            head = file.read(_RECORD)
            count = max(path.stat().st_size // _RECORD, 1)
            order = next(sign for sign in "<>" if (struct.unpack_from(sign + "2i", head, 8) == _SIZES))
            (record,) = struct.unpack_from(order + "i", head, 76)
            while record:
                if record in seen or not 1 < record <= count:
                    raise ValueError("a circle")
                seen.add(record)
                file.seek((record - 1) * _RECORD)
                record = int(struct.unpack(order + "d", file.read(8))[0])
    except (StopIteration, struct.error, ValueError, OverflowError):
        raise UsageError(f"{path} is not a whole SPK kernel (its list of planets): copy it again") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}): copy it again, or give another folder") from None


def _kernel(folder: str | Path) -> Path:
    own = Path(folder) / "planets" / "de421.bsp"
    if str(folder) and own.is_file():
        return own
    try:
        with warnings.catch_warnings():  # it warns of an expired table of the Earth's rotation, which is not used
            warnings.simplefilter("ignore")
            import skyfield_data  # pyright: ignore[reportMissingImports]

            path = Path(skyfield_data.get_skyfield_data_path()) / "de421.bsp"
    except ImportError:
        raise UsageError('planets need skyfield-data: pip install "o2t_jax[bench]"') from None
    if not path.is_file():
        raise UsageError(f"{path} is missing: install skyfield-data again")
    return path


__all__ = ["NAMES", "load"]
