# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # A checkpoint's predictions
#
# How far ahead does a trained run see, and is it better than doing nothing? The same measurement as
# `python -m experiments.evaluate --workdir=examples/runs/cpu`, by hand.

# %%
from pathlib import Path

import matplotlib.pyplot as plt

import o2t_jax
from o2t_jax.evaluation.writers.console import as_text
from o2t_jax.results import Score, ScoreCurve

ROOT = Path(__file__).resolve().parents[1] if "__file__" in globals() else Path("..").resolve()
run = o2t_jax.load(ROOT / "examples" / "runs" / "cpu")

# %% [markdown]
# A system's evaluators yield named results. A prediction's error cannot be made without the rows that do nothing: it is
# a `Score` with `baselines`. This renders the run's held-out samples and predicts them; it takes half a minute.

# %%
found = dict(run.system.evaluators["test"](run.state))
print("\n".join(f"{name:24} {type(result).__name__}" for name, result in found.items()))

# %%
for name, result in found.items():
    if isinstance(result, Score) and name.startswith("FUTURE"):
        best, value = result.best_baseline()
        print(f"{name:22} {result.value:9.4g} {result.unit:4} best of the others: {value:9.4g} ({best})")
assert found["FUTURE/psnr"].beats_baselines and found["FUTURE/centroid_px"].beats_baselines

# %% [markdown]
# ## Over the number of steps
#
# The ball's place, in pixels of 64. Constant velocity knows where the ball was and how fast; what it lacks is gravity,
# and so its error grows with the square of time.

# %%
curve = found["centroid_px_over_n"]
assert isinstance(curve, ScoreCurve)
figure, axis = plt.subplots(figsize=(7, 4))
axis.plot(curve.x, curve.y, "o-", label="O2T")
for name, row in curve.baselines.items():
    axis.plot(curve.x, row, ".--", label=name, alpha=0.6)
axis.set(xlabel=f"steps n of {run.config.dt:.3g} s", ylabel="error of the ball's place (px)", yscale="log")
axis.legend(fontsize=8)
plt.show()

# %%
print(as_text("table", found["table"]))

# %%
plt.figure(figsize=(8, 9))
plt.imshow(found["pictures"].pixels)
plt.axis("off")
plt.show()
