"""The parsers that are tried: for each small valid files, made by the library where it can write them, and a reader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.fuzz import motions, recordings, scenes, stores
from benchmarks.fuzz.parser import Parser

NEEDS = {"old_sheets": "xlrd", "kernel": "jplephem"}  # parsers of packages that are in extra `bench` only


def parsers(folder: Path) -> dict[str, Callable[[], Parser]]:
    """Name -> what makes the parser, whose imports only its own process needs. `folder` holds files that are needed."""
    return {
        "calibration": lambda: recordings.calibration(folder),
        "tracks": recordings.tracks,
        "disc_tracks": recordings.disc_tracks,
        "clips_table": recordings.clips_table,
        "numbers": recordings.numbers,
        "xz_numbers": lambda: recordings.xz_numbers(folder),
        "lengths": lambda: recordings.lengths(folder),
        "sheets": lambda: recordings.sheets(folder),
        "old_sheets": recordings.old_sheets,
        "kernel": lambda: recordings.kernel(folder),
        "pictures": recordings.pictures,
        "picture": lambda: recordings.picture(folder),
        "film": recordings.film,
        "recording_result": lambda: stores.recording_result(folder),
        "digits": stores.digits,
        "set_metadata": lambda: stores.set_metadata(folder),
        "set_sums": lambda: stores.set_sums(folder),
        "set_shard": lambda: stores.set_shard(folder),
        "config": stores.config,
        "results": stores.results,
        "metrics": stores.metrics,
        "sessions": stores.sessions,
        "manifest": lambda: stores.manifest(folder),
        "checkpoint": lambda: stores.checkpoint(folder),
        "kept_pictures": lambda: stores.kept_pictures(folder),
        "bvh": motions.bvh,
        "bvh_archive": motions.bvh_archive,
        "amc": lambda: motions.amc(folder),
        "motion_features": lambda: motions.motion_features(folder),
        "motion_texts": lambda: motions.motion_texts(folder),
        "motion_captions": motions.motion_captions,
        "embeddings": lambda: motions.embeddings(folder),
        "wordpiece": lambda: motions.wordpiece(folder),
        "encoder": lambda: motions.encoder(folder),
        "safetensors": motions.safetensors,
        "captions": scenes.captions,
        "genome": lambda: scenes.genome(folder),
        "objects": scenes.objects,
        "sentences": scenes.sentences,
        "laws": scenes.laws,
    }


__all__ = ["NEEDS", "parsers"]
