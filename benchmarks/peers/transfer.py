"""Puts the parameters of our free-gauge network into its PyTorch version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.peers.o2t_torch import Attention, O2TTorch, ResBlock


def load(model: O2TTorch, params: Mapping[str, Any]) -> None:
    """Copies `params` (of `O2TModel`, gauge `free`) into `model`; raises ValueError if a weight is left over."""
    used = 0

    def put(target: torch.Tensor, value: Any) -> None:
        nonlocal used
        array = np.asarray(value)
        assert target.shape == array.shape, (target.shape, array.shape)
        with torch.no_grad():
            target.copy_(torch.tensor(array))
        used += array.size

    def conv(layer: nn.Conv2d, p: Any) -> None:
        inner = p["Conv_0"]
        put(layer.weight, np.transpose(np.asarray(inner["kernel"]), (3, 2, 0, 1)))
        put(layer.bias, inner["bias"])  # type: ignore[arg-type]

    def norm(layer: nn.GroupNorm, p: Any) -> None:
        put(layer.weight, p["GroupNorm_0"]["scale"])
        put(layer.bias, p["GroupNorm_0"]["bias"])

    def linear(layer: nn.Linear, p: Any) -> None:
        put(layer.weight, np.asarray(p["kernel"]).T)
        put(layer.bias, p["bias"])

    def mlp(layers: nn.Sequential, p: Any) -> None:
        for i, layer in enumerate(x for x in layers if isinstance(x, nn.Linear)):
            linear(layer, p[f"Dense_{i}"])

    def block(layer: ResBlock, p: Any) -> None:
        norm(layer.norm1, p["NormAct_0"])
        norm(layer.norm2, p["NormAct_1"])
        conv(layer.conv1, p["Conv_0"])
        conv(layer.conv2, p["Conv_1"])

    def attention(layer: Attention, p: Any) -> None:
        norm(layer.norm, p)
        linear(layer.qkv, p["qkv"])
        linear(layer.out, p["out"])

    put(model.skew, params["rotation"]["skew"])
    mlp(model.para, params["inputs"]["para"]["MLP_0"])
    mlp(model.h_para, params["h_para"])
    layer = params["layer"]
    put(model.layer.g0, layer["g0"])
    put(model.layer.alpha, layer["alpha"])
    mlp(model.layer.gravity, layer["gravity_mlp"])
    mlp(model.layer.branch, layer["nn_branch"])

    p, encoder = params["encoder"], model.encoder
    conv(encoder.stem, p["stem"])
    for i, (pair, down) in enumerate(zip(encoder.res, encoder.down, strict=True), 1):
        for j, one in enumerate(pair, 1):  # type: ignore[arg-type]
            block(one, p[f"level{i}_res{j}"])
        conv(down, p[f"level{i}_down"])  # type: ignore[arg-type]
    attention(encoder.attention, p["level5_attention"])
    block(encoder.bottleneck[0], p["bottleneck_res1"])  # type: ignore[arg-type]
    attention(encoder.bottleneck[1], p["bottleneck_attention"])  # type: ignore[arg-type]
    block(encoder.bottleneck[2], p["bottleneck_res2"])  # type: ignore[arg-type]
    norm(encoder.norm, p["head_norm"])
    linear(encoder.head[0], p["head1"])  # type: ignore[arg-type]
    linear(encoder.head[2], p["head2"])  # type: ignore[arg-type]

    p, decoder = params["decoder"], model.decoder
    linear(decoder.seed, p["seed"])
    for i, (first, pair) in enumerate(zip(decoder.conv, decoder.res, strict=True), 1):
        conv(first, p[f"level{i}_conv"])  # type: ignore[arg-type]
        for j, one in enumerate(pair, 1):  # type: ignore[arg-type]
            block(one, p[f"level{i}_res{j}"])
    attention(decoder.attention, p["level1_attention"])
    norm(decoder.norm, p["out_norm"])
    conv(decoder.out, p["out"])
    wanted = sum(x.numel() for x in model.parameters())
    if used != wanted:
        raise ValueError(f"{used} numbers were copied, the PyTorch network has {wanted}")
