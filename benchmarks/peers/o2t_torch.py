"""The free-gauge O2T network, its loss and its optimiser in idiomatic PyTorch.

Same layers and sizes as `o2t_jax.models` in config `seed`; `transfer.load` puts our parameters into it. Maps are
[B, C, H, W], in PyTorch's contiguous or channels_last layout. Needs `pip install .[bench]`.
"""

from __future__ import annotations

import math
from itertools import combinations, pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from o2t_jax.models.layers import GROUPS, HEADS, level_widths
from o2t_jax.models.o2t.encoders import LEVELS, STRIDE
from o2t_jax.models.o2t.inputs import PARA_MAP, PARA_SCALE
from o2t_jax.models.o2t.loss import HALF_GREY, L1_SHARE, MSE_SHARE
from o2t_jax.models.o2t.phys_layer import BLEND_FLOOR, BLEND_RANGE, BLEND_STEPS
from o2t_jax.models.ops import GREY, INPUT_CHANNELS, NUM_INPUTS


def group_norm(channels: int) -> nn.GroupNorm:
    """Eight groups, or fewer if 8 does not divide the channels; epsilon as in Flax."""
    return nn.GroupNorm(math.gcd(GROUPS, channels), channels, eps=1e-6)


def conv(channels: int, features: int) -> nn.Conv2d:
    """3x3, 'same' padding."""
    return nn.Conv2d(channels, features, 3, padding=1)


def mlp(*widths: int) -> nn.Sequential:
    """Linear layers with SiLU between them."""
    layers: list[nn.Module] = []
    for i, (before, after) in enumerate(pairwise(widths)):
        layers += [nn.SiLU()] * bool(i) + [nn.Linear(before, after)]
    return nn.Sequential(*layers)


class ResBlock(nn.Module):
    """x + (GroupNorm, SiLU, conv3) twice."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = group_norm(channels), conv(channels, channels)
        self.norm2, self.conv2 = group_norm(channels), conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.silu(self.norm1(x)))
        return x + self.conv2(F.silu(self.norm2(y)))


class Attention(nn.Module):
    """Self-attention over the pixels of a map, pre-normalised, residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = math.gcd(HEADS, channels)
        self.norm = group_norm(channels)
        self.qkv, self.out = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        split = self.qkv(tokens).reshape(b, h * w, 3, self.heads, c // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(b, h * w, c)
        return x + self.out(mixed).transpose(1, 2).reshape(b, c, h, w)


class Down(nn.Conv2d):
    """3x3, stride 2. XLA's 'SAME' pads an even size at its end only: (0, 1), where PyTorch would pad (1, 1)."""

    def __init__(self, channels: int, features: int) -> None:
        super().__init__(channels, features, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (0, 1, 0, 1)))


class Encoder(nn.Module):
    """Stem, five levels, bottleneck, head: [B, 23, H, W] -> h [B, latent], five skips."""

    def __init__(self, base_ch: int, latent: int) -> None:
        super().__init__()
        widths = level_widths(base_ch)
        self.stem = conv(INPUT_CHANNELS, widths[0])
        before = (widths[0], *widths[:-1])
        self.res = nn.ModuleList(nn.Sequential(ResBlock(c), ResBlock(c)) for c in before)
        self.attention = Attention(before[-1])
        self.down = nn.ModuleList(Down(c, width) for c, width in zip(before, widths, strict=True))
        self.bottleneck = nn.Sequential(ResBlock(widths[-1]), Attention(widths[-1]), ResBlock(widths[-1]))
        self.norm = group_norm(widths[-1])
        self.head = mlp(widths[-1], widths[-1], latent)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        x = self.stem(x)
        skips = []
        for level in range(LEVELS):
            x = self.res[level](x)
            if level == LEVELS - 1:
                x = self.attention(x)
            skips.append(x)
            x = self.down[level](x)
        x = F.silu(self.norm(self.bottleneck(x)))
        return self.head(x.mean((2, 3))), skips


class Decoder(nn.Module):
    """h [B, latent] and the skips -> logits [B, 3, H, W]."""

    def __init__(self, base_ch: int, latent: int, size: int) -> None:
        super().__init__()
        widths = level_widths(base_ch)
        self.shape = (size // STRIDE, size // STRIDE, widths[-1])
        self.seed = nn.Linear(latent, math.prod(self.shape))
        outs = (*reversed(widths[:-1]), widths[0])
        ins = (widths[-1], *outs[:-1])
        skips = (*reversed(widths[:-1]), widths[0])
        self.conv = nn.ModuleList(conv(i + s, o) for i, s, o in zip(ins, skips, outs, strict=True))
        self.res = nn.ModuleList(nn.Sequential(ResBlock(c), ResBlock(c)) for c in outs)
        self.attention = Attention(outs[0])
        self.norm, self.out = group_norm(outs[-1]), conv(outs[-1], 3)

    def forward(self, h: Tensor, skips: list[Tensor]) -> Tensor:
        x = self.seed(h).reshape(-1, *self.shape).permute(0, 3, 1, 2)
        for level in range(LEVELS):
            x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = self.conv[level](torch.cat([x, skips[LEVELS - 1 - level]], 1))
            x = self.res[level](x)
            if level == 0:
                x = self.attention(x)
        return self.out(F.silu(self.norm(x)))


class PhysLayer(nn.Module):
    """Both branches in the rotated latent, with a number of steps per sample."""

    mask: Tensor

    def __init__(self, latent: int, dt: float) -> None:
        super().__init__()
        self.dt, half = dt, latent // 2
        self.g0, self.alpha = nn.Parameter(torch.zeros(())), nn.Parameter(torch.zeros(half + 1))
        self.gravity = mlp(half, 64, half)
        self.branch = mlp(latent, 128, 128, 256, 128, 128, latent)
        self.register_buffer("mask", (torch.arange(half) < latent // 6).float())

    def forward(self, h: Tensor, n: Tensor) -> Tensor:
        other, phys = h, h
        for step in range(int(n.max())):
            active = (step < n)[:, None]
            velocity, position = phys.chunk(2, -1)
            pull = self.g0 * self.mask + self.alpha[:-1] * self.gravity(position) + self.alpha[-1] * (1 - self.mask)
            after = velocity - pull * self.dt
            fallen = torch.cat([after, position + 0.5 * (velocity + after) * self.dt], -1)
            other = torch.where(active, other + self.branch(other), other)
            phys = torch.where(active, fallen, phys)
        weight = (BLEND_FLOOR + BLEND_RANGE * torch.exp(-((n / BLEND_STEPS) ** 2)))[:, None]
        return weight * other + (1 - weight) * phys


class O2TTorch(nn.Module):
    """Pictures [B, 4, 3, H, W] in 0..1, PARA [B, 5, 6], n [B] -> predicted picture [B, 3, H, W]."""

    upper: Tensor
    scale: Tensor
    grey: Tensor
    eye: Tensor

    def __init__(self, base_ch: int, size: int, latent: int = 48, dt: float = 0.02) -> None:
        super().__init__()
        self.para = mlp(6, 128, 256, PARA_MAP * PARA_MAP)
        self.encoder, self.decoder = Encoder(base_ch, latent), Decoder(base_ch, latent, size)
        self.skew = nn.Parameter(torch.zeros(latent * (latent - 1) // 2))
        self.layer = PhysLayer(latent, dt)
        self.h_para = mlp(6, 64, latent)
        self.register_buffer("upper", torch.triu_indices(latent, latent, 1))
        self.register_buffer("scale", torch.tensor(PARA_SCALE))
        self.register_buffer("grey", torch.tensor(GREY))
        self.register_buffer("eye", torch.eye(latent))

    def rotation(self) -> Tensor:
        upper = torch.zeros_like(self.eye).index_put((self.upper[0], self.upper[1]), self.skew)
        return torch.linalg.solve(self.eye + upper - upper.T, self.eye - upper + upper.T)

    def channels(self, pictures: Tensor, para: Tensor) -> Tensor:
        maps = self.para(para / self.scale).reshape(*para.shape[:2], PARA_MAP, PARA_MAP)
        maps = F.interpolate(maps, size=pictures.shape[-2:], mode="bilinear")
        grey = torch.einsum("bpchw,c->bphw", pictures, self.grey)
        parts = [part for i in range(NUM_INPUTS) for part in (pictures[:, i], maps[:, i : i + 1])]
        parts.append(maps[:, NUM_INPUTS:])
        parts += [grey[:, j : j + 1] - grey[:, i : i + 1] for i, j in combinations(range(NUM_INPUTS), 2)]
        return torch.cat(parts, 1)

    def forward(self, pictures: Tensor, para: Tensor, n: Tensor) -> Tensor:
        x = self.channels(pictures, para)
        if self.encoder.stem.weight.is_contiguous(memory_format=torch.channels_last):
            x = x.contiguous(memory_format=torch.channels_last)
        h, skips = self.encoder(x)
        matrix = self.rotation()
        h = self.layer(h @ matrix.T, n) @ matrix + self.h_para(para[:, 4] / self.scale)
        return torch.sigmoid(self.decoder(h, skips))


def picture_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """0.7 MSE + 0.3 L1, smoothed as ours."""
    absolute = F.huber_loss(prediction, target, delta=HALF_GREY) / HALF_GREY
    return MSE_SHARE * F.mse_loss(prediction, target) + L1_SHARE * absolute


class Trainer:
    """AdamW at 1e-4 with weight decay 1e-4, global clip 1, cosine to the run's end."""

    def __init__(self, model: O2TTorch, train_steps: int, lr: float = 1e-4, decay: float = 1e-4, clip: float = 1.0):
        self.model, self.clip = model, clip
        self.optimiser = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=decay)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimiser, train_steps)

    def step(self, pictures: Tensor, para: Tensor, n: Tensor) -> float:
        """One step on uint8 `pictures` [B, 5, H, W, 3]; the loss before it."""
        maps = pictures.permute(0, 1, 4, 2, 3).float() / 255.0
        self.optimiser.zero_grad(set_to_none=True)
        loss = picture_loss(self.model(maps[:, :4], para, n), maps[:, 4])
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.optimiser.step()
        self.schedule.step()
        return float(loss.detach())
