"""Core `first_order_ode` and a shooting step in PyTorch, with three ways to integrate."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.peers.weights import load


class Field(nn.Module):
    """The rate of change [B, 2] of a pendulum's state [B, 2] under `action` [B, 1], which the caller sets.

    As `o2t_jax.models.cores.ode.FirstOrderODE`: inputs are velocity over its scale, cosine, sine, action.
    """

    scale: Tensor
    action: Tensor

    def __init__(self, widths: tuple[int, ...], scale: tuple[float, float]) -> None:
        super().__init__()
        sizes = (4, *widths, 2)
        layers = {f"Dense_{i}": nn.Linear(*pair) for i, pair in enumerate(pairwise(sizes))}
        self.MLP_0 = nn.ModuleDict(layers)
        self.layers = list(layers.values())
        self.register_buffer("scale", torch.tensor(scale))

    def rate(self, state: Tensor, action: Tensor) -> Tensor:
        angle, velocity = state[:, :1], state[:, 1:]
        x = torch.cat([velocity / self.scale[1], torch.cos(angle), torch.sin(angle), action], 1)
        for layer in self.layers[:-1]:
            x = nn.functional.silu(layer(x))
        return self.scale * self.layers[-1](x)

    def forward(self, t: Tensor, state: Tensor) -> Tensor:
        return self.rate(state, self.action)


def by_torchdiffeq(field: Field, state: Tensor, actions: Tensor, dt: float) -> Tensor:
    """States [B, T, 2], one call of `odeint` a step. Its rk4 is Kutta's 3/8 rule, also of fourth order."""
    from torchdiffeq import odeint

    times, track = torch.tensor([0.0, dt]), []
    for i in range(actions.shape[1]):
        field.action = actions[:, i]
        state = odeint(field, state, times, method="rk4")[1]  # type: ignore[index]
        track.append(state)
    return torch.stack(track, 1)


def rk4_step(field: Field, state: Tensor, action: Tensor, dt: float) -> Tensor:
    """The state after one classical Runge-Kutta step, as ours."""
    k1 = field.rate(state, action)
    k2 = field.rate(state + 0.5 * dt * k1, action)
    k3 = field.rate(state + 0.5 * dt * k2, action)
    k4 = field.rate(state + dt * k3, action)
    return state + dt / 6.0 * (k1 + 2.0 * (k2 + k3) + k4)


def by_hand(field: Field, state: Tensor, actions: Tensor, dt: float, step: Callable[..., Tensor] = rk4_step) -> Tensor:
    """States [B, T, 2] by calls of `step`."""
    track = []
    for i in range(actions.shape[1]):
        state = step(field, state, actions[:, i], dt)
        track.append(state)
    return torch.stack(track, 1)


class VectorTrainer:
    """Adam on the mean squared error of rollouts over the scale."""

    def __init__(self, way: str, fields: Mapping[str, Any], params: Mapping[str, np.ndarray], batch: Any) -> None:
        self.network = Field(tuple(fields["widths"]), tuple(fields["scale"]))
        load(self.network, params)
        self.states, self.actions = (torch.tensor(np.asarray(batch[name])) for name in ("states", "actions"))
        # One step is compiled, not the loop: C++ for the loop's 120 evaluations and their gradients takes many minutes.
        compiled = partial(by_hand, step=torch.compile(rk4_step, fullgraph=True))
        roll = {"torchdiffeq": by_torchdiffeq, "loop": by_hand, "compiled": compiled}[way]

        def loss(states: Tensor, actions: Tensor) -> Tensor:
            apart = roll(self.network, states[:, 0], actions, fields["dt"]) - states[:, 1:]
            return torch.mean(torch.square(apart / self.network.scale))

        self.loss = loss
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=fields["lr"], fused=True)

    def matched(self) -> float:
        """The loss, and its gradient left in the network's parameters."""
        loss = self.loss(self.states, self.actions)
        loss.backward()
        return float(loss.detach())

    def step(self) -> float:
        """One step; the loss before it."""
        self.optimiser.zero_grad(set_to_none=True)
        loss = self.loss(self.states, self.actions)
        loss.backward()
        self.optimiser.step()
        value = float(loss.detach())
        assert math.isfinite(value)
        return value
