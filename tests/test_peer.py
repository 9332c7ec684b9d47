"""The PyTorch version that ours is timed against computes the same thing; skipped where PyTorch is not installed."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.models.o2t.loss import picture_loss as our_loss
from o2t_jax.models.o2t.loss import to_float
from o2t_jax.models.o2t.phys_layer import HEIGHT_BINS
from tests.models.conftest import DT, SIZE, init, make_batch, make_model

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
def test_prediction_loss_and_gradient_agree_on_the_same_weights(layout: str) -> None:
    from benchmarks.peers.o2t_torch import O2TTorch, picture_loss
    from benchmarks.peers.transfer import load

    batch = make_batch(2)
    model = make_model(gauge="free", compose=False)
    params = init(model, batch)

    def ours(params):
        pictures = to_float(jnp.asarray(batch["pictures"]))
        out = model.apply(
            {"params": params}, pictures[:, :4], batch["para"], batch["k"], batch["n"], jnp.zeros(HEIGHT_BINS)
        )
        return jnp.mean(our_loss(out.prediction, pictures[:, 4], pictures[:, 0], 0.0)), out.prediction

    (loss, prediction), grads = jax.jit(jax.value_and_grad(ours, has_aux=True))(params)
    peer = O2TTorch(8, SIZE, dt=DT)
    load(peer, params)
    if layout == "channels_last":
        peer = peer.to(memory_format=torch.channels_last)
    maps = torch.tensor(batch["pictures"]).permute(0, 1, 4, 2, 3).float() / 255.0
    found = peer(maps[:, :4], torch.tensor(batch["para"]), torch.tensor(batch["n"]))
    their_loss = picture_loss(found, maps[:, 4])
    their_loss.backward()
    assert np.abs(found.detach().permute(0, 2, 3, 1).numpy() - np.asarray(prediction)).max() < 2e-5
    assert float(their_loss) == pytest.approx(float(loss), rel=1e-5)
    ours_norm = float(np.sqrt(sum(float(jnp.sum(jnp.square(x))) for x in jax.tree.leaves(grads))))
    their_norm = float(torch.sqrt(sum((p.grad**2).sum() for p in peer.parameters())))
    assert their_norm == pytest.approx(ours_norm, rel=1e-4)
    stem = np.asarray(grads["encoder"]["stem"]["Conv_0"]["kernel"]).transpose(3, 2, 0, 1)
    assert np.abs(peer.encoder.stem.weight.grad.numpy() - stem).max() < 1e-4 * np.abs(stem).max()
