"""The pointer parser: probabilities, what it writes by itself, and that it can write words in no list."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from o2t_jax.data.scene.coding import ENDINGS, Vocabulary, decode, encode
from o2t_jax.models.scene.parser import PointerParser, loss, write

S, T = 5, 6
LISTED = Vocabulary((".", "is", "on"), ("cat", "the"), lambda word: word.removesuffix("s"))
NAMES = tuple("".join(np.random.default_rng(i).choice(list("bdfgklmnprtaeiou"), 5)) for i in range(250))


@pytest.fixture(scope="module")
def small() -> tuple[PointerParser, Any, dict[str, np.ndarray]]:
    model = PointerParser(LISTED.embedded, LISTED.generated, ENDINGS, S, width=16, dropout=0.0)
    batch = encode(LISTED, [["the", "zaps", "zap"], ["cat"]], [["zap", "is", "zaps", "."], ["cat", "."]], S, T)
    return model, model.init(jax.random.key(0), batch)["params"], batch


def test_the_ways_share_one_probability_and_none_leads_to_padding(small) -> None:
    model, params, batch = small
    chance = np.exp(model.apply({"params": params}, batch))
    assert chance.shape == (2, T, LISTED.generated + 2 * S)
    np.testing.assert_allclose(chance.sum(-1), 1.0, rtol=1e-5)
    assert chance[1, :, LISTED.generated + 1 : LISTED.generated + S].max() == 0.0


def test_the_loss_is_that_of_all_ways_to_each_token(small) -> None:
    model, params, batch = small
    ways = np.asarray(model.apply({"params": params}, batch), np.float64)
    g = LISTED.generated
    # "zap" is the lemma of both "zaps" and "zap", and a word itself; "zaps" only a word; "." only generated.
    parts = [
        np.log(np.exp(ways[0, 0, [g + 2, g + S + 1, g + S + 2]]).sum()),
        ways[0, 1, 1],
        ways[0, 2, g + 1],
        ways[0, 3, 0],
    ]
    second = [np.log(np.exp(ways[1, 0, [g, g + S]]).sum()), ways[1, 1, 0]]
    np.testing.assert_allclose(loss(ways, batch, S), [-np.mean(parts), -np.mean(second)], rtol=1e-5)


def test_writing_by_itself_is_following_what_it_wrote(small) -> None:
    model, params, batch = small
    ways, chosen = write(model, params, batch, LISTED.size, T)
    words = [["the", "zaps", "zap"], ["cat"]]
    ends = [T if 0 not in row else list(row).index(0) for row in chosen.tolist()]
    written = [decode(LISTED, w, row, S) for w, row in zip(words, np.asarray(chosen), strict=True)]
    own = encode(LISTED, words, [[*tokens, "."] for tokens in written], S, T)
    followed = model.apply({"params": params}, own)
    for b, end in enumerate(ends):
        np.testing.assert_allclose(ways[b, : end + 1], followed[b, : end + 1], atol=1e-4)


def test_what_it_writes_does_not_depend_on_the_target(small) -> None:
    model, params, batch = small
    other = batch | {"target": batch["target"] + 1, "before": batch["before"] * 0}
    for one, two in zip(*(write(model, params, b, LISTED.size, T) for b in (batch, other)), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.slow
def test_it_learns_to_copy_words_that_it_never_saw() -> None:
    """Trained on 200 names that are in no list, it writes "X on Y" for 50 others: only a pointer can."""
    model = PointerParser(LISTED.embedded, LISTED.generated, ENDINGS, S, width=32, dropout=0.0)
    rng = np.random.default_rng(0)

    def pairs(count: int, names: tuple[str, ...]) -> tuple[list[list[str]], list[list[str]]]:
        drawn = [rng.choice(names, 2, replace=False).tolist() for _ in range(count)]
        return [["the", a, "on", b] for a, b in drawn], [[a, "on", b, "."] for a, b in drawn]

    batch = encode(LISTED, *pairs(256, NAMES[:200]), S, T)
    params = model.init(jax.random.key(0), batch)["params"]
    tx = optax.adam(1e-2)

    @jax.jit
    def train(params: Any) -> Any:
        def step(state: Any, _: None) -> Any:
            params, moments = state
            objective = lambda p: jnp.mean(loss(jnp.asarray(model.apply({"params": p}, batch)), batch, S))  # noqa: E731
            change, moments = tx.update(jax.grad(objective)(params), moments)
            return (optax.apply_updates(params, change), moments), None

        return jax.lax.scan(step, (params, tx.init(params)), None, length=200)[0][0]

    params = train(params)
    words, truth = pairs(50, NAMES[200:])
    chosen = np.asarray(write(model, params, encode(LISTED, words, [], S, T), LISTED.size, T)[1])
    found = [decode(LISTED, w, row, S) for w, row in zip(words, chosen, strict=True)]
    assert np.mean([a == b[:-1] for a, b in zip(found, truth, strict=True)]) > 0.7
