"""Parsers of what runs and sets leave: samples, configs, results, logs, checkpoints, kept pictures, digits."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.fuzz.parser import Parser, beside, one_changed


def digits() -> Parser:
    from o2t_jax.data.video.digits import EDGE, load_digits

    images = np.zeros((1, EDGE, EDGE), np.uint8)
    images[:, 5:9] = 200
    idx = struct.pack(">4I", 2051, 1, EDGE, EDGE) + images.tobytes()
    np.savez(plain := io.BytesIO(), images=images)
    np.savez_compressed(packed := io.BytesIO(), images=images, labels=np.arange(1))
    seeds = {"a.idx": idx, "a.gz": gzip.compress(idx), "a.npz": plain.getvalue(), "b.npz": packed.getvalue()}
    return Parser(seeds, lambda path: load_digits(str(path)))


class Numbers:
    """A source of samples that needs no JAX."""

    class Entry(NamedTuple):
        shape: tuple[int, ...]
        dtype: np.dtype

    name, seed, description, splits = "numbers", 1, {"env": "numbers", "scale": 2.0}, {"train": 6, "test": 3}
    spec = {"x": Entry((2,), np.dtype("float32")), "n": Entry((), np.dtype("int64"))}  # noqa: RUF012

    def make(self, split: str, indices: np.ndarray) -> dict[str, np.ndarray]:
        del split
        return {"x": np.ones((len(indices), 2), np.float32), "n": np.asarray(indices, np.int64)}


def made_set(folder: Path, name: str) -> Path:
    from o2t_jax.data.records import write_set

    write_set(folder / name, Numbers(), {"train": 6, "test": 3})  # pyright: ignore[reportArgumentType]
    return folder / name


def read_set(place: Path) -> Any:
    from o2t_jax.data.stored import open_set

    with open_set(place) as stored:
        stored.verify()
        return [stored.read(split, np.arange(size)) for split, size in stored.splits.items()]


def set_metadata(folder: Path) -> Parser:
    """With its own sum made right, so that more than the sum is tried; the shards' sums are not compared."""
    from o2t_jax.data.stored import open_set

    place = made_set(folder, "set_metadata")
    lines = (place / "SHA256SUMS").read_text().splitlines()

    def read(path: Path) -> Any:
        data = path.read_bytes()
        sum_ = f"{hashlib.sha256(data).hexdigest()}  metadata.json"
        (place / "metadata.json").write_bytes(data)
        (place / "SHA256SUMS").write_text("\n".join([sum_ if "metadata" in line else line for line in lines]) + "\n")
        with open_set(place) as stored:
            return [stored.read(split, np.arange(min(size, 9))) for split, size in stored.splits.items()]

    return Parser({"metadata.json": (place / "metadata.json").read_bytes()}, read)


def set_sums(folder: Path) -> Parser:
    place = made_set(folder, "set_sums")
    seed = (place / "SHA256SUMS").read_bytes()
    return Parser({"SHA256SUMS": seed}, beside(place, "SHA256SUMS", lambda: read_set(place)))


def set_shard(folder: Path) -> Parser:
    """Without the sum: the size is right or the set is refused at once, so only changes of the same size go on."""
    from o2t_jax.data.stored import open_set

    place = made_set(folder, "set_shard")
    (shard,) = place.glob("train-*")
    whole, right = shard.read_bytes(), Numbers().make("train", np.arange(6))

    def read(path: Path) -> Any:
        data = path.read_bytes()
        shard.write_bytes((data + whole[len(data) :])[: len(whole)])
        with open_set(place) as stored:
            found = stored.read("train", np.arange(6))
        if any(found[name].tobytes() != right[name].tobytes() for name in right):
            raise RuntimeError("other samples than those that were written, without a word")

    return Parser({"shard": whole}, read)


def config() -> Parser:
    from o2t_jax.config import flatten
    from o2t_jax.training.workdir import config_from_json, config_hash, read_json

    def read(path: Path) -> Any:
        found = config_from_json(read_json(path))
        return flatten(found.to_dict()), config_hash(found)

    tree = {"system": "o2t", "seed": 0, "lr": 1e-3, "world": {"g0": 9.8, "box": [1, 2]}, "free_fields": ["seed"]}
    return Parser({"config.json": json.dumps(tree, indent=1).encode()}, read)


def results() -> Parser:
    from o2t_jax import results as kinds
    from o2t_jax.errors import UsageError
    from o2t_jax.evaluation.writers.folder import INDEX, read_index

    x = np.arange(3.0)
    columns = {"method": kinds.Column(), "error": kinds.Column("m", ".2f")}
    rows = [{"method": "network", "error": 1.0}, {"method": "constant", "error": float("nan")}]
    found = {
        "s": kinds.Scalar(1.0, "m", low=0.0, high=2.0),
        "score": kinds.Score(1.0, baselines={"constant": 2.0}, better="lower"),
        "curve": kinds.ScoreCurve(x, x, baselines={"constant": x + 1}, better="lower"),
        "table": kinds.ScoreTable(columns, rows, baselines=["constant"], better="lower", method="network"),
    }
    index = {name: kinds.to_json(one) | {"step": 3} for name, one in found.items()}

    def read(path: Path) -> Any:
        path.replace(path.parent / INDEX)
        for name, entry in read_index(path.parent).items():
            try:
                kinds.from_json(entry)
            except ValueError as error:  # what it promises, and what the report turns into one line
                raise UsageError(f"{name}: {error}") from error

    return Parser({"results.json": json.dumps(index, indent=1).encode()}, read)


def metrics() -> Parser:
    from o2t_jax.training.metrics import read_metrics
    from o2t_jax.training.workdir import METRICS

    def read(path: Path) -> Any:
        path.replace(path.parent / METRICS)
        return read_metrics(path.parent)

    rows = [json.dumps({"step": step, "train/loss": 1 / (1 + step), "eval/x": None}) for step in range(8)]
    return Parser({METRICS: "\n".join(rows).encode()}, read)


def sessions() -> Parser:
    from o2t_jax.training.provenance import SESSIONS, read_sessions

    def read(path: Path) -> Any:
        path.replace(path.parent / SESSIONS)
        return read_sessions(path.parent)

    rows = [json.dumps({"step": step, "versions": {"jax": "0.1"}, "cores": 2}) for step in range(4)]
    return Parser({SESSIONS: "\n".join(rows).encode()}, read)


def manifest(folder: Path) -> Parser:
    from o2t_jax.training.manifest import NAME, verify_manifest, write_manifest

    place = folder / "checkpoints" / "7"
    for item in ("meta", "params"):
        (place / item).mkdir(parents=True, exist_ok=True)
        (place / item / "data").write_text(item)
    write_manifest(place)
    return Parser({NAME: (place / NAME).read_bytes()}, beside(place, NAME, lambda: verify_manifest(place)))


def kept_pictures(folder: Path) -> Parser:
    """Pictures of a module, of which a damaged file counts as none, and must never be others than those kept.

    The second file is the pictures' part alone: as another program would write it, its sum is made right.
    """
    from o2t_jax.errors import UsageError
    from o2t_jax.render.plugin.cache import PictureCache

    cache = PictureCache(folder / "pictures", "0" * 64)
    pictures = np.random.default_rng(0).integers(0, 255, (2, 8, 8, 3), np.uint8)
    key = cache.key(1, np.zeros(2), np.zeros((2, 2)), np.zeros((2, 3)), (8, 8))
    cache.store(key, pictures)
    whole = cache.path(key).read_bytes()
    head, body = whole[:40], whole[72:]  # what it is, and its key; the pictures, after their sum

    def read(path: Path) -> Any:
        data = path.read_bytes()
        made = head + hashlib.sha256(data).digest() + data
        cache.path(key).write_bytes(made if path.name == "summed" else data)
        found = cache.load(key, pictures.shape)
        if found is None:
            raise UsageError("it counts as none")
        if (found != pictures).any():
            raise RuntimeError("other pictures than those that were kept, without a word")

    return Parser({"a.pic": whole, "summed": body}, read)


# As a training saves it.
META = {
    "system": "toy",
    "data": {"next_step": 7},
    "plan": {"pool_size": 0, "micro_batch": 4, "micro_batches": 1, "devices": 1},
    "window": {"loss": [1.5, 3.0]},
    "digests": {"pieces": "ab"},
}


def checkpoint(folder: Path) -> Parser:
    """A file of a checkpoint, its sums made right: what Orbax and TensorStore read from somebody who means harm."""
    import jax
    import ml_collections
    import optax

    from o2t_jax.training import checkpoint as checkpoints
    from o2t_jax.training.checkpoint_meta import required
    from o2t_jax.training.contract import Plan
    from o2t_jax.training.manifest import write_manifest
    from o2t_jax.training.metrics import Averages
    from o2t_jax.training.state import TrainState

    params = {"layer": {"kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "bias": np.zeros(3, np.float32)}}
    state = TrainState.create(params=params, tx=optax.adam(1e-3), key=jax.random.PRNGKey(0), extra={"mean": np.ones(2)})
    state = jax.tree.map(np.asarray, state)
    with checkpoints.Checkpoints(folder / "run", 1) as store:
        config = ml_collections.ConfigDict({"seed": 0})
        store.save(7, state, config=config, meta=META, readouts={"law": {"g0": 1.0}}, held_out=0.5)
    place = checkpoints.find_step(folder / "run")
    files = [path for path in place.rglob("*/*") if path.is_file()]
    seeds = {str(path.relative_to(place)).replace("/", "!"): path.read_bytes() for path in files}

    def read() -> Any:
        write_manifest(place)
        opened = checkpoints.open_workdir(folder / "run", "best")
        required(opened.meta, place, *META)
        return Plan(**opened.meta["plan"]), Averages(opened.meta["window"]), checkpoints.restore_state(place, state)

    return Parser(seeds, one_changed(place, seeds, read), slow=True, threads=True)


def recording_result(folder: Path) -> Parser:
    """result.json of a measured recording, as the view and a table of recordings read it again."""
    from o2t_jax import media
    from o2t_jax.commands._recording_table import Clip, kept_result
    from o2t_jax.systems.recording_view import RecordingView

    data, kind = media.film(np.zeros((3, 32, 32, 3), np.uint8), 30.0)
    (folder / f"overlay.{kind}").write_bytes(data)
    (folder / "track.csv").write_text("t,id,x,y,used\n" + "\n".join(f"{n / 30},0,{n},{n * n},1" for n in range(8)))
    g = {"value": 9.7, "low": 9.5, "high": None, "unit": "m/s^2"}
    law = {"law": "fall", "parameters": {"g": g}, "refused": ["length: not seen"], "start": 0.0, "end": 0.1}
    result = law | {"overlay": {"file": f"overlay.{kind}", "times": [0.0, 0.033, 0.067]}, "seconds": {"all": 2.0}}
    result |= {"scale": {"source": "a ball"}, "further": [law | {"tracks": [0, 1], "sees": "distance"}]}

    def read(path: Path) -> Any:
        path.replace(folder / "result.json")
        return kept_result(folder, Clip("a.mp4", "fall", (), {"g": 9.8})), RecordingView(folder)

    return Parser({"result.json": json.dumps(result, indent=1).encode()}, read)


__all__ = [
    "checkpoint",
    "config",
    "digits",
    "kept_pictures",
    "manifest",
    "metrics",
    "recording_result",
    "results",
    "sessions",
    "set_metadata",
    "set_shard",
    "set_sums",
]
