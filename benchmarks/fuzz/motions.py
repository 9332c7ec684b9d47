"""Parsers of motion files: BVH, ASF/AMC, folders of HumanML3D and KIT-ML, captions, and a sentence encoder's folder."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fuzz.parser import Parser, alone, one_changed

FRAMES = 6
ASF = """:version 1.10
:root
  order TX TY TZ RX RY RZ
  axis XYZ
:bonedata
  begin
    id 1
    name arm
    direction 1 0 0
    length 2
    axis 0 0 90 XYZ
    dof rx rz
    limits (-90 90)
           (-90 90)
  end
  begin
    name hand
    direction 0 1 0
    length 1
    axis 0 0 0 XYZ
  end
:hierarchy
  begin
    root arm
    arm hand
  end
"""
AMC = ":FULLY-SPECIFIED\n:DEGREES\n" + "".join(f"{n}\nroot 0 {n} 0 0 {9 * n} 0\narm {n} 45\n" for n in (1, 2, 3))

PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "person", "walk", "##s", ".")
BERT = {
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "vocab_size": 9,
    "max_position_embeddings": 16,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
}


def bvh() -> Parser:
    """Read, and brought to our skeleton as a command does."""
    from o2t_jax.data.motion.bvh import read_bvh
    from o2t_jax.data.motion.retarget import retarget

    def read(path: Path) -> Any:
        file = read_bvh(path)
        return retarget(file.names, file.positions(), file.rate, str(path))

    return Parser({"a.bvh": bvh_bytes()}, read)


def bvh_bytes() -> bytes:
    """A person that stands, sways and goes up."""
    from o2t_jax.data.motion.bvh import bvh_text
    from o2t_jax.physics.motion.skeleton import OURS

    time = np.arange(FRAMES) / 20.0
    turns = np.broadcast_to(np.eye(3), (FRAMES, len(OURS), 3, 3))
    return bvh_text(OURS, np.stack([0 * time, 0.9 + time, 0 * time], -1), turns).encode()


def bvh_archive() -> Parser:
    """Plain and packed: a changed .xz is mostly refused by its own sums."""
    from o2t_jax.data.motion.recorded import read_clips

    seeds = {}
    for ending, mode in (("tar", "w:"), ("tar.xz", "w:xz")):
        with tarfile.open(fileobj=(file := io.BytesIO()), mode=mode) as archive:  # pyright: ignore[reportCallIssue, reportArgumentType]
            for number in range(2):
                entry = tarfile.TarInfo(f"clips/set_walk_proud_{number}.bvh")
                entry.size = len(bvh_bytes())
                archive.addfile(entry, io.BytesIO(bvh_bytes()))
        seeds[f"clips.{ending}"] = file.getvalue()
    return Parser(seeds, read_clips)


def amc(folder: Path) -> Parser:
    """Either of the two files is changed."""
    from o2t_jax.data.motion.amc import read_amc

    def read(path: Path) -> Any:
        other = folder / ("whole.amc" if path.suffix == ".asf" else "whole.asf")
        return read_amc(path, other) if path.suffix == ".asf" else read_amc(other, path)

    (folder / "whole.asf").write_text(ASF)
    (folder / "whole.amc").write_text(AMC)
    return Parser({"a.asf": ASF.encode(), "a.amc": AMC.encode()}, read)


def motion_features(folder: Path) -> Parser:
    place = motion_folder(folder, "features")
    np.save(file := io.BytesIO(), np.zeros((FRAMES, 251), np.float32))  # of 21 joints
    np.save(other := io.BytesIO(), np.asfortranarray(np.random.default_rng(0).normal(size=(4, 263))))
    from o2t_jax.data.motion.folders import MotionFolder

    def read(path: Path) -> Any:
        path.replace(place / "new_joint_vecs" / "a.npy")
        return MotionFolder(place).features("a")

    return Parser({"a.npy": file.getvalue(), "b.npy": other.getvalue()}, read)


def embeddings(folder: Path) -> Parser:
    """Of somebody's own evaluator: three arrays that belong together."""
    from o2t_jax.data.motion.embeddings import read_embeddings

    seeds = {}
    for number, name in enumerate(("texts", "true", "ours")):
        np.save(file := io.BytesIO(), np.random.default_rng(number).normal(size=(5, 4)).astype(np.float32))
        seeds[f"{name}.npy"] = file.getvalue()
    place = folder / "embeddings"
    return Parser(seeds, one_changed(place, seeds, lambda: read_embeddings(place)))


def motion_texts(folder: Path) -> Parser:
    """A clip's captions, and the list of a split."""
    from o2t_jax.data.motion.folders import MotionFolder

    place = motion_folder(folder, "texts")

    def read(path: Path) -> Any:
        if path.name == "train.txt":
            path.replace(place / path.name)
            return MotionFolder(place).names("train")
        path.replace(place / "texts" / "a.txt")
        return MotionFolder(place).captions("a")

    captions = "a man walks.#a/DET man/NOUN walk/VERB#0.0#0.0\nhe then sits.#he/PRON sit/VERB#1.5#nan\n"
    return Parser({"a.txt": captions.encode(), "train.txt": b"a\nb\n000123\n"}, read)


def motion_folder(folder: Path, name: str) -> Path:
    place = folder / name
    for part in ("new_joint_vecs", "texts"):
        (place / part).mkdir(parents=True, exist_ok=True)
    np.save(place / "new_joint_vecs" / "a.npy", np.zeros((FRAMES, 251), np.float32))
    return place


def motion_captions() -> Parser:
    from o2t_jax.data.motion.captions import read_motion_captions

    tree = {"00001": {"path": "KIT/4/Walking01", "duration": 5.4, "annotations": [{"text": "A person walks."}] * 2}}
    return Parser({"a.json": json.dumps(tree, indent=1).encode()}, read_motion_captions)


def wordpiece(folder: Path) -> Parser:
    """vocab.txt and tokenizer.json; then a sentence is cut."""
    from o2t_jax.data.motion.wordpiece import WordPiece

    model = {"type": "WordPiece", "unk_token": "[UNK]", "vocab": {piece: i for i, piece in enumerate(PIECES)}}
    place = folder / "pieces"

    def read() -> Any:
        return WordPiece.from_folder(place).batch(["A person walks.", "na\u00efve walkers"], 8)

    seeds = {"vocab.txt": "\n".join(PIECES).encode(), "tokenizer.json": json.dumps({"model": model}).encode()}
    return Parser(seeds, alone(place, read))


def encoder(folder: Path) -> Parser:
    """A sentence encoder's folder, one of whose files is changed: its sizes, its weights, its pieces of words."""
    import jax

    from o2t_jax.models.motion.bert import BertSizes, SentenceEncoder
    from o2t_jax.systems.retrieval import WEIGHTS, sentence_encoder

    one = jax.ShapeDtypeStruct((1, 1), np.int32)
    shapes: Any = jax.eval_shape(SentenceEncoder(BertSizes.from_json(BERT, "")).init, jax.random.key(0), one, one)
    weights = {
        f"{layer}.{'bias' if part == 'bias' else 'weight'}": np.zeros(
            shape.shape[:: -1 if part == "kernel" else 1], "<f4"
        )  # a file has kernels turned
        for layer, parts in shapes["params"].items()
        for part, shape in parts.items()
    }
    seeds = {"config.json": json.dumps(BERT, indent=1).encode(), WEIGHTS: safetensors_bytes(weights)}
    seeds["vocab.txt"] = "\n".join(PIECES).encode()
    place = folder / "encoder"
    return Parser(seeds, one_changed(place, seeds, lambda: sentence_encoder(place)))


def safetensors() -> Parser:
    from o2t_jax.data.safetensors import read_safetensors

    arrays = {"w": np.arange(6, dtype="<f4").reshape(2, 3), "n": np.arange(4), "h": np.ones(2, "<f2")}
    return Parser({"a.safetensors": safetensors_bytes(arrays)}, read_safetensors)


def safetensors_bytes(arrays: dict[str, np.ndarray]) -> bytes:
    """The file's bytes, as the format has them."""
    kinds = {"<f4": "F32", "<i8": "I64", "<f2": "F16"}
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, array in arrays.items():
        span = [len(data), len(data) + array.nbytes]
        header[name] = {"dtype": kinds[array.dtype.str], "shape": array.shape, "data_offsets": span}
        data += array.tobytes()
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


__all__ = [
    "amc",
    "bvh",
    "bvh_archive",
    "embeddings",
    "encoder",
    "motion_captions",
    "motion_features",
    "motion_texts",
    "safetensors",
    "wordpiece",
]
