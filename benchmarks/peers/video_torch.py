"""System `video` in PyTorch: its networks, codebook, objective and optimiser, without the heads.

Modules have our names, so that `weights.load` finds them. Maps are [B, C, h, w], contiguous or channels_last.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.peers.o2t_torch import conv
from benchmarks.peers.pictures_torch import pointwise
from benchmarks.peers.weights import Shuffled, Unshuffled, load

# What a step draws at random: frames that are decoded from codes and from a dream, latents that codes start again from.
DRAWN = ("recon", "dream", "gumbel", "order")
MEMORY = ("codes", "weights", "sums")  # of the codebook
SIDE = 8


def named(convolution: nn.Module) -> nn.ModuleDict:
    """A 1x1 convolution whose parameters lie where those of `o2t_jax.models.layers.Conv` do."""
    return nn.ModuleDict({"Conv_0": convolution})


def normed(x: Tensor) -> Tensor:
    """Of root mean square 1 over channels."""
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-2)


class Residual(nn.Module):
    """A map, and what a 3x3 convolution of it adds."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(F.silu(x))


class Encoder(nn.Module):
    """[B, 1, S, S] -> [B, D, 8, 8]."""

    def __init__(self, widths: tuple[int, ...], size: int) -> None:
        super().__init__()
        self.level0, self.count = conv(4, widths[0]), len(widths)
        for i in range(1, self.count):
            self.add_module(f"level{i}", named(Unshuffled(4 * widths[i - 1], widths[i])))
            self.add_module(f"residual{i}", Residual(widths[i]))
        self.latent = pointwise(widths[-1], size)

    def forward(self, x: Tensor) -> Tensor:
        x = F.silu(self.level0(F.pixel_unshuffle(x, 2)))
        for i in range(1, self.count):
            x = self.get_submodule(f"level{i}.Conv_0")(F.pixel_unshuffle(x, 2))
            x = self.get_submodule(f"residual{i}")(x)
        return normed(self.latent(F.silu(x)))


class Decoder(nn.Module):
    """[B, D, 8, 8] -> [B, 1, S, S] 0 to 1."""

    def __init__(self, widths: tuple[int, ...], size: int) -> None:
        super().__init__()
        self.latent, self.count = conv(size, widths[-1]), len(widths)
        for i in range(1, self.count):
            self.add_module(f"residual{i}", Residual(widths[i]))
            self.add_module(f"level{i}", named(Shuffled(widths[i], 4 * widths[i - 1], 1)))
        self.level0, self.picture = conv(widths[0], widths[0]), conv(widths[0], 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.latent(x)
        for i in reversed(range(1, self.count)):
            x = F.silu(self.get_submodule(f"residual{i}")(x))
            x = F.pixel_shuffle(self.get_submodule(f"level{i}.Conv_0")(x), 2)
        x = self.picture(F.silu(self.level0(F.silu(x))))
        return torch.sigmoid(F.pixel_shuffle(x, 2) - 3.0)


class ConvGRU(nn.Module):
    """A GRU over a map."""

    def __init__(self, hidden: int, given: int) -> None:
        super().__init__()
        self.gates, self.candidate = conv(hidden + given, 2 * hidden), conv(hidden + given, hidden)

    def forward(self, memory: Tensor, x: Tensor) -> Tensor:
        keep, reset = torch.sigmoid(self.gates(torch.cat([memory, x], 1)) + 1.0).chunk(2, 1)
        fresh = torch.tanh(self.candidate(torch.cat([reset * memory, x], 1)))
        return torch.lerp(fresh, memory, keep)


class Dynamics(nn.Module):
    """One frame on: the new memory, the change of the latents."""

    grid: Tensor

    def __init__(self, hidden: int, layers: int, actions: int, size: int) -> None:
        super().__init__()
        given, self.layers = size + actions + 2, layers
        for i in range(layers):
            self.add_module(f"gru{i}", ConvGRU(hidden, given if i == 0 else hidden + given))
        self.overall, self.head = nn.Linear(hidden, hidden), conv(hidden + size, hidden)
        self.residual, self.change = Residual(hidden), named(pointwise(hidden, size))
        line = torch.linspace(-1, 1, SIDE)
        self.register_buffer("grid", torch.stack(torch.meshgrid(line, line, indexing="ij"))[None])

    def forward(self, memory: Tensor, latents: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        b = len(latents)
        pushes = action[:, :, None, None].expand(-1, -1, SIDE, SIDE)
        given = torch.cat([latents, pushes, self.grid.expand(b, -1, -1, -1)], 1)
        x, memories = given, []
        for i, before in enumerate(memory.chunk(self.layers, 1)):
            x = self.get_submodule(f"gru{i}")(before, x if i == 0 else torch.cat([x, given], 1))
            memories.append(x)
        overall = self.overall(x.mean((2, 3)))[:, :, None, None]
        x = self.residual(self.head(torch.cat([x, latents], 1)) + overall)
        after = memories[0] if self.layers == 1 else torch.cat(memories, 1)
        return after, self.change["Conv_0"](F.silu(x))


class World(nn.Module):
    """All parts, and the objective `o2t_jax.models.video.objective.objective` without rewards."""

    def __init__(self, sizes: Mapping[str, Any]) -> None:
        super().__init__()
        self.sizes, size = sizes, sizes["size"]
        self.encoder, self.decoder = Encoder(sizes["widths"], size), Decoder(sizes["widths"], size)
        self.dynamics = Dynamics(sizes["hidden"], sizes["layers"], sizes["actions"], size)

    def follow(self, seen: Tensor, actions: Tensor) -> Tensor:
        """Latents [B, T - 1, D, 8, 8] after `seen` [B, C, D, 8, 8] and then predictions, under `actions` [B, T - 1]."""
        memory = seen.new_zeros(len(seen), self.sizes["layers"] * self.sizes["hidden"], SIDE, SIDE)
        track, latents = [], seen[:, 0]
        for t in range(actions.shape[1]):
            latents = seen[:, t] if t < seen.shape[1] else latents
            memory, change = self.dynamics(memory, latents, actions[:, t])
            latents = normed(latents + change)
            track.append(latents)
        return torch.stack(track, 1)

    def pixels(self, latents: Tensor, truth: Tensor, chosen: Tensor, weight: Tensor) -> Tensor:
        """Error [B] of the decoded frames `chosen` [B, n]."""
        each = torch.arange(len(truth))[:, None]
        latents, truth = latents[each, chosen], truth[each, chosen]
        error = self.decoder(latents.flatten(0, 1)).view(truth.shape) - truth
        square = ((1.0 + self.sizes["bright"] * truth) * error.square()).mean((1, 2, 3))
        return self.sizes["square"] * weight * square + self.sizes["absolute"] * error.abs().mean((1, 2, 3))

    def loss(
        self, batch: Mapping[str, Tensor], codes: Tensor, drawn: Mapping[str, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        """The loss; rows of latents [N, D], the number of each one's code [N], its squared distance [N]."""
        sizes, context = self.sizes, self.sizes["context"]
        truth = batch["pictures"].float() / 255.0
        b, frames = truth.shape[:2]
        latents = self.encoder(truth.flatten(0, 1)[:, None])
        rows = latents.permute(0, 2, 3, 1).flatten(0, 2)
        with torch.no_grad():
            index = torch.addmm(codes.square().sum(1), rows, codes.T, alpha=-2.0).argmin(1)
            nearest = codes[index]
        distance = (rows - nearest).square().mean(1)
        through = rows + (nearest - rows).detach()
        through = through.unflatten(0, (b, frames, SIDE, SIDE)).permute(0, 1, 4, 2, 3)
        latents = latents.unflatten(0, (b, frames))
        dreamt = self.follow(through[:, :context], batch["actions"])
        recon = self.pixels(through, truth, drawn["recon"], batch["weight"])
        dream = self.pixels(dreamt[:, context - 1 :], truth[:, context:], drawn["dream"], batch["weight"])
        latent = sizes["latent"] * (dreamt[:, 1:] - latents[:, 2:].detach()).square().mean()
        loss = recon.mean() + dream.mean() + latent + sizes["commit"] * distance.mean()
        return loss, (rows.detach(), index, distance.detach())


class VideoTrainer:
    """Adam, global clip, cosine after a warm-up, and the codebook's running means."""

    def __init__(self, name: str, fields: Mapping[str, Any], params: Mapping[str, np.ndarray], batch: Any) -> None:
        self.network, self.fields = World(fields["sizes"]), fields
        load(self.network, params)
        if name == "video_channels_last":
            self.network = self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        held = {key: torch.tensor(np.asarray(value)) for key, value in batch.items()}
        self.given = {key: held.pop(key).long() if key != "gumbel" else held.pop(key) for key in DRAWN}
        self.memory = {key: held.pop(key) for key in MEMORY}
        self.batch = held
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=fields["lr"], betas=(0.9, 0.99), fused=True)
        warm, end = fields["warm"], fields["train_steps"]
        cosine = lambda i: 0.5 * (1 + math.cos(math.pi * min(1.0, (i - warm) / (end - warm))))  # noqa: E731
        rate = lambda i: i / warm if i < warm else cosine(i)  # noqa: E731
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimiser, rate)

    def draw(self) -> dict[str, Tensor]:
        """Fresh random numbers of a step."""
        b, frames = self.batch["pictures"].shape[:2]
        some = lambda name, count: torch.rand(b, count).argsort(1)[:, : self.given[name].shape[1]]  # noqa: E731
        gumbel = -torch.log(torch.empty(self.given["gumbel"].shape).exponential_())
        return {
            "recon": some("recon", frames),
            "dream": some("dream", frames - self.fields["sizes"]["context"]),
            "gumbel": gumbel,
            "order": torch.randperm(len(self.given["order"])),
        }

    def matched(self) -> float:
        """The loss with the given random numbers, and its gradient left in the network's parameters."""
        loss, _ = self.network.loss(self.batch, self.memory["codes"], self.given)
        loss.backward()
        return float(loss.detach())

    def step(self, given: bool = False) -> float:
        """One step, with the `given` random numbers or fresh ones; the loss before it."""
        drawn = self.given if given else self.draw()
        self.optimiser.zero_grad(set_to_none=True)
        loss, (rows, index, distance) = self.network.loss(self.batch, self.memory["codes"], drawn)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.fields["clip"])
        self.optimiser.step()
        self.schedule.step()
        self.advance(rows, index, distance, drawn)
        return float(loss.detach())

    @torch.no_grad()
    def advance(self, rows: Tensor, index: Tensor, distance: Tensor, drawn: Mapping[str, Tensor]) -> None:
        """As `o2t_jax.models.video.quantisers.Codebook`."""
        codebook, memory, b = self.fields["codebook"], self.memory, len(self.batch["pictures"])
        counts = torch.bincount(index, minlength=codebook["count"]).float()
        sums = torch.zeros_like(memory["sums"]).index_add_(0, index, rows)
        score = torch.log(distance.view(b, -1) + 1e-12) + drawn["gumbel"]
        best = score.topk(len(drawn["order"]) // b, 1).indices
        offered = rows.view(b, -1, rows.shape[1])[torch.arange(b)[:, None], best].flatten(0, 1)[drawn["order"]]
        keep = codebook["decay"]
        weights = keep * memory["weights"] + (1 - keep) * counts
        sums = keep * memory["sums"] + (1 - keep) * sums
        codes, mean = sums / weights.clamp_min(1e-6)[:, None], counts.mean()
        dead = weights < codebook["dead"] * mean
        fresh = offered[(dead.cumsum(0) - 1) % len(offered)]
        weights = torch.where(dead, 0.5 * mean, weights)
        codes = torch.where(dead[:, None], fresh, codes)
        self.memory = {"codes": codes, "weights": weights, "sums": codes * weights[:, None]}


__all__ = ["VideoTrainer", "World"]
