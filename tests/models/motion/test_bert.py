"""The sentence encoder: BERT's equations against PyTorch's layers, padding, pieces of words, files of another form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from o2t_jax.data.motion.wordpiece import WordPiece
from o2t_jax.data.safetensors import read_safetensors
from o2t_jax.errors import UsageError
from o2t_jax.models.motion.bert import BertSizes, SentenceEncoder, params_of
from o2t_jax.systems.retrieval import sentence_encoder

SIZES = BertSizes(8, 16, 2, 2, 12, max_position_embeddings=20)
PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "walk", "##s", "##ing", "a", "person", ",", "un", "##walk")


def tensors(seed: int = 0) -> dict[str, np.ndarray]:
    """Random weights with the names that the files have."""
    rng = np.random.default_rng(seed)
    d, wide = SIZES.hidden_size, SIZES.intermediate_size
    found = {
        "embeddings.word_embeddings.weight": (SIZES.vocab_size, d),
        "embeddings.position_embeddings.weight": (SIZES.max_position_embeddings, d),
        "embeddings.token_type_embeddings.weight": (2, d),
        "embeddings.LayerNorm.weight": (d,),
        "embeddings.LayerNorm.bias": (d,),
    }
    for i in range(SIZES.num_hidden_layers):
        layer = f"encoder.layer.{i}"
        shapes = {f"attention.self.{x}": (d, d) for x in ("query", "key", "value")}
        shapes |= {"attention.output.dense": (d, d), "intermediate.dense": (wide, d), "output.dense": (d, wide)}
        for name, shape in shapes.items():
            found |= {f"{layer}.{name}.weight": shape, f"{layer}.{name}.bias": shape[:1]}
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            found |= {f"{layer}.{name}.weight": (d,), f"{layer}.{name}.bias": (d,)}
    # Norms near 1, so that a sentence's words matter.
    mean = lambda name: float("LayerNorm.weight" in name)  # noqa: E731
    return {name: rng.normal(mean(name), 0.3, shape).astype(np.float32) for name, shape in found.items()}


def write_safetensors(path: Path, arrays: dict[str, np.ndarray]) -> None:
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, x in arrays.items():
        kind = {"f": "F32", "e": "F16"}[x.dtype.char]
        header[name] = {"dtype": kind, "shape": list(x.shape), "data_offsets": [len(data), len(data) + x.nbytes]}  # pyright: ignore[reportArgumentType]
        data += x.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A tiny random encoder in the form of a MiniLM folder."""
    path = tmp_path_factory.mktemp("minilm")
    write_safetensors(path / "model.safetensors", tensors())
    names = ("hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers", "vocab_size")
    config = {name: getattr(SIZES, name) for name in (*names, "max_position_embeddings")}
    (path / "config.json").write_text(json.dumps(config | {"model_type": "bert", "hidden_act": "gelu"}))
    (path / "vocab.txt").write_text("\n".join(PIECES))
    return path


def test_arrays_come_back_from_a_file(tmp_path: Path) -> None:
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(3, np.float16)}
    write_safetensors(tmp_path / "x.safetensors", arrays)
    found = read_safetensors(tmp_path / "x.safetensors")
    for name, x in arrays.items():
        np.testing.assert_array_equal(found[name], x)
        assert found[name].dtype == x.dtype


def test_bfloat16_is_read(tmp_path: Path) -> None:
    header = json.dumps({"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    (tmp_path / "x.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"\x80\x3f\x20\xc0")
    np.testing.assert_array_equal(read_safetensors(tmp_path / "x.safetensors")["a"].astype(np.float32), [1.0, -2.5])


@pytest.mark.parametrize("content", [b"", b"\xff" * 20, b"\x02" + bytes(7) + b"{]", (2**40).to_bytes(8, "little")])
def test_a_damaged_file_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(UsageError, match="no whole"):
        read_safetensors(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    ("kind", "last", "part"), [("F8_E4M3", 4, "numbers of type F8_E4M3"), ("F32", 10**30, "no whole")]
)
def test_numbers_that_cannot_be_read_are_one_line(tmp_path: Path, kind: str, last: int, part: str) -> None:
    header = json.dumps({"a": {"dtype": kind, "shape": [1], "data_offsets": [0, last]}}).encode()
    (tmp_path / "x.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(UsageError, match=part) as error:
        read_safetensors(tmp_path / "x.safetensors")
    assert "copy it again" not in str(error.value) or part == "no whole"


def test_a_file_that_is_cut_off_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"
    write_safetensors(file, tensors())
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(UsageError, match="no whole"):
        read_safetensors(file)


def test_words_are_cut_into_the_longest_pieces() -> None:
    pieces = WordPiece({piece: i for i, piece in enumerate(PIECES)})
    named = lambda text: [PIECES[i] for i in pieces.numbers(text)[1:-1]]  # noqa: E731
    assert named("A pérson, walking") == ["a", "person", ",", "walk", "##ing"]
    assert named("unwalks") == ["un", "##walk", "##s"]
    assert named("walkx a") == ["[UNK]", "a"]
    assert len(pieces.numbers("a " * 50, 10)) == 10


def test_the_layers_are_those_of_pytorch() -> None:
    torch: Any = pytest.importorskip("torch")
    found, numbers = tensors(), np.array([[2, 4, 6, 3, 0], [2, 8, 3, 0, 0]])
    there = (numbers > 0).astype(np.int32)
    ours: Any = SentenceEncoder(SIZES).apply({"params": params_of(found, SIZES, "here")}, numbers, there)
    get = lambda name: torch.tensor(found[name])  # noqa: E731
    x = get("embeddings.word_embeddings.weight")[torch.tensor(numbers)]
    x = x + get("embeddings.position_embeddings.weight")[:5] + get("embeddings.token_type_embeddings.weight")[0]
    norm = lambda name, y: torch.nn.functional.layer_norm(y, (8,), get(f"{name}.weight"), get(f"{name}.bias"), 1e-12)  # noqa: E731
    x = norm("embeddings.LayerNorm", x)
    for i in range(SIZES.num_hidden_layers):
        layer = torch.nn.TransformerEncoderLayer(8, 2, 16, 0.0, "gelu", 1e-12, batch_first=True).eval()
        name, state = f"encoder.layer.{i}", layer.state_dict()
        for part in ("weight", "bias"):
            own = [get(f"{name}.attention.self.{x}.{part}") for x in ("query", "key", "value")]
            state[f"self_attn.in_proj_{part}"] = torch.cat(own)
            state[f"self_attn.out_proj.{part}"] = get(f"{name}.attention.output.dense.{part}")
            state[f"linear1.{part}"] = get(f"{name}.intermediate.dense.{part}")
            state[f"linear2.{part}"] = get(f"{name}.output.dense.{part}")
            state[f"norm1.{part}"] = get(f"{name}.attention.output.LayerNorm.{part}")
            state[f"norm2.{part}"] = get(f"{name}.output.LayerNorm.{part}")
        layer.load_state_dict(state)
        with torch.no_grad():
            x = layer(x, src_key_padding_mask=torch.tensor(there == 0))
    x = x.numpy() * there[..., None]
    mean = x.sum(1) / there.sum(1, keepdims=True)
    np.testing.assert_allclose(ours, mean / np.linalg.norm(mean, axis=1, keepdims=True), atol=2e-5)


def test_sentences_become_unit_vectors_whatever_they_stand_beside(folder: Path) -> None:
    encode = sentence_encoder(folder)([])
    texts = ["a person walks", "a", "a person walks, a person, walking, unwalks, a person walks"]
    together, alone = encode(texts), np.concatenate([encode([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)
    assert np.abs(together[0] - together[1]).max() > 0.01


def test_it_is_the_model_of_transformers(folder: Path) -> None:
    transformers: Any = pytest.importorskip("transformers")
    torch: Any = pytest.importorskip("torch")
    model = transformers.BertModel.from_pretrained(str(folder), local_files_only=True).eval()
    numbers, there = WordPiece.from_folder(folder).batch(["a person walks", "a"], 8)
    with torch.no_grad():
        states = model(input_ids=torch.tensor(numbers), attention_mask=torch.tensor(there)).last_hidden_state.numpy()
    mean = (states * there[..., None]).sum(1) / there.sum(1, keepdims=True)
    ours = sentence_encoder(folder)([])(["a person walks", "a"])
    np.testing.assert_allclose(ours, mean / np.linalg.norm(mean, axis=1, keepdims=True), atol=2e-5)


def test_a_folder_of_something_else_is_one_line(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no config\.json and no model\.safetensors"):
        sentence_encoder(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    for change, part in (
        ({"hidden_act": "relu"}, "only BERT with gelu"),
        ({"vocab_size": 13}, "has shape"),
        ({"num_hidden_layers": 3}, "has no encoder.layer.2"),
        ({"num_attention_heads": 3}, "no multiple of num_attention_heads=3"),
        ({"hidden_size": "8"}, "hidden_size='8' must be"),
        ({"layer_norm_eps": 10**20}, "layer_norm_eps=100000000000000000000 must be"),
        ({"num_hidden_layers": 2**31}, "num_hidden_layers=2147483648 must be a whole number from 1 to 1000"),
    ):
        (tmp_path / "config.json").write_text(json.dumps(config | change))
        (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
        (tmp_path / "vocab.txt").write_text("\n".join(PIECES))
        with pytest.raises(UsageError, match=part):
            sentence_encoder(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config))
    for content, part in (
        (b"a\nb", r"has no \[CLS\]"),
        (b"\xff\xfe", "no tokenizer.json that holds pieces"),
        ("\n".join([*PIECES, "new"]).encode(), f"more pieces of words than the {SIZES.vocab_size}"),
    ):
        (tmp_path / "vocab.txt").write_bytes(content)
        with pytest.raises(UsageError, match=part):
            sentence_encoder(tmp_path)
    (tmp_path / "vocab.txt").unlink()
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"type": "Unigram", "vocab": [["a", 0.0]]}}))
    with pytest.raises(UsageError, match="is a Unigram tokenizer"):
        sentence_encoder(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(UsageError, match=r"is no config\.json of BERT"):
        sentence_encoder(tmp_path)


def test_a_piece_may_be_a_sign_that_ends_a_line_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(["[CLS]", "\u2028", "[SEP]", "[UNK]"]) + "\n", "utf-8")
    assert WordPiece.from_folder(tmp_path).pieces["[UNK]"] == 3
