"""Stored sets: what is read is what was made, bit for bit; damage is found before it is used; batches resume."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from pathlib import Path

import grain
import jax
import numpy as np
import pytest

from o2t_jax.data import stored as reading
from o2t_jax.data.records import METADATA, SUMS, named_leaves, packed, record_dtype, set_bytes, write_set
from o2t_jax.data.simulated import SequenceSource, SimulatedSequences
from o2t_jax.data.stored import open_set
from o2t_jax.data.stored_batches import StoredBatches
from o2t_jax.errors import UsageError
from o2t_jax.physics.envs import get_environment

COUNTS = {"train": 150, "validation": 70, "test": 0}


class Source:
    """Arrays of several dtypes; the values of sample i are functions of (split, i)."""

    name, seed, splits = "numbers", 5, COUNTS
    description = {"env": "numbers", "params": {"scale": 2.0}, "dts": (0.1, 0.2)}  # noqa: RUF012
    spec = {  # noqa: RUF012
        "picture": jax.ShapeDtypeStruct((3, 4, 3), np.uint8),
        "params/scale": jax.ShapeDtypeStruct((), np.float32),
        "count": jax.ShapeDtypeStruct((2,), np.int64),
        "seen": jax.ShapeDtypeStruct((5,), np.bool_),
    }

    def make(self, split, indices):
        rows = [np.random.default_rng((list(COUNTS).index(split), int(i))) for i in indices]
        return {
            "count": np.array([rng.integers(-(2**60), 2**60, 2) for rng in rows]),
            "picture": np.array([rng.integers(0, 256, (3, 4, 3), np.uint8) for rng in rows]),
            "params/scale": np.array([rng.normal() for rng in rows], np.float32),
            "seen": np.array([rng.random(5) < 0.5 for rng in rows]),
        }


SOURCE = Source()


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """Three files of train and two of validation."""
    folder = tmp_path_factory.mktemp("sets") / "numbers" / "a"
    write_set(folder, SOURCE, COUNTS, about={"command": "test"}, shard_bytes=64 * record_dtype(SOURCE.spec).itemsize)
    return folder


@pytest.fixture
def copy(whole, tmp_path) -> Path:
    """A set to be damaged."""
    return Path(shutil.copytree(whole, tmp_path / "copy"))


def same(one, other):
    assert set(one) == set(other)
    for name, array in one.items():
        assert array.dtype == other[name].dtype and array.tobytes() == np.asarray(other[name]).tobytes(), name


def test_any_sample_at_random_is_the_one_that_was_made(whole):
    with open_set(whole, verify=True) as stored:
        assert dict(stored.splits) == COUNTS and list(stored.spec) == list(SOURCE.spec)
        assert len(stored.metadata["splits"]["train"]["files"]) == 3
        indices = np.array([149, 0, 64, 63, 127, 128, 0])
        same(stored.read("train", indices), SOURCE.make("train", indices))
        same(stored.read("validation", np.arange(70)), SOURCE.make("validation", np.arange(70)))
        several = stored.read("train", indices[:6].reshape(2, 3))
        assert several["picture"].shape == (2, 3, 3, 4, 3) and several["params/scale"].shape == (2, 3)
        same(several, {k: v.reshape(2, 3, *v.shape[1:]) for k, v in SOURCE.make("train", indices[:6]).items()})
        assert stored.read("train", np.zeros(0, int))["picture"].shape == (0, 3, 4, 3)


def test_memory_is_bounded_by_closing_files(whole, monkeypatch):
    monkeypatch.setattr(reading, "_READER_BYTES", 2 * reading._READER_BASE + 100_000)
    with open_set(whole) as stored:
        for indices in np.random.default_rng(0).integers(0, 150, (20, 5)):
            same(stored.read("train", indices), SOURCE.make("train", indices))
            assert len(stored._readers) <= 2
    assert not stored._readers


def test_others_read_the_files_without_this_program(whole):
    """By grain and numpy, after the layout in the metadata; the sums are those that `sha256sum` knows."""
    metadata = json.loads((whole / METADATA).read_text())
    assert metadata["command"] == "test" and metadata["seed"] == 5
    layout = np.dtype([(entry["name"], entry["dtype"], tuple(entry["shape"])) for entry in metadata["spec"]])
    records = grain.sources.ArrayRecordDataSource(sorted(str(path) for path in whole.glob("train-*")))
    assert len(records) == 150
    expected = SOURCE.make("train", np.array([130]))
    same({name: np.frombuffer(records[130], layout)[name] for name in expected}, expected)
    lines = dict(reversed(line.split("  ")) for line in (whole / SUMS).read_text().splitlines())
    assert set(lines) == {path.name for path in whole.iterdir()} - {SUMS}
    assert all(hashlib.sha256((whole / name).read_bytes()).hexdigest() == digest for name, digest in lines.items())
    assert set_bytes(SOURCE.spec, COUNTS) >= sum(path.stat().st_size for path in whole.glob("train-00000*"))


def test_the_same_samples_make_the_same_files(whole, tmp_path):
    write_set(tmp_path / "b", SOURCE, COUNTS, shard_bytes=64 * record_dtype(SOURCE.spec).itemsize)
    for path in whole.glob("*.arrayrecord"):
        assert (tmp_path / "b" / path.name).read_bytes() == path.read_bytes()


def test_a_flipped_byte_is_found_before_it_is_used(copy):
    """By the read of its chunk wherever it changes a sample, and by the sums anywhere."""
    path = copy / "train-00000-of-00003.arrayrecord"
    intact, indices = path.read_bytes(), np.arange(64)
    expected, found = SOURCE.make("train", indices), 0
    record = packed(expected, record_dtype(SOURCE.spec))[20].tobytes()
    inside = intact.index(record)
    for place in [*range(0, 4000, 97), inside, inside + len(record) - 1, len(intact) - 1]:
        path.write_bytes(intact[:place] + bytes([intact[place] ^ 1]) + intact[place + 1 :])
        with open_set(copy) as stored:
            try:
                same(stored.read("train", indices), expected)
                assert not inside <= place < inside + len(record)
            except UsageError:
                found += 1
        with pytest.raises(UsageError, match=r"train-00000-of-00003\.arrayrecord does not match its SHA-256"):
            open_set(copy, verify=True)
    assert found > 20


def test_files_that_have_changed_places_are_found_at_the_first_read(copy):
    """Both are whole and of one size, and each record matches its hash."""
    one, two = (copy / f"train-0000{number}-of-00003.arrayrecord" for number in (0, 1))
    content = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(content)
    with (
        open_set(copy) as stored,
        pytest.raises(UsageError, match=r"train-00001.* cannot be read \(it is another file's content\)"),
    ):
        stored.read("train", np.array([70]))


def changed(**fields):
    """A metadata of other content, with its sum."""

    def change(folder):
        text = json.dumps(json.loads((folder / METADATA).read_text()) | fields)
        lines = [line for line in (folder / SUMS).read_text().splitlines() if METADATA not in line]
        (folder / METADATA).write_text(text)
        digest = hashlib.sha256(text.encode()).hexdigest()
        (folder / SUMS).write_text("\n".join([f"{digest}  {METADATA}", *lines]))

    return change


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (shutil.rmtree, "no set of samples '.*copy', here or in datasets/: make one with python -m experiments"),
        (lambda folder: (folder / SUMS).unlink(), "copy is unfinished: it has no SHA256SUMS; delete it"),
        (lambda folder: (folder / METADATA).unlink(), "copy is damaged: metadata.json is missing"),
        (lambda folder: (folder / METADATA).write_text("{"), "metadata.json does not match its SHA-256"),
        (lambda folder: (folder / "train-00001-of-00003.arrayrecord").unlink(), "train-00001.* is missing"),
        (lambda folder: (folder / "train-00001-of-00003.arrayrecord").write_bytes(b"x"), "1 bytes in place of"),
        (lambda folder: [path.unlink() for path in folder.iterdir()], "copy is not a set of samples: give"),
        (changed(format="pictures"), "not a set of samples: its metadata.json is of the format 'pictures'"),
        (changed(version=2), "has format 2, and this program reads up to 1: update"),
    ],
)
def test_what_is_no_whole_set_is_one_line(copy, damage, message, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    damage(copy)
    with pytest.raises(UsageError, match=message) as raised:
        open_set(copy)
    assert "\n" not in str(raised.value)


def test_a_set_of_another_kind_is_refused_and_one_of_another_seed_is_not(whole):
    class Other(Source):
        seed = 6

    stored = open_set(whole)
    assert stored.require(Other()) is stored
    Other.description = SOURCE.description | {"params": {"scale": 3.0}}
    with pytest.raises(UsageError, match=r"another kind: its params.scale is 2.0, and 3.0 is wanted"):
        stored.require(Other())
    Other.description = {k: v for k, v in SOURCE.description.items() if k != "dts"}
    with pytest.raises(UsageError, match=r"its dts is \[0.1, 0.2\], and None is wanted"):
        stored.require(Other())
    Other.description, Other.spec = SOURCE.description, SOURCE.spec | {"seen": jax.ShapeDtypeStruct((6,), np.bool_)}
    with pytest.raises(UsageError, match=r"a sample has seen: bool \(5,\), and bool \(6,\) is wanted"):
        stored.require(Other())
    for read, message in (
        (lambda: stored.read("tran", [0]), "no split 'tran': did you mean 'train'"),
        (lambda: stored.read("validation", [3, 70]), "sample 70 is outside of validation, which has 70"),
        (lambda: stored.read("train", [-1]), "sample -1 is outside"),
    ):
        with pytest.raises(UsageError, match=message):
            read()


def test_an_interrupted_set_leaves_nothing_and_a_finished_one_is_never_overwritten(whole, tmp_path):
    def stop(done, total):
        assert list(tmp_path.glob(".c.unfinished-*/train-*")) and total == sum(COUNTS.values())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_set(tmp_path / "c", SOURCE, COUNTS, progress=stop)
    assert not list(tmp_path.iterdir())
    with pytest.raises(UsageError, match="nothing is overwritten"):
        write_set(whole, SOURCE, COUNTS)
    with pytest.raises(UsageError, match="split 'tests' is unknown: numbers has train"):
        write_set(tmp_path / "c", SOURCE, {"tests": 3})
    with pytest.raises(UsageError, match="--train=-1"):
        write_set(tmp_path / "c", SOURCE, {"train": -1})


def test_a_source_that_is_not_as_it_says_is_an_error():
    dtype, made = record_dtype(SOURCE.spec), SOURCE.make("train", np.arange(2))
    with pytest.raises(ValueError, match="count: int32"):
        packed(made | {"count": made["count"].astype(np.int32)}, dtype)
    with pytest.raises(ValueError, match="their spec"):
        packed({"count": made["count"]}, dtype)
    with pytest.raises(ValueError, match="cannot be stored"):
        record_dtype({"key": jax.eval_shape(lambda: jax.random.key(0))})


def test_batches_are_permutations_that_depend_on_seed_and_step_alone(whole):
    def numbers(**options):
        batches = StoredBatches(open_set(whole), "train", 40, **options)
        try:
            return np.stack([next(batches)["count"] for _ in range(15)])
        finally:
            batches.close()

    first = numbers()
    rows = first.reshape(-1, 2)  # 600 samples: four epochs of 150
    epochs = [rows[i : i + 150] for i in range(0, 600, 150)]
    everything = np.unique(SOURCE.make("train", np.arange(150))["count"], axis=0)
    for epoch in epochs:
        np.testing.assert_array_equal(np.unique(epoch, axis=0), everything)
    assert not np.array_equal(epochs[0], epochs[1])
    np.testing.assert_array_equal(numbers(), first)
    other = numbers(seeds=(1,))
    # Neighbouring seeds do not share epochs.
    assert not any(np.array_equal(other.reshape(-1, 2)[:150], epoch) for epoch in epochs)
    np.testing.assert_array_equal(numbers(seeds=(0, 1)), np.stack([first, other], axis=1))
    shares = [numbers(process_index=i, process_count=2) for i in range(2)]
    np.testing.assert_array_equal(np.concatenate(shares, axis=1), first)


def test_batches_go_on_where_they_stood_and_end(whole, copy):
    before = threading.active_count()
    batches = StoredBatches(
        open_set(whole), "train", 40, prepare=lambda x, *_: {"count": x["count"]}, place=lambda x: [x]
    )
    batches.start()
    assert list(next(batches)[0]) == ["count"]
    second, position = next(batches)[0]["count"], batches.get_state()
    third = next(batches)[0]["count"]
    batches.close()
    assert threading.active_count() == before and not np.array_equal(second, third)
    resumed = StoredBatches(open_set(whole), "train", 40, position=json.loads(json.dumps(position)))
    np.testing.assert_array_equal(next(resumed)["count"], third)
    assert resumed.get_state() == {"next_step": 3} and resumed.stats()["batches"] == 1.0
    resumed.close()
    for split, batch, processes, message in (
        ("test", 4, 1, "test has no samples"),
        ("train", 5, 2, "batch=5 must be a positive multiple of the 2"),
    ):
        with pytest.raises(UsageError, match=message):
            StoredBatches(open_set(whole), split, batch, process_count=processes)
    path = copy / "train-00002-of-00003.arrayrecord"
    path.write_bytes(bytes(path.stat().st_size))
    broken = StoredBatches(open_set(copy), "train", 150)
    with pytest.raises(UsageError, match=r"train-00002-of-00003\.arrayrecord cannot be read"):
        next(broken)
    broken.close()


def test_stored_sequences_are_those_made_on_the_fly(tmp_path):
    """Bit for bit, whichever others are in the batch; no sequence is in two splits."""
    env = get_environment("ballistic", g0=9.81, ranges={"g0": (9.0, 10.0)})
    data = SimulatedSequences(env, steps=4, dts=(0.05, 0.1), seed=3)
    source = SequenceSource(data)
    assert set(source.spec) == {"states", "actions", "params/g0", "dt", "events/below_ground"}
    assert source.description == {
        "env": "ballistic",
        "law": "constant",
        "params": {},
        "ranges": {"g0": [9.0, 10.0]},
        "steps": 4,
        "dts": [0.05, 0.1],
    }
    write_set(tmp_path / "set", source, {"train": 80, "validation": 20, "test": 20})
    with open_set(tmp_path / "set") as stored:
        assert stored.require(source) is stored
        starts = []
        for split, count in stored.splits.items():
            starts.append(stored.read(split, np.arange(count))["states"][:, 0])
            for size in (1, 7, 20):
                indices = np.random.default_rng(size).integers(0, count, size)
                same(stored.read(split, indices), named_leaves(data.batch(split, indices)))
        events = stored.read("train", np.arange(80))["events/below_ground"]
        assert events.shape == (80, 4, 1) and events.dtype == np.int32
        assert len(np.unique(np.concatenate(starts), axis=0)) == 120
    with pytest.raises(UsageError, match=r"its ranges\.g0 is"):
        other = get_environment("ballistic", g0=9.81, ranges={"g0": (9.0, 11.0)})
        open_set(tmp_path / "set").require(SequenceSource(SimulatedSequences(other, 4, (0.05, 0.1), 3)))
