"""System `scene_parser`: what its config refuses, its captions, sentences read by it, networks of the user's own."""

from __future__ import annotations

import csv
import dataclasses
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from o2t_jax.commands import captions, evaluate, train
from o2t_jax.commands._config import load_config
from o2t_jax.data.scene.captions import graph_text
from o2t_jax.data.scene.coding import encode
from o2t_jax.data.scene.tokens import to_tokens
from o2t_jax.errors import UsageError
from o2t_jax.physics.scene.description import Action, Description, Entity, Relation
from o2t_jax.results import Score
from o2t_jax.systems import scene_local, scene_parser_config
from o2t_jax.systems.base import build_system
from o2t_jax.systems.scene_parser import SceneParser
from o2t_jax.systems.scene_reading import known_only, read_sentence
from o2t_jax.training.state import Initial

WRITTEN = Description(
    (Entity("ball", 1, ("red",)), Entity("dragon"), Entity("box")),
    (Action(0, "fall"), Action(1, "kick", 2), Action(2, "sing")),
    (Relation(0, "on", 1), Relation(0, "near", 2)),
)


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"width": 7}, "width=7 must be even"),
        ({"pairs": 0}, "pairs=0 must be at least 1"),
        ({"dropout": 1.0}, "dropout=1 must be 0 to 0.9"),
        ({"strange": 2.0}, "strange=2 must be 0 to 1"),
        ({"clip": -1.0}, "clip=-1 must not be negative"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(fields: dict[str, Any], part: str) -> None:
    config = scene_parser_config.default()
    config.update(fields)
    with pytest.raises(UsageError) as error:
        build_system(config)
    assert part in str(error.value) and "\n" not in str(error.value)


def parser(**changes: Any) -> SceneParser:
    _, config = load_config("scene/parser:smoke")
    config.update(changes)
    system: Any = build_system(config)
    return system


def test_captions_that_are_not_there_are_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"train\.csv cannot be read"):
        parser(captions=str(tmp_path)).check()


def test_the_variant_of_captions_never_learns_made_sentences(tmp_path: Path, monkeypatch) -> None:
    """They would be cut at the length of captions."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"captions/train\.csv cannot be read"):
        build_system(load_config("scene/parser:captions")[1]).check()


def test_captions_that_are_too_few_or_too_long_are_refused(tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / f"{split}.csv").write_text('caption,scene_graph\na very big red ball,"( ball , is , red )"\n')
    with pytest.raises(UsageError, match=r"the 1 captions of train\.csv are too few"):
        parser(captions=str(tmp_path)).check()
    (tmp_path / "dev.csv").write_bytes((tmp_path / "test.csv").read_bytes())
    parser(captions=str(tmp_path)).check()
    with pytest.raises(UsageError, match="at most length=4 words"):
        parser(captions=str(tmp_path), length=4).data.train  # noqa: B018


@pytest.fixture(scope="module")
def captioned(tmp_path_factory) -> SceneParser:
    """A system on eight captions in three files."""
    return parser(captions=str(write_captions(tmp_path_factory.mktemp("captions"))), length=8, out_length=12)


def write_captions(folder: Path) -> Path:
    """Six captions in each of three files."""
    for split in ("train", "dev", "test"):
        with (folder / f"{split}.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(("caption", "scene_graph"))
            for thing in ("cat", "dog", "box", "hat"):
                rows.writerow((f"{thing} sitting on {thing}", graph_text([(thing, "sit on", thing)])))
            rows.writerow(("a box on a hat", "( box , on , hat )"))
            rows.writerow(("a cat . " + "on and " * 40, "( cat , on , cat )"))  # too long to learn from
    return folder


def test_a_run_of_captions_that_have_changed_is_refused_in_a_line(tmp_path: Path, capsys) -> None:
    """A network of as many words, which it would take for others."""
    folder = write_captions(tmp_path)
    workdir = tmp_path / "run"
    command = ["--config=scene/parser:smoke", f"--config.captions={folder}", f"--workdir={workdir}"]
    command += ["--config.length=8", "--config.out_length=12", "--config.least=1", "--config.device=cpu"]
    assert train.main(command) == 0
    before = (folder / "train.csv").read_text()
    score = ["score", str(folder / "test.csv"), "--parser=learned", f"--parser_workdir={workdir}"]
    assert captions.main(score) == 0
    capsys.readouterr()
    (folder / "train.csv").write_text(before.replace("hat", "pig"))
    further = [*command[:2], *command[3:], f"--config.init_from={workdir}", f"--workdir={tmp_path / 'further'}"]
    for main, given in (
        *((train.main, command), (train.main, further)),
        *((evaluate.main, [f"--workdir={workdir}"]), (captions.main, score)),
    ):
        assert main(given) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and f"{workdir} was trained with another train.csv" in error
        assert "bring that file back as it was" in error
    (folder / "train.csv").write_text(before)
    assert captions.main(score) == 0


def test_the_captions_test_has_both_parsers_and_a_row_that_says_nothing(captioned: SceneParser) -> None:
    assert len(captioned.data.train["target"]) == 5
    state = Initial(captioned.init, captioned.tx, (0,)).make()
    found = dict(captioned.evaluators["test"](state))
    score = found["set_match"]
    assert isinstance(score, Score) and set(score.baselines) == {"rule parser", "nothing is said"}
    # The rules know "on" and the things, and not "sit on": they read one of six.
    assert score.baselines["rule parser"] == pytest.approx(1 / 6)
    assert score.baselines["nothing is said"] == 0.0


def test_a_written_sentence_is_read_with_what_is_unknown_named(monkeypatch) -> None:
    system = parser()
    sentence = "a red ball near a box falls on a dragon who kicks the box"

    written = to_tokens(dataclasses.replace(WRITTEN, actions=WRITTEN.actions[:2]))

    def chosen(params: Any, batch: dict[str, np.ndarray]) -> np.ndarray:
        words, tokens = sentence.split(), written
        listed = system.vocabulary
        return encode(listed, [words], [tokens], system.config.length, 48)["target"]

    monkeypatch.setattr(SceneParser, "chosen", property(lambda self: chosen))
    found = read_sentence(system, None, sentence, ("ball", "box"))
    assert found.unknown == ("dragon",)
    assert [entity.noun for entity in found.entities] == ["ball", "box"]
    assert found.relations == (Relation(0, "near", 1),)
    with pytest.raises(UsageError, match="no known thing"):
        read_sentence(system, None, sentence, ("lamp",))
    sentence, written = "0 balls", ["E", "0", "balls", "."]
    with pytest.raises(UsageError, match="0 things: the number must be from 1 to 6"):
        read_sentence(system, None, sentence, ("balls",))
    for words, part in (("...", "empty"), ("a ball and " * 20, "at most 32")):
        with pytest.raises(UsageError, match=part):
            read_sentence(system, None, words, ("ball",))


def test_what_is_unknown_is_left_out_with_all_that_it_does() -> None:
    found = known_only(WRITTEN, frozenset({"ball", "box"}))
    assert found.actions == (Action(0, "fall"),)
    assert found.unknown == ("dragon", "sing")


@pytest.mark.parametrize(
    ("make", "needed"),
    [
        (scene_local.t5_parser, "config.json"),
        (scene_local.enhancer, "model_index.json"),
    ],
)
def test_networks_of_the_users_own_need_a_local_folder(make: Any, needed: str, tmp_path: Path, monkeypatch) -> None:
    for folder in ("", "no/such/folder", str(tmp_path)):
        with pytest.raises(UsageError, match=needed) as error:
            make(folder)
        assert "\n" not in str(error.value) and "local folder" in str(error.value)
    (tmp_path / needed).write_text("{}")
    monkeypatch.setitem(sys.modules, "transformers", None)
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(UsageError, match="pip install"):
        make(tmp_path)


def test_a_folder_of_another_network_is_one_line(tmp_path: Path, monkeypatch) -> None:
    class Tokenizer:
        @staticmethod
        def from_pretrained(*_: Any, **__: Any) -> None:
            raise OSError("no tokenizer.json\nnor a vocabulary")

    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setitem(sys.modules, "transformers", SimpleNamespace(AutoTokenizer=Tokenizer))
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace())
    with pytest.raises(UsageError, match="cannot be loaded as Tokenizer") as error:
        scene_local.t5_parser(tmp_path)
    assert "\n" not in str(error.value)


def test_a_local_t5_writes_graphs(tmp_path: Path) -> None:
    transformers: Any = pytest.importorskip("transformers")
    pytest.importorskip("torch")
    config = transformers.T5Config(vocab_size=40, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    config.decoder_start_token_id = 0
    transformers.T5ForConditionalGeneration(config).save_pretrained(tmp_path)
    tokenizers: Any = pytest.importorskip("tokenizers")
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"<pad>": 0, "</s>": 1, "<unk>": 2, "a": 3}, "<unk>"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", unk_token="<unk>")
    fast.save_pretrained(tmp_path)
    assert len(scene_local.t5_parser(tmp_path)(["a cat", "a"])) == 2
