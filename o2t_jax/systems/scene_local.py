"""Pretrained networks from folders of the user's, for inference only: what has no version of ours here.

Each needs an extra package and a local folder, refuses in a line without them, and never downloads. M1: a T5 that
writes scene graphs. M8: an image-to-image pipeline over the film's pictures.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from o2t_jax.data.scene.captions import Triple, read_graph
from o2t_jax.errors import UsageError

PREFIX = "Generate Scene Graph: "  # of FACTUAL's own T5 (arXiv 2305.17497)
_TOKENS = 200


def t5_parser(folder: str | Path, prefix: str = PREFIX, batch: int = 32) -> Callable[[Sequence[str]], list[Any]]:
    """Captions -> graphs, by a T5 folder (config.json, weights, tokenizer) that writes "( a , on , b ) , ...".

    Raises: UsageError where the folder or the extra [text] is missing.
    """
    path = _folder(folder, "config.json", "a T5 that writes scene graphs")
    transformers = _package("transformers", "text")
    torch = _package("torch", "text")
    tokenizer = _loaded(transformers.AutoTokenizer, path)
    model = _loaded(transformers.T5ForConditionalGeneration, path).eval()

    def parse(captions: Sequence[str]) -> list[tuple[Triple, ...]]:
        found: list[tuple[Triple, ...]] = []
        for first in range(0, len(captions), batch):
            given = tokenizer([prefix + c for c in captions[first : first + batch]], return_tensors="pt", padding=True)
            with torch.no_grad():
                written = model.generate(**given, max_new_tokens=_TOKENS)
            found += [read_graph(text) for text in tokenizer.batch_decode(written, skip_special_tokens=True)]
        return found

    return parse


def enhancer(
    folder: str | Path, strength: float = 0.3
) -> Callable[[UInt8[np.ndarray, "t h w 3"], str], UInt8[np.ndarray, "t h w 3"]]:
    """M8: pictures and words -> pictures, each by itself, by a local folder of an image-to-image pipeline such as
    Stable Diffusion. Pictures do not know of each other: they may flicker. Raises: UsageError as `t5_parser`."""
    if not 0.0 < strength <= 1.0:
        raise UsageError(f"strength={strength:g} must be above 0 and at most 1")
    path = _folder(folder, "model_index.json", "an image-to-image pipeline")
    pipeline = _loaded(_package("diffusers", "text").AutoPipelineForImage2Image, path)

    def enhance(frames: np.ndarray, words: str) -> np.ndarray:
        from PIL import Image

        size = (frames.shape[2], frames.shape[1])
        made = [pipeline(words, image=Image.fromarray(frame), strength=strength).images[0] for frame in frames]
        return np.stack([np.asarray(picture.convert("RGB").resize(size), np.uint8) for picture in made])

    return enhance


def _loaded(kind: Any, path: Path) -> Any:
    """A pretrained part. Raises: UsageError where the folder holds another one, or not all of it."""
    try:
        return kind.from_pretrained(str(path), local_files_only=True)
    except Exception as error:  # noqa: BLE001 (of the packages, which have no common one)
        why = " ".join(f"{type(error).__name__}: {error}".split())
        raise UsageError(f"{path} cannot be loaded as {kind.__name__} ({why}): give another folder") from error


def _folder(folder: str | Path, needed: str, what: str) -> Path:
    path = Path(folder)
    if not str(folder) or not (path / needed).is_file():
        raise UsageError(f"{str(folder) or 'no folder'}: no {needed} there; give the local folder of {what}")
    return path


def _package(name: str, extra: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UsageError(f'the package {name} is not installed: pip install "o2t_jax[{extra}]"') from None


__all__ = ["PREFIX", "enhancer", "t5_parser"]
