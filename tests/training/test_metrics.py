"""Averages, and that what is logged can be read back from every output, without TensorFlow."""

import io
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tensorboardX.event_file_writer import EventsWriter  # noqa: F401 - the writer under test uses it
from tensorboardX.proto import event_pb2

from o2t_jax.training.metrics import (
    Averages,
    ConsoleWriter,
    JsonLinesWriter,
    TensorBoardWriter,
    make_writer,
    read_metrics,
)
from o2t_jax.training.progress import Progress, clock
from o2t_jax.training.writers import WRITERS

ROOT = Path(__file__).resolve().parents[2]


def test_pairs_are_means_over_samples_not_over_steps():
    window = Averages()
    window.add({"loss": 1.0, "few": (np.float32(6.0), np.int32(2)), "never": (0.0, 0)})
    window.add({"loss": 2.0, "few": (np.float32(4.0), np.int32(8)), "never": (0.0, 0)})
    assert window.means() == {"loss": 1.5, "few": 1.0}


def test_a_window_survives_json_bit_for_bit():
    window = Averages()
    window.add({"loss": 0.1, "few": (1 / 3, 7)})
    again = Averages(json.loads(json.dumps(window.get_state())))
    for w in (window, again):
        w.add({"loss": 0.2})
    assert again.means() == window.means()


def test_json_lines_are_cut_back_to_where_training_goes_on(tmp_path):
    path = tmp_path / "metrics.jsonl"
    writer = JsonLinesWriter(path)
    for step in (1, 2, 3):
        writer.write_scalars(step, {"loss": float(step), "bad": math.nan})
    writer.close()
    path.write_text(path.read_text() + '{"step": 4, "lo')  # killed while writing
    assert [row["step"] for row in read_metrics(tmp_path)] == [1, 2, 3]
    writer = JsonLinesWriter(path, resume_step=2)
    writer.write_scalars(3, {"loss": 30.0})
    writer.close()
    rows = read_metrics(tmp_path)
    assert [row["loss"] for row in rows] == [1.0, 2.0, 30.0] and rows[0]["bad"] is None


def events_of(folder):
    """The records of the event files: length (8 bytes), its check (4), the event, its check (4)."""
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        while data:
            size = int.from_bytes(data[:8], "little")
            yield event_pb2.Event.FromString(data[12 : 12 + size])
            data = data[12 + size + 4 :]


def test_tensorboard_files_hold_scalars_pictures_and_texts(tmp_path):
    writer = TensorBoardWriter(tmp_path)
    writer.write_scalars(7, {"train/loss": np.float32(0.25)})
    writer.write_images(7, {"test/picture": np.full((6, 5, 3), 200, np.uint8)})
    writer.write_videos(7, {"test/film": np.arange(2 * 6 * 5 * 3, dtype=np.uint8).reshape(2, 6, 5, 3)})
    writer.write_texts(7, {"note": "hello"})
    writer.write_histograms(7, {"weights": np.arange(10.0)})
    writer.write_hparams({"batch": 8})
    writer.close()
    values = {value.tag: (event.step, value) for event in events_of(tmp_path) for value in event.summary.value}
    assert values["train/loss"][0] == 7 and values["train/loss"][1].simple_value == 0.25
    picture = values["test/picture"][1].image
    assert (picture.height, picture.width) == (6, 5) and picture.encoded_image_string.startswith(b"\x89PNG")
    film = values["test/film"][1].image
    assert (film.height, film.width) == (6, 5) and film.encoded_image_string.startswith(b"GIF89a")
    assert {"weights"} <= set(values) and any(tag.startswith("note") for tag in values)


def test_one_writer_for_all_and_no_tensorflow(tmp_path):
    stream = io.StringIO()
    writer = make_writer(WRITERS, tmp_path, Progress(stream))
    scalars = {"train/loss": 1.0, "test/psnr": 20.0, "test/mse": 0.01, "test/DIS/mse": 1.0}
    writer.write_scalars(3, scalars)
    writer.flush()
    writer.close()
    assert stream.getvalue() == "step 3 · test · psnr 20 · mse 0.01\n"
    assert read_metrics(tmp_path) == [{"step": 3, **scalars}]
    assert list((tmp_path / "tensorboard").iterdir())
    assert "tensorflow" not in sys.modules


def test_a_tensorflow_that_cannot_be_imported_is_not_missed(tmp_path):
    """Nothing here asks for it, broken or whole (which takes 13 s to import)."""
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow" / "__init__.py").write_text("raise ImportError('cannot import name runtime_version')")
    code = "import o2t_jax.training.run, o2t_jax.commands.evaluate, sys; assert 'tensorflow' not in sys.modules"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_only_the_chosen_writers_write(tmp_path):
    stream = io.StringIO()
    writer = make_writer(("jsonl", "jsonl", "tests.training.test_metrics:loud"), tmp_path, Progress(stream))
    writer.write_scalars(3, {"train/loss": 1.0})
    writer.close()
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]
    assert read_metrics(tmp_path) == [{"step": 3, "train/loss": 1.0}] and stream.getvalue() == "loud 3\n"


def loud(workdir, progress, resume_step):
    """A writer of one's own."""
    writer = ConsoleWriter(progress)
    writer.write_scalars = lambda step, scalars: progress.line(f"loud {step}")
    return writer


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_one_line_that_updates_itself():
    stream = Terminal()
    progress = Progress(stream)
    progress.update("step 1", plain=False)
    progress.line("saved")
    progress.update("too soon", plain=True)
    progress.close()
    assert stream.getvalue() == "step 1\r\x1b[Ksaved\n"


def test_a_file_gets_plain_lines_only_when_due():
    stream = io.StringIO()
    progress = Progress(stream)
    progress.update("step 1", plain=False)
    progress.update("step 2", plain=True)
    progress.fill(1, 4)
    progress.fill(2, 4)
    progress.fill(4, 4, 8.0)
    assert stream.getvalue() == "step 2\nfilling the buffer 1/4\nfilling the buffer 4/4 · 8 samples/s · ETA 0:00\n"


@pytest.mark.parametrize(("seconds", "text"), [(5, "0:05"), (65, "1:05"), (3725, "1:02:05"), (276480, "3.2 days")])
def test_clock(seconds, text):
    assert clock(seconds) == text
