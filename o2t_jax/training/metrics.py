"""Averages of metrics between two log lines, and their writers: console, TensorBoard files, JSON lines."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from o2t_jax import media
from o2t_jax.parsing import json_of
from o2t_jax.training import workdir as folders
from o2t_jax.training.clu_writers import MetricWriter, MultiWriter
from o2t_jax.training.progress import Progress
from o2t_jax.training.writers import WRITERS

_MOST_STEPS = 1 << 62
_FILM_FPS = 10.0  # of films in TensorBoard, whose writers know no rate


class Averages:
    """Exact means over the steps since the last log line: every metric is kept as a sum and a count.

    Its state goes into checkpoints, so that a resumed run logs the same as an uninterrupted one.
    """

    def __init__(self, state: Mapping[str, Sequence[float]] | None = None):
        self._sums = {name: (float(total), float(count)) for name, (total, count) in (state or {}).items()}

    def add(self, metrics: Mapping[str, Any]) -> None:
        """Adds one step's metrics: scalars, or (sum, count) pairs."""
        for name, value in metrics.items():
            total, count = value if isinstance(value, tuple) else (value, 1)
            old = self._sums.get(name, (0.0, 0.0))
            self._sums[name] = (old[0] + float(total), old[1] + float(count))

    def means(self) -> dict[str, float]:
        """The means; a metric with a count of zero is left out."""
        return {name: total / count for name, (total, count) in self._sums.items() if count}

    def get_state(self) -> dict[str, list[float]]:
        return {name: list(pair) for name, pair in self._sums.items()}


def mean_of(value: Any) -> float:
    """One step's metric as a number: a scalar, or the mean of a (sum, count) pair (NaN without a count)."""
    if isinstance(value, tuple):
        return float(value[0]) / float(value[1]) if float(value[1]) else math.nan
    return float(value)


def make_writer(names: Iterable[str], workdir: Path, progress: Progress, *, resume_step: int = 0) -> MetricWriter:
    """CLU's MultiWriter over the writers of `writers.WRITERS` with these names, each once.

    Entries that an earlier process logged after `resume_step`, the step from which training resumes, are dropped:
    those steps are about to be repeated.
    """
    makers = [WRITERS.get(name) for name in dict.fromkeys(names)]
    return MultiWriter([make(workdir, progress, resume_step) for make in makers])


class Writer(MetricWriter):
    """The base of log writers: a CLU writer that ignores the kinds of data that a subclass has no method for."""

    def write_scalars(self, step: int, scalars: Mapping[str, Any]) -> None: ...
    def write_images(self, step: int, images: Mapping[str, Any]) -> None: ...
    def write_texts(self, step: int, texts: Mapping[str, str]) -> None: ...
    def write_histograms(self, step: int, arrays: Mapping[str, Any], num_buckets: Any = None) -> None: ...
    def write_hparams(self, hparams: Mapping[str, Any]) -> None: ...
    def write_summaries(self, step: int, values: Mapping[str, Any], metadata: Any = None) -> None: ...
    def write_videos(self, step: int, videos: Mapping[str, Any]) -> None: ...
    def write_audios(self, step: int, audios: Mapping[str, Any], *, sample_rate: int) -> None: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...


class ConsoleWriter(Writer):
    """Prints evaluators' numbers, one line for each evaluator, without subgroups ("test/loss", not "test/FUTURE/loss").

    Subgroups are for tables and TensorBoard; training's own numbers are on the progress line.
    """

    def __init__(self, progress: Progress):
        self._progress = progress

    def write_scalars(self, step: int, scalars: Mapping[str, Any]) -> None:
        groups: dict[str, list[str]] = {}
        for name, value in scalars.items():
            group, _, short = name.rpartition("/")
            groups.setdefault(group, []).append(f"{short} {float(value):.4g}")
        for group, items in groups.items():
            if group not in ("train", "data") and "/" not in group:
                self._progress.line(f"step {step} · {group} · {' · '.join(items)}")

    def write_texts(self, step: int, texts: Mapping[str, str]) -> None:
        for name, text in texts.items():
            self._progress.line(f"step {step} · {name}\n{text}")


class JsonLinesWriter(Writer):
    """One object per call: {"step": n, name: number, ...}. NaN and infinities become null, as JSON has neither.

    A resumed run cuts its rows after `resume_step`. What it measures again at that step (its process was killed after
    the last save and before the result) is not written twice.
    """

    def __init__(self, path: Path, resume_step: int = 0):
        self._there: set[tuple[int, frozenset[str]]] = set()
        if path.exists():
            kept = [line for line in path.read_text(errors="replace").splitlines() if _step_of(line) <= resume_step]
            temporary = path.with_name(path.name + ".tmp")
            temporary.write_text("".join(line + "\n" for line in kept))
            temporary.replace(path)
            self._there = {(resume_step, frozenset(json.loads(x))) for x in kept if _step_of(x) == resume_step}
        self._file = path.open("a")

    def write_scalars(self, step: int, scalars: Mapping[str, Any]) -> None:
        numbers = {name: float(value) for name, value in scalars.items()}
        if (int(step), frozenset({"step", *numbers})) in self._there:
            return
        row = {"step": int(step)} | {name: x if math.isfinite(x) else None for name, x in numbers.items()}
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class TensorBoardWriter(Writer):
    """TensorBoard event files through tensorboardX: no TensorFlow."""

    def __init__(self, folder: Path, resume_step: int = 0):
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=resume_step + 1 if folder.exists() else None)

    def write_scalars(self, step: int, scalars: Mapping[str, Any]) -> None:
        self._check()
        for name, value in scalars.items():
            self._writer.add_scalar(name, float(value), step)

    def write_images(self, step: int, images: Mapping[str, Any]) -> None:
        for name, value in images.items():
            pictures = np.asarray(value)
            self._writer.add_image(name, pictures, step, dataformats="NHWC" if pictures.ndim == 4 else "HWC")

    def write_videos(self, step: int, videos: Mapping[str, Any]) -> None:
        """Writes GIFs among the images (tensorboardX's own method needs moviepy); of N films only the first."""
        from tensorboardX.proto.summary_pb2 import Summary  # type: ignore[attr-defined]

        events = self._writer.file_writer
        assert events is not None
        for name, value in videos.items():
            frames = np.asarray(value)[0] if np.ndim(value) == 5 else np.asarray(value)
            height, width = frames.shape[1:3]
            film = media.gif(frames, _FILM_FPS)
            image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=film)
            events.add_summary(Summary(value=[Summary.Value(tag=name, image=image)]), step)

    def write_texts(self, step: int, texts: Mapping[str, str]) -> None:
        for name, value in texts.items():
            self._writer.add_text(name, value, step)

    def write_histograms(self, step: int, arrays: Mapping[str, Any], num_buckets: Any = None) -> None:
        for name, value in arrays.items():
            self._writer.add_histogram(name, np.asarray(value), step)

    def write_hparams(self, hparams: Mapping[str, Any]) -> None:
        table = "\n".join(f"| {name} | {value} |" for name, value in hparams.items())
        self._writer.add_text("config", f"| field | value |\n|---|---|\n{table}", 0)

    def flush(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        self._check()
        self._writer.close()

    def _check(self) -> None:
        """Raises OSError if the writing thread was ended by one: the queue to it would wait for ever."""
        events: Any = self._writer.file_writer
        worker = events.event_writer._worker
        if worker is not None and not worker.is_alive():
            self._writer.flush()  # raises the same error as in the thread
            raise OSError("the thread that writes TensorBoard's files has ended")


def console_writer(workdir: Path, progress: Progress, resume_step: int) -> MetricWriter:
    """For `WRITERS`; lines already printed remain."""
    del workdir, resume_step
    return ConsoleWriter(progress)


def json_lines_writer(workdir: Path, progress: Progress, resume_step: int) -> MetricWriter:
    """For `WRITERS`: metrics.jsonl."""
    del progress
    return JsonLinesWriter(workdir / folders.METRICS, resume_step)


def tensorboard_writer(workdir: Path, progress: Progress, resume_step: int) -> MetricWriter:
    """For `WRITERS`: the folder tensorboard."""
    del progress
    return TensorBoardWriter(workdir / "tensorboard", resume_step)


def read_metrics(workdir: str | Path) -> list[dict[str, Any]]:
    """The rows of a run's metrics.jsonl; an incomplete last line of a killed process is skipped."""
    path = Path(workdir) / folders.METRICS
    if not path.exists():
        return []
    lines = path.read_text(errors="replace").splitlines()
    return [json.loads(line) for line in lines if not math.isinf(_step_of(line))]


def _step_of(line: str) -> float:
    """The step of a row; infinity for a line that is not a row."""
    try:
        step = json_of(line)["step"]
    except (ValueError, KeyError, TypeError):
        return math.inf
    return step if isinstance(step, int | float) and abs(step) < _MOST_STEPS else math.inf
