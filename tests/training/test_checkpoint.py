"""Checkpoints: bit-equal round trips, what is kept, and no damaged byte goes unnoticed."""

import contextlib
import json
import os
import pathlib

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict

from o2t_jax.errors import UsageError
from o2t_jax.training import checkpoint, graft, plain_path, start
from o2t_jax.training.manifest import write_manifest
from o2t_jax.training.parts import check_parts
from o2t_jax.training.state import TrainState, of_seed

CONFIG = ConfigDict({"batch": 4, "world": {"g0": 9.81}, "betas": (0.9, 0.99)})
META = {"system": "test", "data": {"next_step": 5}}
READOUTS = {"law": {"g0": 9.7, "alpha": None, "curve": [[0, 1]], "sha": "ab"}, "mass": None}


def make_state(step: int, seed: int = 0) -> TrainState:
    rng = np.random.default_rng(seed)
    params = {
        "net": {"kernel": rng.normal(size=(3, 4)).astype(np.float32), "bias": np.zeros(4, ml_dtypes.bfloat16)},
        "g0": np.float32(rng.normal()),
    }
    tx = optax.multi_transform({"a": optax.adamw(1e-3), "b": optax.sgd(0.1)}, {"net": "a", "g0": "b"})
    tx = optax.chain(optax.clip_by_global_norm(1.0), tx)
    state = TrainState.create(params=jax.tree.map(jnp.asarray, params), tx=tx, key=jax.random.key(seed), extra={})
    grads = jax.tree.map(lambda x: jnp.full_like(x, 0.1), state.params)
    opt_state = tx.update(grads, state.opt_state, state.params)[1]  # so that its moments are not all zero
    state = state.replace(
        step=np.int32(step), opt_state=opt_state, extra={"count": np.arange(3, dtype=np.int32), "mean": {}}
    )
    return jax.tree.map(lambda x: np.array(x), state)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Steps 10 (loss 3), 20 (loss 1, the best), 30 (loss 2), 40 and 50 (not evaluated); the latest two are kept."""
    workdir = tmp_path_factory.mktemp("run")
    with checkpoint.Checkpoints(workdir, keep_latest=2) as store:
        for step, loss in ((10, 3.0), (20, 1.0), (30, 2.0), (40, None), (50, float("nan"))):
            what = {"config": CONFIG, "meta": META, "readouts": READOUTS, "held_out": loss}
            assert store.save(step, make_state(step, seed=step), **what)
        store.wait()
        assert not store.save(50, make_state(50), config=CONFIG, meta=META)  # saved already: left as it is
    return workdir


@pytest.fixture
def copy(saved, tmp_path):
    import shutil

    return shutil.copytree(saved, tmp_path / "copy")


def leaves_equal(a, b) -> bool:
    same = jax.tree.map(lambda x, y: x.dtype == y.dtype and x.tobytes() == y.tobytes(), a, b)
    return jax.tree.all(same)


def test_latest_and_best_are_kept(saved):
    assert checkpoint.saved_steps(saved) == [20, 40, 50]
    assert checkpoint.best_step(saved) == 20
    assert checkpoint.find_step(saved, "best").name == "20"
    assert checkpoint.find_step(saved).name == "50"


def test_state_comes_back_bit_for_bit(saved):
    want = make_state(20, seed=20)
    state = checkpoint.restore_state(checkpoint.find_step(saved, 20), jax.eval_shape(lambda: want))
    assert jax.tree.structure(state) == jax.tree.structure(want)
    assert leaves_equal(state, want)


def test_open_workdir_needs_no_model(saved):
    opened = checkpoint.open_workdir(saved, "best")
    want = make_state(20, seed=20)
    assert opened.step == 20 and opened.config.to_dict() == CONFIG.to_dict() and opened.config.is_locked
    assert leaves_equal(opened.state.params, want.params)
    assert leaves_equal(checkpoint.restore_params(saved, "20"), want.params)
    assert opened.meta["data"] == {"next_step": 5} and opened.meta["readouts"] == READOUTS
    assert opened.state.opt_state is None
    np.testing.assert_array_equal(opened.state.extra["count"], [0, 1, 2])


def test_the_best_may_be_the_largest(tmp_path):
    with checkpoint.Checkpoints(tmp_path, keep_latest=1) as store:
        for step, reward in ((1, -3.0), (2, 5.0), (3, 4.0), (4, None)):
            store.save(step, make_state(step), config=CONFIG, meta=META, held_out=reward, mode="max")
    assert checkpoint.saved_steps(tmp_path) == [2, 4] and checkpoint.best_step(tmp_path) == 2


def test_a_state_of_several_seeds_comes_back_with_its_leading_axis(tmp_path):
    states = [make_state(7, seed) for seed in (1, 2, 3)]
    together = jax.tree.map(lambda *leaves: np.stack(leaves), *states)
    with checkpoint.Checkpoints(tmp_path, keep_latest=1) as store:
        store.save(7, together, config=CONFIG, meta=META, readouts={"law": {"g0": [1.0, 2.0, 3.0]}})
    again = checkpoint.restore_state(checkpoint.find_step(tmp_path), together)
    assert leaves_equal(again, together) and again.step.tolist() == [7, 7, 7]
    assert leaves_equal(of_seed(again, 1), states[1])
    assert checkpoint.read_tree(checkpoint.find_step(tmp_path), "law")["g0"].tolist() == [1.0, 2.0, 3.0]


def test_parts_of_a_state_are_taken_and_the_rest_is_kept():
    source = {"net": {"kernel": np.ones(2), "bias": np.ones(1)}, "head": {"kernel": np.ones((9, 9))}}
    like = jax.tree.map(np.zeros_like, {**source, "head": {"kernel": np.zeros(3)}})
    found = graft.graft_parts(source, like, ("net.kernel",), "params")
    assert found["net"]["kernel"].all() and not found["net"]["bias"].any() and found["head"]["kernel"].shape == (3,)
    assert graft.graft_parts(source, like, ("net",), "params")["net"]["bias"].all()
    with pytest.raises(UsageError, match=r"head/kernel is float64\[9, 9\] there, float64\[3\] here"):
        graft.graft_parts(source, like, ("head",), "params")
    with pytest.raises(UsageError, match=r"freeze='nett' is not a part of the model: did you mean 'net'\?"):
        check_parts([like], ("nett",), "freeze")


def test_law_numbers_lie_beside_the_parameters(saved):
    law = checkpoint.read_tree(checkpoint.find_step(saved), "law")
    assert law["g0"] == 9.7 and np.isnan(law["alpha"]) and law["curve"].shape == (1, 2) and "sha" not in law


@pytest.mark.parametrize("item", ["params", "opt_state", "meta", "law"])
def test_a_flipped_bit_is_an_error_that_names_the_step_and_the_cure(copy, item):
    files = [p for p in (copy / "checkpoints" / "50" / item).rglob("*") if p.is_file() and p.stat().st_size]
    path = max(files, key=lambda p: p.stat().st_size)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"step 50 is damaged: .*delete the folder .*50 to resume from step 40"):
        checkpoint.open_workdir(copy)
    assert checkpoint.open_workdir(copy, 40).step == 40


@pytest.mark.parametrize(
    ("item", "change", "words"),
    [
        ("meta", {"key": [0, 2**64]}, "key of random numbers"),
        ("meta", {"key": [0, -1]}, "key of random numbers"),
        ("meta", {"key": [0.5, 1.0]}, "key of random numbers"),
        ("meta", {"key": [1, [2, 3]]}, "key of random numbers"),
        ("meta", {"key": None}, "key of random numbers"),
        ("meta", {"step": float("inf")}, "holds step inf"),
        ("meta", {"step": 50.0}, "holds step 50.0"),
        ("meta", {"step": "a\nb" * 1000}, r"holds step 'a\\nb"),
        ("meta", {"plan": [1, 2]}, "'plan' of its metadata"),
        ("meta", {"plan": {"pool_size": 1}}, "'plan' of its metadata"),
        ("meta", {"digests": None}, "'digests' of its metadata"),
        ("meta", {"readouts": [1]}, "'readouts' of its metadata"),
        ("meta", {"window": {"loss": 3}}, "'window' of its metadata"),
        ("meta", {"window": {"loss": [10**400, 1]}}, "'window' of its metadata"),
        ("meta", {"system": 7}, "'system' of its metadata"),
        ("meta", None, "schema None"),
        ("config", None, "config"),
    ],
)
def test_somebody_elses_metadata_with_right_sums_is_one_line(copy, item, change, words):
    """Found by fuzzing, like the nests below."""
    folder = copy / "checkpoints" / "50"
    path = folder / item / "metadata"
    path.write_text("[]" if change is None else json.dumps(json.loads(path.read_text()) | change))
    write_manifest(folder)
    with pytest.raises(UsageError, match=words) as error:
        checkpoint.open_workdir(copy)
    assert "\n" not in str(error.value) and len(str(error.value)) < 1000


@pytest.mark.parametrize("metrics", [[1], {"held_out": "x"}, {"held_out": None}])
def test_somebody_elses_held_out_number_is_one_line(copy, metrics):
    folder = copy / "checkpoints" / "20"
    (folder / "metrics" / "metrics").write_text(json.dumps(metrics))
    write_manifest(folder)
    with pytest.raises(UsageError, match="held-out number"):
        checkpoint.best_step(copy)
    with checkpoint.Checkpoints(copy, 2) as store:  # a run that goes on writes as before
        assert store.save(60, make_state(60), config=CONFIG, meta=META, held_out=1.0)


@pytest.mark.parametrize("file", ["config/metadata", "params/_METADATA"])
def test_a_nest_without_an_end_is_one_line(copy, file):
    folder = copy / "checkpoints" / "50"
    (folder / file).write_text("[" * 100_000)
    write_manifest(folder)
    with pytest.raises(UsageError, match="is not a checkpoint of this library"):
        checkpoint.open_workdir(copy)


def test_missing_files_and_manifests_are_errors(copy):
    folder = copy / "checkpoints" / "50"
    (folder / "params" / "_METADATA").unlink()
    with pytest.raises(UsageError, match="lacks the file params/_METADATA"):
        checkpoint.restore_params(copy)
    (folder / "manifest.json").write_text("{")
    with pytest.raises(UsageError, match=r"unreadable manifest\.json"):
        checkpoint.restore_params(copy)
    (folder / "manifest.json").unlink()
    with pytest.raises(UsageError, match=r"has no manifest\.json"):
        checkpoint.restore_params(copy)


def test_a_half_written_save_is_passed_over(copy):
    root = copy / "checkpoints"
    (root / "50").rename(root / "50.orbax-checkpoint-tmp")  # what a SIGKILL in the middle leaves
    assert checkpoint.open_workdir(copy).step == 40
    with checkpoint.Checkpoints(copy, keep_latest=2) as store:
        assert store.save(50, make_state(50, seed=51), config=CONFIG, meta=META)
    assert leaves_equal(checkpoint.restore_params(copy), make_state(50, seed=51).params)


def test_what_does_not_fit_is_named(saved):
    like = make_state(20)
    folder = checkpoint.find_step(saved, 20)
    other = like.replace(params={**like.params, "g0": np.zeros(2, np.float32)})
    with pytest.raises(UsageError, match=r"params .* g0 is float32\[\] there, float32\[2\] here"):
        checkpoint.restore_state(folder, other)
    other = like.replace(extra={"count": np.arange(3, dtype=np.int32), "more": np.zeros(1)})
    with pytest.raises(UsageError, match=r"more is absent there"):
        checkpoint.restore_state(folder, other)


def test_unknown_steps_and_folders(saved, tmp_path):
    for step in (30, "31", "worst"):
        with pytest.raises(UsageError, match=r"choose one of \[20, 40, 50\]"):
            checkpoint.find_step(saved, step)
    with pytest.raises(UsageError, match="holds no checkpoint"):
        checkpoint.open_workdir(tmp_path / "nothing")


def test_a_run_to_start_from_may_have_an_at_in_its_path(copy, tmp_path):
    copy.rename(tmp_path / "a@b")
    for source, step in (("a@b", 50), ("a@b@best", 20), ("a@b@40", 40)):
        assert start.open_source(str(tmp_path / source)).step == step
    with pytest.raises(UsageError, match="a@c holds no checkpoint"):
        start.open_source(str(tmp_path / "a@c@best"))


@pytest.mark.parametrize("read", [checkpoint.open_workdir, checkpoint.restore_params])
def test_a_checkpoint_that_a_run_deletes_meanwhile_gives_way_to_the_next(copy, tmp_path, monkeypatch, read):
    newest = tmp_path / "50"
    (copy / "checkpoints" / "50").rename(newest)
    read_meta, read_first = checkpoint.read_meta, []

    def meanwhile(folder):
        if not read_first:  # the run saves step 50 and deletes 40, of which a part is still there
            newest.rename(copy / "checkpoints" / "50")
            next(folder.glob("params/manifest.ocdbt")).unlink()
        read_first.append(folder.name)
        return read_meta(folder)

    monkeypatch.setattr(checkpoint, "read_meta", meanwhile)
    got = read(copy)
    params = got if read is checkpoint.restore_params else got.state.params
    assert leaves_equal(params, make_state(50, seed=50).params) and read_first == ["40", "50"]
    with pytest.raises(UsageError, match="step 40 lacks the file"):
        read(copy, 40)


# What glob takes for a pattern, what TensorStore takes for a scheme or no UTF-8, and a line break.
STRANGE = ["[a]", "a\\b", "[!a]?", "a**b", "gs:", "a\nb", os.fsdecode(b"\xff")]


@pytest.mark.parametrize("name", STRANGE)
@pytest.mark.skipif(not pathlib.Path("/proc/self/fd").is_dir(), reason="such names are refused here")
def test_a_run_whose_path_is_a_pattern_is_readable_there_and_anywhere(tmp_path, name):
    workdir, moved = tmp_path / name / "run", tmp_path / "moved"
    want = make_state(2, seed=2)
    with checkpoint.Checkpoints(workdir, keep_latest=1) as store:
        for step in (1, 2):
            assert store.save(step, make_state(step, seed=step), config=CONFIG, meta=META)
    assert checkpoint.saved_steps(workdir) == [2], "the earlier one is deleted there, too"
    assert leaves_equal(checkpoint.restore_state(checkpoint.find_step(workdir), want), want)
    workdir.rename(moved)
    assert leaves_equal(checkpoint.restore_params(moved), want.params)


def test_a_state_without_its_optimisers_is_opened_again_too(tmp_path):
    with checkpoint.Checkpoints(tmp_path, keep_latest=1) as store:
        assert store.save(1, make_state(1).replace(opt_state=None), config=CONFIG, meta=META)
    assert leaves_equal(checkpoint.restore_params(tmp_path), make_state(1).params)


def test_where_folders_have_one_name_only_a_pattern_is_refused_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr(plain_path, "_DESCRIPTORS", tmp_path / "absent")
    plain_path.check_name(tmp_path / "lr=1e-4,b ü+(1)")
    with pytest.raises(UsageError, match=r"a name with '\[' '\]' on this system: choose another --workdir"):
        plain_path.check_name(tmp_path / "[a]")


@pytest.mark.parametrize("saves", [1, 2])
def test_what_cannot_be_read_back_is_found_out_at_once(tmp_path, monkeypatch, saves):
    """The checkpoints that Orbax leaves under a pattern lack what joins their parts."""
    monkeypatch.setattr(checkpoint, "plain_path", contextlib.nullcontext)
    with (
        pytest.raises(UsageError, match=r"checkpoint of step 1 cannot be read back: .*params is not a checkpoint"),
        checkpoint.Checkpoints(tmp_path / "[a]", keep_latest=2) as store,
    ):
        for step in range(1, saves + 1):
            store.save(step, make_state(step), config=CONFIG, meta=META)
