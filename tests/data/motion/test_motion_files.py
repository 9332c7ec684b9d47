"""Reading motions: what is written comes back, other skeletons are brought to ours, damage is named in one line."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from o2t_jax.data.motion.amc import read_amc
from o2t_jax.data.motion.bvh import Bvh, bvh_text, parse_bvh, read_bvh
from o2t_jax.data.motion.folders import HUMANML3D, MotionFolder
from o2t_jax.data.motion.gaits import MotionSource
from o2t_jax.data.motion.recorded import RecordedMotions, read_clips
from o2t_jax.data.motion.retarget import matched, plain, retarget
from o2t_jax.errors import UsageError
from o2t_jax.physics.motion.layout import decode
from o2t_jax.physics.motion.skeleton import OURS, Skeleton

CHAIN = """HIERARCHY
ROOT a
{
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT b
  {
    OFFSET 0 2 0
    CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 0 1 0
    }
  }
}
MOTION
Frames: 1
Frame Time: 0.05
1 0 0 0 90 0 0 3 0 -90 0 0
"""


@pytest.fixture(scope="module")
def clip() -> dict[str, np.ndarray]:
    """A walk of 64 frames."""
    made = MotionSource(seed=5).make("train", np.arange(1))
    return {name: leaf[0] for name, leaf in made.items()}


@pytest.fixture(scope="module")
def text(clip) -> str:
    return bvh_text(OURS, clip["root"], clip["rotations"])


def test_a_chain_made_by_hand():
    """b's channels say 3 up in place of its offset 2; a bends it forward by 90 degrees, b its end to the left."""
    file = parse_bvh(CHAIN, "chain.bvh")
    assert (file.names, file.parents, file.rate) == (("a", "b", "b End"), (-1, 0, 1), 20.0)
    np.testing.assert_allclose(file.positions()[0], [[1, 0, 0], [1, 0, 3], [2, 0, 3]], atol=1e-12)


def test_bvh_comes_back(clip, text):
    file = parse_bvh(text, "walk.bvh")
    assert file.rate == pytest.approx(20.0)
    joints = [file.names.index(name) for name in OURS.names]
    np.testing.assert_allclose(file.positions()[:, joints] / 100, clip["positions"], atol=1e-4)
    pose = retarget(file.names, file.positions(), file.rate, "walk.bvh")
    np.testing.assert_allclose(pose.positions, clip["positions"], atol=2e-3)


def test_other_names_units_and_rates_are_brought_to_ours(clip, text):
    file = parse_bvh(text, "walk.bvh")
    names = {"LeftUpLeg": "mixamorig:UpperLeg_L", "LeftArm": "L_UpperArm", "RightArm": "r.humerus", "Hips": "pelvis"}
    other = [names.get(name, name) for name in file.names]
    pose = retarget(other, file.positions() * 0.3937, file.rate, "inches.bvh", 40.0)
    assert pose.rate == 40.0
    np.testing.assert_allclose(pose.positions[::2], clip["positions"], atol=3e-3)
    assert plain("mixamorig:Hand_L") == "lhand"


def test_joints_that_a_file_lacks_are_put_between_their_neighbours(clip):
    kept = [i for i, name in enumerate(OURS.names) if name not in ("Spine", "Chest", "LeftShoulder", "RightShoulder")]
    pose = retarget([OURS.names[i] for i in kept], clip["positions"][:, kept], 20.0, "short.bvh")
    legs = slice(OURS.index("LeftUpLeg"), None)
    np.testing.assert_allclose(pose.positions[:, legs], clip["positions"][:, legs], atol=1e-2)


def test_the_two_data_sets_joints_have_their_names():
    found = matched(HUMANML3D, "x")
    assert HUMANML3D[found["LeftFoot"]] == "left_ankle"
    assert HUMANML3D[found["LeftToe"]] == "left_foot"
    assert HUMANML3D[found["LeftArm"]] == "left_shoulder"
    assert HUMANML3D[found["LeftShoulder"]] == "left_collar"


def test_a_foreign_skeleton_is_refused_by_name():
    file = parse_bvh(CHAIN, "dog.bvh")
    with pytest.raises(UsageError, match=r"dog.bvh is of another skeleton.*Hips, Neck.*it has a, b") as error:
        retarget(file.names, file.positions(), file.rate, "dog.bvh")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("Frames: 1", "Frames: 900000000000"), "cut off"),
        (("1 0 0 0 90", "1 0 0 nan 90"), "frame 0 holds NaN"),
        (("1 0 0 0 90", "1 0 0 x 90"), "no number"),
        (("Frame Time: 0.05", "Frame Time: 0"), "frame time of 0 s"),
        (("HIERARCHY", "HELLO"), "no BVH file"),
        (("OFFSET 0 2 0", "OFFSET 0 2"), "HIERARCHY is damaged"),
        (("CHANNELS 6", "CHANNELS 600000000"), "HIERARCHY is damaged"),
        (("Xposition", "Wposition"), "HIERARCHY is damaged"),
    ],
)
def test_a_damaged_file_is_named(change, told):
    with pytest.raises(UsageError, match=told):
        parse_bvh(CHAIN.replace(change[0], change[1], 1), "x.bvh")


def test_missing_and_short_clips(tmp_path, text):
    with pytest.raises(UsageError, match="is no file"):
        read_bvh(tmp_path / "none.bvh")
    file = parse_bvh(text, "walk.bvh")
    with pytest.raises(UsageError, match="at least 4"):
        retarget(file.names, file.positions()[:2], 20.0, "short.bvh")
    spoilt = file.positions()
    spoilt[7, 3] = np.nan
    with pytest.raises(UsageError, match="frame 7 holds NaN"):
        retarget(file.names, spoilt, 20.0, "nan.bvh")


@pytest.fixture(scope="module")
def archive(tmp_path_factory, text) -> Path:
    """A tar.xz with 40 clips of two actions in five styles."""
    folder = tmp_path_factory.mktemp("clips")
    for number in range(40):
        action, style = ("walk", "bow")[number % 2], f"style{number % 5}"
        (folder / f"set_{action}_{style}_{number:03d}.bvh").write_text(text)
    path = folder / "clips.tar.xz"
    with tarfile.open(path, "w:xz") as file:
        for clip in sorted(folder.glob("*.bvh")):
            file.add(clip, f"bvh/{clip.name}")
    return path


def test_recorded_clips_are_split_by_name(archive, clip):
    motions = RecordedMotions(archive, frames=80)
    assert motions.classes == ("walk", "bow")
    assert sum(motions.splits.values()) == 40
    assert min(motions.splits.values()) > 0
    row = motions.batch("train", [0, 1], starts=[0, 10])
    assert row["features"].shape == (2, 80, 251)
    np.testing.assert_array_equal(row["mask"].sum(1), [64, 54])
    np.testing.assert_allclose(row["positions"][0, :64], clip["positions"], atol=3e-3)
    np.testing.assert_allclose(decode(row["features"][:1, :64])[0], row["positions"][0, :64], atol=1e-4)
    # Turn, step, height, places: how a bone is turned about itself is not in a file's places.
    np.testing.assert_allclose(row["features"][0, :64, :64], clip["features"][:, :64], atol=5e-3)
    with pytest.raises(UsageError, match="clip 99 of split test"):
        motions.batch("test", [99])


def test_the_second_split_holds_out_whole_cells(archive):
    motions = RecordedMotions(archive, split_by="cell")
    cells = {
        split: {(int(motions.labels[i]), motions.clips[i].style) for i in numbers}
        for split, numbers in motions.of_split.items()
    }
    assert cells["test"]
    assert not cells["test"] & (cells["train"] | cells["validation"])
    assert sum(motions.splits.values()) == 40


def test_a_damaged_archive_is_named(archive, tmp_path):
    cut = tmp_path / "cut.tar.xz"
    cut.write_bytes(archive.read_bytes()[:-200])
    with pytest.raises(UsageError, match="no whole archive"):
        read_clips(cut)
    with pytest.raises(UsageError, match="no folder and no archive"):
        read_clips(tmp_path / "none")
    with pytest.raises(UsageError, match=r"no \.bvh file"):
        read_clips(tmp_path)
    (tmp_path / "walk.bvh").write_text("HIERARCHY")
    with pytest.raises(UsageError, match="set_action_style_number"):
        read_clips(tmp_path)


ASF = """:version 1.10
:units
  length 0.45
:root
  order TX TY TZ RX RY RZ
:bonedata
  begin
    id 1
    name arm
    direction 0 1 0
    length 2
    axis 0 0 90 XYZ
    dof rx
  end
  begin
    id 2
    name hand
    direction 1 0 0
    length 1
    axis 0 0 0 XYZ
  end
:hierarchy
  begin
    root arm
    arm hand
  end
"""


def test_asf_and_amc_made_by_hand(tmp_path):
    """The arm's x axis is the world's y: rx 90 turns its hand, not itself; the root then turns all about z by 90."""
    (tmp_path / "a.asf").write_text(ASF)
    (tmp_path / "a.amc").write_text("#!OML\n:FULLY-SPECIFIED\n1\nroot 1 0 0 0 0 90\narm 90\n")
    points = read_amc(tmp_path / "a.asf", tmp_path / "a.amc")
    assert points.names == ("root", "arm", "hand", "handend")
    turn = Rotation.from_euler("z", 90, degrees=True).as_matrix()
    hand = turn @ Rotation.from_euler("y", 90, degrees=True).as_matrix() @ [1, 0, 0]
    places = np.array([[1, 0, 0], [1, 0, 0], [-1, 0, 0], np.add([-1, 0, 0], hand)])
    np.testing.assert_allclose(points.positions[0], places, atol=1e-12)
    (tmp_path / "b.amc").write_text(":FULLY-SPECIFIED\n1\nroot 1 0 0 0 0 90\n")
    with pytest.raises(UsageError, match="0 numbers of arm"):
        read_amc(tmp_path / "a.asf", tmp_path / "b.amc")
    with pytest.raises(UsageError, match="is no file"):
        read_amc(tmp_path / "none.asf", tmp_path / "a.amc")
    (tmp_path / "b.asf").write_text(ASF.replace("direction 1 0 0", "direction 1 0"))
    with pytest.raises(UsageError, match="must have three numbers"):
        read_amc(tmp_path / "b.asf", tmp_path / "a.amc")
    (tmp_path / "b.asf").write_text(ASF.replace("    root arm\n", ""))
    with pytest.raises(UsageError, match="before its parent"):
        read_amc(tmp_path / "b.asf", tmp_path / "a.amc")


def test_a_humanml3d_folder(tmp_path, clip):
    with pytest.raises(UsageError, match="no folder new_joint_vecs"):
        MotionFolder(tmp_path)
    for part in ("new_joint_vecs", "texts"):
        (tmp_path / part).mkdir()
    vectors = np.zeros((6, 263), np.float32)
    np.save(tmp_path / "new_joint_vecs" / "000001.npy", vectors)
    (tmp_path / "texts" / "000001.txt").write_text("a man walks.#a/DET man/NOUN#0.0#0.0\nhe stops#he/PRON#1.5#nan\n")
    (tmp_path / "train.txt").write_text("000001\n000002\n")
    folder = MotionFolder(tmp_path)
    assert folder.names("train") == ["000001"]
    assert folder.features("000001").shape == (6, 263)
    assert [caption.text for caption in folder.captions("000001")] == ["a man walks.", "he stops"]
    with pytest.raises(UsageError, match=r"val\.txt is missing"):
        folder.names("validation")
    with pytest.raises(UsageError, match="no length"):
        folder.pose("000001")  # all zeros
    vectors[2, 5] = np.nan
    np.save(tmp_path / "new_joint_vecs" / "000003.npy", vectors)
    with pytest.raises(UsageError, match="frame 2 holds NaN"):
        folder.features("000003")
    np.save(tmp_path / "new_joint_vecs" / "000004.npy", vectors[:, :168])
    with pytest.raises(UsageError, match="12 J - 1"):
        folder.features("000004")
    for name in ("../000001", "1" * 400):
        (tmp_path / "train.txt").write_text(f"{name}\n")
        with pytest.raises(UsageError, match="no clip's name"):
            folder.names("train")


def test_a_written_chain_has_the_files_tree():
    chain = Skeleton(("a", "b", "c"), (-1, 0, 0), np.array([[0, 0, 0], [0, 1, 0], [1, 0, 0.0]]))
    file: Bvh = parse_bvh(bvh_text(chain, np.zeros((2, 3)), np.broadcast_to(np.eye(3), (2, 3, 3, 3))), "x")
    assert file.names == ("a", "b", "b End", "c", "c End")
