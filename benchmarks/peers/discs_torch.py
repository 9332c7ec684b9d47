"""Models `classic` and `modern` of discs in PyTorch, and their training steps. Modules have our names.

As ours, they leave out pairs of a disc with itself; pairs beyond the neighbourhood are encoded and then masked, as in
the code of the document.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.peers.weights import load


class Classic(nn.Module):
    """As `o2t_jax.models.discs.classic.Classic` with `pair` = joint: encodings, and a decoder to changes."""

    residual = True

    def __init__(self, width: int = 50, layers: int = 5) -> None:
        super().__init__()

        def stack(inputs: int, count: int, bias: bool) -> dict[str, nn.Module]:
            return {f"layer_{i}": nn.Linear(width if i else inputs, width, bias) for i in range(count)}

        of_pairs = {"pair": nn.Linear(20, width // 2, False), "layers": nn.ModuleDict(stack(width // 2, layers, False))}
        self.encoder = nn.ModuleDict(of_pairs)
        self.decoder = nn.ModuleDict(stack(width + 10, layers - 1, True) | {"out": nn.Linear(width, 2)})

    def encode(self, x: Tensor) -> Tensor:
        x = self.encoder["pair"](x)
        for layer in self.encoder["layers"].values():  # type: ignore[operator]
            x = F.relu(layer(x))
        return x

    def decode(self, x: Tensor) -> Tensor:
        *layers, out = self.decoder.values()
        for layer in layers:
            x = F.relu(layer(x))
        return out(x)


class Trunk(nn.Module):
    """As `o2t_jax.models.discs.modern.Trunk`."""

    def __init__(self, inputs: int, width: int, blocks: int, expansion: int) -> None:
        super().__init__()
        self.blocks, self.first = blocks, nn.Linear(inputs, width)
        for i in range(blocks):
            self.add_module(f"norm_{i}", nn.LayerNorm(width))
            self.add_module(f"wide_{i}", nn.Linear(width, expansion * width))
            self.add_module(f"narrow_{i}", nn.Linear(expansion * width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.first(x))
        for i in range(self.blocks):
            norm, wide, narrow = (getattr(self, f"{name}_{i}") for name in ("norm", "wide", "narrow"))
            x = x + narrow(F.gelu(wide(norm(x))))
        return x


class Modern(nn.Module):
    """As `o2t_jax.models.discs.modern.Modern` without dropout: encodings, and a decoder to velocities."""

    residual = False

    def __init__(self, msg_dim: int = 96, enc_blocks: int = 3, dec_blocks: int = 3, expansion: int = 2) -> None:
        super().__init__()
        self.encoder = Trunk(20, msg_dim, enc_blocks, expansion)
        self.decoder = Trunk(msg_dim + 10, msg_dim, dec_blocks, expansion)
        self.norm, self.out = nn.LayerNorm(msg_dim), nn.Linear(msg_dim, 2)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def decode(self, x: Tensor) -> Tensor:
        return self.out(self.norm(self.decoder(x)))


class Predictor(nn.Module):
    """The next velocities of discs over the speed limit, by one of the networks above."""

    def __init__(self, network: Classic | Modern, size: tuple[float, float], speed: float, reach: float) -> None:
        super().__init__()
        self.network, self.unit, self.speed, self.reach = network, max(size), speed, reach

    def forward(self, position: Tensor, velocity: Tensor, mass: Tensor) -> Tensor:
        """`position` and `velocity` [N, 2, B, 2], `mass` [N, B] -> [N, B, 2]; context matters up to `reach`."""
        count = mass.shape[1]
        masses = mass[:, None, :, None].expand(-1, 2, -1, -1)
        discs = torch.cat([position / self.unit, velocity / self.speed, masses], -1).transpose(1, 2).flatten(2)
        order = (torch.arange(count)[:, None] + torch.arange(1, count)) % count
        pairs = torch.cat([discs[:, :, None].expand(-1, -1, count - 1, -1), discs[:, order]], -1)
        last = position[:, 1]
        matters = torch.linalg.vector_norm(last[:, order] - last[:, :, None], dim=-1) <= self.reach
        message = (self.network.encode(pairs) * matters[..., None]).sum(2)
        found = self.network.decode(torch.cat([message, discs], -1))
        return velocity[:, 1] / self.speed + found if self.network.residual else found


class DiscTrainer:
    """Training steps on `batch`, arrays [K, N, ...] of K batches, one after another; see `discs_peer.DiscCase`."""

    def __init__(self, name: str, fields: Mapping[str, Any], params: Mapping[str, np.ndarray], batch: Any) -> None:
        self.network = {"classic": Classic, "modern": Modern}[fields["part"]](**fields["sizes"])
        load(self.network, params)
        self.batch = {key: torch.tensor(np.asarray(x)) for key, x in batch.items()}
        self.clip, self.made = fields["clip"], 0
        predictor = Predictor(self.network, fields["size"], fields["speed"], fields["reach"])

        def loss(position: Tensor, velocity: Tensor, mass: Tensor, target: Tensor) -> Tensor:
            return F.mse_loss(predictor(position, velocity, mass), target / fields["speed"])

        self.loss = torch.compile(loss, fullgraph=True) if name == "discs_compiled" else loss
        parameters = self.network.parameters()
        if fields["part"] == "classic":
            self.optimiser = torch.optim.RMSprop(parameters, fields["lr"], foreach=True)
        else:
            self.optimiser = torch.optim.AdamW(parameters, fields["lr"], weight_decay=fields["decay"], fused=True)

    def data(self, i: int) -> list[Tensor]:
        return [self.batch[key][i % len(self.batch["mass"])] for key in ("position", "velocity", "mass", "target")]

    def matched(self) -> float:
        """The loss on the first batch, and its gradient left in the network's parameters."""
        loss = self.loss(*self.data(0))
        loss.backward()
        return float(loss.detach())

    def step(self) -> float:
        """One step; the loss before it."""
        self.optimiser.zero_grad(set_to_none=True)
        loss = self.loss(*self.data(self.made))
        loss.backward()
        if self.clip:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.clip)
        self.optimiser.step()
        self.made += 1
        return float(loss.detach())
