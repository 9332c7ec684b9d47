"""A stack of selective state-space layers in PyTorch, whose recurrence is a Python loop over time.

Written here for the comparison (Gu & Dao 2023); the parameters are those of `o2t_jax.models.motion.ssm`, by path.
"""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F


class Stack:
    """Args: `params`, flat, path -> array; `layers`; `states`."""

    def __init__(self, params: Mapping[str, np.ndarray], layers: int, states: int) -> None:
        self.params = {name: torch.tensor(np.array(x), requires_grad=True) for name, x in params.items()}
        self.layers, self.states = layers, states

    def __call__(self, x: Any) -> Any:
        """[B, T, D] -> [B, T, D]."""
        for i in range(self.layers):
            x = x + self._mamba(f"mamba{i}/", self._norm(f"norm{i}/", x))
        return x

    def _norm(self, at: str, x: Any) -> Any:
        return F.layer_norm(x, x.shape[-1:], self.params[at + "scale"], self.params[at + "bias"], 1e-6)

    def _mamba(self, at: str, x: Any) -> Any:
        p = {name.removeprefix(at): value for name, value in self.params.items() if name.startswith(at)}
        u, gate = (x @ p["in/kernel"]).chunk(2, dim=-1)
        taps = p["conv/kernel"].T[:, None]
        u = F.conv1d(F.pad(u.transpose(1, 2), (taps.shape[-1] - 1, 0)), taps, p["conv/bias"], groups=u.shape[-1])
        u = F.silu(u.transpose(1, 2))
        selected = u @ p["selected/kernel"]
        rank = selected.shape[-1] - 2 * self.states
        low, b, c = selected.split([rank, self.states, self.states], dim=-1)
        step = F.softplus(low @ p["step/kernel"] + p["step/bias"])
        rate = -torch.exp(p["log_rate"])
        h = x.new_zeros(x.shape[0], self.states, u.shape[-1])
        found = []
        for t in range(x.shape[1]):
            h = torch.exp(step[:, t, None] * rate) * h + (step[:, t] * u[:, t])[:, None] * b[:, t, :, None]
            found.append((c[:, t, :, None] * h).sum(1))
        y = (torch.stack(found, 1) + p["skip"] * u) * F.silu(gate)
        return y @ p["out/kernel"]


class TorchStep:
    """A training step: mean squared error, backward, AdamW 1e-3."""

    def __init__(self, params: Mapping[str, np.ndarray], layers: int, states: int, batch: Mapping[str, Any]) -> None:
        self.stack = Stack(params, layers, states)
        self.x, self.target = (torch.tensor(np.array(batch[name])) for name in ("x", "target"))
        self.tx = torch.optim.AdamW(self.stack.params.values(), lr=1e-3, weight_decay=0.0)

    def loss(self) -> Any:
        """The loss on the batch."""
        return torch.mean(torch.square(self.stack(self.x) - self.target))

    def __call__(self) -> None:
        """One step."""
        self.tx.zero_grad()
        self.loss().backward()
        self.tx.step()


__all__ = ["Stack", "TorchStep"]
