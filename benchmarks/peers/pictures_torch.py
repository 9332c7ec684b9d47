"""System `dynamics_pictures` in PyTorch: predictor `spatial_newtonian` (leapfrog), objective `hgn`, its optimiser.

Modules have our names, so that `weights.load` finds them. Maps are [B, C, h, w], contiguous or channels_last.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.peers.o2t_torch import Down, conv, group_norm
from benchmarks.peers.weights import Shuffled, load

# What a step draws at random: noise of the latent, frames that are decoded, times that are compared with encoded ones.
DRAWN = ("noise", "chosen", "later")


def with_coordinates(maps: Tensor) -> Tensor:
    """Two channels more: row and column, -1 to 1."""
    b, _, h, w = maps.shape
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, h), torch.linspace(-1, 1, w), indexing="ij")
    return torch.cat([maps, torch.stack([rows, columns]).expand(b, 2, h, w)], 1)


def pointwise(channels: int, features: int) -> nn.Conv2d:
    """A dense layer of every pixel."""
    return nn.Conv2d(channels, features, 1)


class ResBlock(nn.Module):
    """x + (GroupNorm, SiLU, 3x3 convolution) twice."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.NormAct_0, self.Conv_0 = group_norm(channels), conv(channels, channels)
        self.NormAct_1, self.Conv_1 = group_norm(channels), conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.Conv_0(F.silu(self.NormAct_0(x)))
        return x + self.Conv_1(F.silu(self.NormAct_1(y)))


class MapNet(nn.Module):
    """As `o2t_jax.models.dynamics.nets.MapNet`."""

    def __init__(self, channels: int, given: int, hidden: int, features: int, activation: Callable) -> None:
        super().__init__()
        self.activation = activation
        self.first, self.second = conv(channels + 2, hidden), conv(hidden, hidden)
        self.given, self.mean = nn.Linear(given, hidden), nn.Linear(hidden, hidden)
        self.last = conv(hidden, features)

    def forward(self, x: Tensor, given: Tensor) -> Tensor:
        x = self.activation(self.first(with_coordinates(x)) + self.given(given)[:, :, None, None])
        x = x + self.mean(x.mean((2, 3)))[:, :, None, None]
        return self.last(self.activation(self.second(x)))


class Encoder(nn.Module):
    """[B, K c, S, S] in 0..1 -> mean and log variance of the latent map."""

    def __init__(self, channels: int, widths: tuple[int, ...], depths: tuple[int, ...], latent: int) -> None:
        super().__init__()
        self.order, before = [], channels + 2
        for i, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            ends = [f"{i}", *(f"{i}_{j}" for j in range(depth))]
            for end in ends:
                self.add_module(f"conv{end}", Down(before, width) if end == f"{i}" else conv(width, width))
                self.add_module(f"norm{end}", group_norm(width))
                self.order += [(f"conv{end}", f"norm{end}")]
            before = width
        self.mean, self.log_variance = pointwise(before, latent), pointwise(before, latent)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = with_coordinates(2 * x - 1)
        for one, norm in self.order:
            x = F.silu(getattr(self, norm)(getattr(self, one)(x)))
        return self.mean(x), torch.clamp(self.log_variance(x) - 4, -16, 4)


class Decoder(nn.Module):
    """Positions [B, C, h, w] -> pictures [B, c, S, S] in 0..1."""

    def __init__(self, channels: int, widths: tuple[int, ...], picture: int) -> None:
        super().__init__()
        self.count = len(widths)
        self.enter = pointwise(channels + 2, widths[0])
        for i, width in enumerate(widths):
            if i:
                self.add_module(f"conv{i}", conv(widths[i - 1], width))
            self.add_module(f"block{i}", ResBlock(width))
        self.last = Shuffled(widths[-1], 4 * picture)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(with_coordinates(x))
        for i in range(self.count):
            if i:
                x = getattr(self, f"conv{i}")(F.interpolate(x, scale_factor=2, mode="nearest"))
            x = getattr(self, f"block{i}")(x)
        return torch.sigmoid(F.pixel_shuffle(self.last(F.silu(x)), 2))


class Pictures(nn.Module):
    """All parts, and the objective `o2t_jax.models.dynamics.objective.hgn` without focus."""

    def __init__(self, sizes: Mapping[str, Any]) -> None:
        super().__init__()
        self.sizes = sizes
        k, c, latent, actions = (sizes[name] for name in ("frames", "picture_channels", "channels", "actions"))
        net = MapNet(latent, actions * (k - 1), sizes["transform_hidden"], latent, torch.tanh)
        self.encoder = Encoder(k * c, sizes["encoder_widths"], sizes["encoder_depths"], latent)
        self.transform = nn.ModuleDict({"MapNet_0": net})
        self.decoder = Decoder(latent // 2, sizes["decoder_widths"], c)
        self.predictor = nn.ModuleDict(
            {"MapNet_0": MapNet(latent, actions, sizes["predictor_hidden"], latent // 2, F.silu)}
        )
        self.predictor.register_parameter("log_friction", nn.Parameter(torch.tensor(-1.0)))

    def encode(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """`frames` [B, K, c, S, S]."""
        x = frames.flatten(1, 2)
        if self.decoder.last.weight.is_contiguous(memory_format=torch.channels_last):
            x = x.contiguous(memory_format=torch.channels_last)
        return self.encoder(x)

    def to_state(self, latent: Tensor, actions: Tensor) -> Tensor:
        return self.transform["MapNet_0"](latent, actions.flatten(1))

    def roll_out(self, z: Tensor, actions: Tensor, h: Tensor) -> Tensor:
        """`z` and the states after each of `actions` [B, T, A]: [B, T + 1, C, h, w]. Drift, kick, drift."""
        net, friction = self.predictor["MapNet_0"], torch.exp(self.predictor.get_parameter("log_friction"))
        q, p = z.chunk(2, 1)
        track = [z]
        for i in range(actions.shape[1]):
            for _ in range(self.sizes["inner"]):
                q = q + 0.5 * h * p
                p = p + h * (net(torch.cat([q, p], 1), actions[:, i]) - friction * p)
                q = q + 0.5 * h * p
            track.append(torch.cat([q, p], 1))
        return torch.stack(track, 1)

    def loss(self, frames: Tensor, actions: Tensor, dt: Tensor, drawn: Mapping[str, Tensor]) -> Tensor:
        """`frames` uint8 [B, T + 1, S, S, c]."""
        sizes, k, b = self.sizes, self.sizes["frames"], len(frames)
        frames = frames.permute(0, 1, 4, 2, 3).float() / 255.0
        mean, log_variance = self.encode(frames[:, :k])
        latent = mean + torch.exp(0.5 * log_variance) * drawn["noise"]
        h = (dt / sizes["inner"])[:, None, None, None]
        track = self.roll_out(self.to_state(latent, actions[:, : k - 1]), actions[:, k - 1 :], h)
        count, each, later = track.shape[1], torch.arange(b)[:, None], drawn["later"][:, None]
        with torch.no_grad():
            seen = self.encode(frames[each, later + torch.arange(k)])[0]
            known = self.to_state(seen, actions[each, later + torch.arange(k - 1)])
        miss = torch.square(track[each[:, 0], drawn["later"]] - known).flatten(1).mean(1)
        picked = self.decoder(track[each, drawn["chosen"]].flatten(0, 1).chunk(2, 1)[0])
        target = frames[:, k - 1 :][each, drawn["chosen"]]
        pixels = torch.square(picked.unflatten(0, target.shape[:2]) - target).sum((2, 3, 4)).mean(1)
        kl = 0.5 * (torch.square(mean) + torch.exp(log_variance) - 1 - log_variance)
        kl = kl.clamp_min(sizes["free_bits"]).flatten(1).sum(1)
        return torch.mean(count * (pixels + sizes["consistency"] * miss) + sizes["beta"] * kl)


class PictureTrainer:
    """Adam, global clip, cosine after a warm-up."""

    def __init__(self, layout: str, fields: Mapping[str, Any], params: Mapping[str, np.ndarray], batch: Any) -> None:
        self.network, self.fields = Pictures(fields["sizes"]), fields
        load(self.network, params)
        if layout == "channels_last":
            self.network = self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        held = {name: torch.tensor(np.asarray(value)) for name, value in batch.items()}
        self.given = {name: held.pop(name) for name in DRAWN}
        self.given["noise"] = self.given["noise"].permute(0, 3, 1, 2)
        self.frames, self.actions, self.dt = held["frames"], held["actions"], held["dt"]
        # Ours has one optimiser a part, with the same settings; one for all makes fewer calls.
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=fields["lr"], fused=True)
        warm, end = fields["warm"], fields["train_steps"]
        cosine = lambda i: 0.5 * (1 + math.cos(math.pi * min(1.0, (i - warm) / (end - warm))))  # noqa: E731
        rate = lambda i: i / warm if i < warm else cosine(i)  # noqa: E731
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimiser, rate)

    def draw(self) -> dict[str, Tensor]:
        """Fresh random numbers of a step."""
        noise, chosen = self.given["noise"], self.given["chosen"]
        b, count = len(noise), self.fields["count"]
        order = torch.rand(b, count).argsort(1)[:, : chosen.shape[1]]
        return {"noise": torch.randn(noise.shape), "chosen": order, "later": torch.randint(1, count, (b,))}

    def matched(self) -> float:
        """The loss with the given random numbers, and its gradient left in the network's parameters."""
        loss = self.network.loss(self.frames, self.actions, self.dt, self.given)
        loss.backward()
        return float(loss.detach())

    def step(self) -> float:
        """One step; the loss before it."""
        self.optimiser.zero_grad(set_to_none=True)
        loss = self.network.loss(self.frames, self.actions, self.dt, self.draw())
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.fields["clip"])
        self.optimiser.step()
        self.schedule.step()
        return float(loss.detach())
