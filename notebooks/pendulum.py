# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # g/L of a pendulum
#
# A pendulum is pushed at random and its angle and angular velocity are seen with noise. A network was trained to predict
# where it goes next (`examples/runs/pendulum`). What does it know about the law, and what do the data know?

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import o2t_jax
from o2t_jax.evaluation.dynamics.law.decision import decide
from o2t_jax.evaluation.dynamics.law.form import read_form
from o2t_jax.evaluation.dynamics.law.readout import readout
from o2t_jax.evaluation.dynamics.law.shooting import Observed
from o2t_jax.evaluation.dynamics.law.worlds import LAWS
from o2t_jax.systems.dynamics_law import data_of, field_of

ROOT = Path(__file__).resolve().parents[1] if "__file__" in globals() else Path("..").resolve()
run = o2t_jax.load(ROOT / "examples" / "runs" / "pendulum")
system = run.system
print(run, dict(run.config.env))

# %% [markdown]
# ## What the network knows: a field
#
# The angular acceleration that it predicts for a pendulum at rest, without a push. The truth is -(g/L) sin(angle).

# %%
field = field_of(system, run.state.params)
angle = np.linspace(-2.5, 2.5, 101)
states = np.stack([angle, 0 * angle], axis=1)
learned = field(states, np.zeros((len(states), system.env.actions.size)))[:, 1]
true = -9.81 * np.sin(angle)
figure, axis = plt.subplots(figsize=(6, 4))
axis.plot(angle, learned, label="the network")
axis.plot(angle, true, "k--", label="-(g/L) sin(angle)")
axis.set(xlabel="angle (rad)", ylabel="angular acceleration (rad/s²)")
axis.legend()
plt.show()
slope = np.polyfit(np.sin(angle), learned, 1)[0]
print(f"g/L from the field alone: {-slope:.2f} 1/s^2 (truth 9.81)")

# %% [markdown]
# ## What the data know: an equation with an interval
#
# The field gives an order of candidates. Each is refitted to the noisy sequences themselves, with every initial state, by
# shooting; a form that other forms of one term more or less can replace is "cannot tell". Here with 24 sequences, so that
# it takes a fraction of a minute; `python -m experiments.readout --workdir=examples/runs/pendulum` takes 120.

# %%
whole, _ = data_of(system, run.config.seed)
data = Observed.of(whole.states[:24], whole.actions[:24], system.dts[0])
form = read_form(field, data.states[:, :-1], data.actions, system.env.layout)
varying = [term for name, term in LAWS["pendulum"].varying if name in system.env.ranges]  # each has its own damping
decision = decide(data, system.env.layout, form, noise=run.config.noise or None, varying=varying)
found = readout(decision, system.env.layout, world=system.env.name, params=system.env.params)
print(found["form"], "" if found["form"].startswith("x''") else f"nearest: {found['nearest']}")
for name, entry in found["parameters"].items():
    print(
        f"{name:20} {entry['value']:.4g} ({entry['low']:.4g} to {entry['high']:.4g}) {entry['unit']}, truth {entry['truth']}"
    )

# %%
ratio = found["parameters"]["gravity_per_length"]
assert abs(ratio["value"] / ratio["truth"] - 1) < 0.02

# %% [markdown]
# The rows that learn little: g/L is 9.81 1/s², and least squares on differences of the noisy states or a network's field
# alone are farther off (docs/dynamics_law.md has the table). The refit ends at the Cramér-Rao width, which no method beats.
