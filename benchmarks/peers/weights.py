"""Our parameters in a PyTorch network whose modules have our names, and its gradients in our layout."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

# Orders of axes: a convolution's kernel is [k, k, in, out] with us and [out, in, k, k] there.
_OURS, _THEIRS = (2, 3, 1, 0), (3, 2, 0, 1)


def places_first(features: int) -> np.ndarray:
    """`F.pixel_shuffle(x, 2)` counts channels before places, ours places before channels: their channel -> ours."""
    return np.arange(features).reshape(4, features // 4).T.ravel()


class Shuffled(nn.Conv2d):
    """A convolution before `F.pixel_shuffle(x, 2)`.

    Transferred weights are put into its order of channels, so that a step has no work for it.
    """

    def __init__(self, channels: int, features: int, kernel: int = 3) -> None:
        super().__init__(channels, features, kernel, padding=kernel // 2)
        self.order = places_first(features)


class Unshuffled(nn.Conv2d):
    """A 1x1 convolution after `F.pixel_unshuffle(x, 2)`; see `Shuffled`."""

    def __init__(self, channels: int, features: int) -> None:
        super().__init__(channels, features, 1)
        self.order = places_first(channels)


def places(network: nn.Module) -> Iterator[tuple[str, Tensor, nn.Module]]:
    """(our path, joined by /; their parameter; its module) of every parameter."""
    for where, module in network.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            path = where.split(".") if where else []
            if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1):
                path.append("Conv_0")
            if isinstance(module, nn.GroupNorm):
                path += ["GroupNorm_0", "scale" if name == "weight" else name]
            elif isinstance(module, nn.LayerNorm):
                path.append("scale" if name == "weight" else name)
            else:
                path.append("kernel" if name == "weight" else name)
            yield "/".join(path), parameter, module


def load(network: nn.Module, params: Mapping[str, Any]) -> None:
    """Copies `params` (path -> array, see `flat`) into the network; raises ValueError if a weight is left over."""
    left = dict(params)
    for path, parameter, module in places(network):
        array = np.asarray(left.pop(path), np.float32)
        if array.ndim == 4:
            array = array.transpose(_THEIRS)
        elif array.ndim == 2:
            array = array.T[:, :, None, None] if parameter.ndim == 4 else array.T
        array = _ordered(array, module)
        if array.shape != parameter.shape:
            raise ValueError(f"{path} has shape {array.shape}, the PyTorch network's {tuple(parameter.shape)}")
        with torch.no_grad():
            parameter.copy_(torch.tensor(array))
    if left:
        raise ValueError(f"the PyTorch network has no {', '.join(left)}")


def gradients(network: nn.Module) -> dict[str, np.ndarray]:
    """Path -> gradient, in our layout."""
    return _ours(network, lambda parameter: parameter.grad)


def parameters(network: nn.Module) -> dict[str, np.ndarray]:
    """Path -> parameter, in our layout."""
    return _ours(network, lambda parameter: parameter)


def _ours(network: nn.Module, pick: Callable[[Tensor], Tensor | None]) -> dict[str, np.ndarray]:
    found = {}
    for path, parameter, module in places(network):
        picked = pick(parameter)
        assert picked is not None, path
        array = _ordered(picked.detach().numpy(), module, back=True)
        if array.ndim == 4:
            array = array.transpose(_OURS) if array.shape[-1] > 1 else array[:, :, 0, 0].T
        elif array.ndim == 2:
            array = array.T
        found[path] = np.array(array)
    return found


def _ordered(array: np.ndarray, module: nn.Module, back: bool = False) -> np.ndarray:
    """Channels of a weight or bias in the order of PyTorch's shuffle, or `back` in ours."""
    if not isinstance(module, Shuffled | Unshuffled):
        return array
    order = np.argsort(module.order) if back else module.order
    if isinstance(module, Shuffled):
        return array[order]
    return array[:, order] if array.ndim == 4 else array
