# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # The law in your own video
#
# What `python -m experiments.recording --video=FILE` does, step by step: see what moves, follow it, fit forms of motion,
# put it into metres. Nothing is trained. Replace `FILM` by yours.

# %%
from pathlib import Path

import matplotlib.pyplot as plt

from o2t_jax.commands._recording_result import as_result
from o2t_jax.commands._recordings import Wanted, fit_objects, see
from o2t_jax.data.recorded.film import Film

ROOT = Path(__file__).resolve().parents[1] if "__file__" in globals() else Path("..").resolve()
FILM = ROOT / "examples" / "throw.mp4"

# %% [markdown]
# ## See
#
# The film is read twice: once for what stands still, once for what does not.

# %%
film = Film(FILM)
seen = see(film)
print(f"{len(seen.tracks)} track(s), picture {seen.size}, clock: {seen.clock.source}", *seen.notes, sep="\n")

# %% [markdown]
# ## Say what is known
#
# One length in the plane of motion. Here a stick of half a metre on the wall: x1, y1, x2, y2 in pixels, then metres.
# A ball's `diameter`, a launch `speed`, or `known={"g": 9.81}` do as well.

# %%
wanted = Wanted(points=(42.4, 266.0, 39.1, 53.8, 0.5))
wanted.check()
found = fit_objects(seen, wanted)
result = as_result(found, seen, wanted)
print(result["law"])
for name, entry in result["parameters"].items():
    print(f"{name:10} {entry['value']:.4f} ({entry['low']:.4f} to {entry['high']:.4f}) {entry['unit']}")

# %% [markdown]
# The film was drawn with g = 9.81 m/s², a tilted plane, a rolling shutter, noise and compression
# (`o2t_jax/commands/example_film.py`). The interval holds it:

# %%
g = result["parameters"]["g"]
assert g["low"] < 9.81 < g["high"]

# %%
_, picture = next(film.colours())
figure, axis = plt.subplots(figsize=(5, 5))
axis.imshow(picture)
axis.plot(*found[0].track.points.T, "w.", markersize=4)
axis.plot([42.4, 39.1], [266.0, 53.8], "c-", linewidth=2)
axis.set_title("where it was seen, and the stick")
plt.show()
