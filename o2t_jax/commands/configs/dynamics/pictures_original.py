"""An oscillator from pictures, with the sizes of the public original: 64 px, 32 x 8 x 8 latents, hidden 64.

Command: python -m experiments.train --config=experiments/configs/dynamics/pictures_original.py:spatial_hamiltonian
         detached mode: --config.mode=detached
Time:    days on a GPU: 100 epochs of 60,000 sequences are 187,500 steps of 32
Expect:  not trained here. Where it differs from the original: docs/dynamics_pictures.md
"""

from o2t_jax.systems import dynamics_pictures_config

N_SEQS = 60_000
EPOCHS = 100
BATCH = 32


def get_config(predictor="spatial_jump"):
    config = dynamics_pictures_config.default("oscillator", predictor)
    config.update(
        size=64,
        n_seqs=N_SEQS,
        batch=BATCH,
        train_steps=EPOCHS * N_SEQS // BATCH,
        eval_every=N_SEQS // BATCH,
        checkpoint_every=N_SEQS // BATCH,
        lr=1.5e-4,
        schedule="constant",
        clip=0.0,
        encoder_frames=2,
        horizon=29,
        decoded=0,
        latent_channels=32,
        latent_side=8,
        latent_size=32,
        encoder_widths=(24, 48, 64),
        encoder_depths=(0, 2, 2),
        decoder_widths=(48, 48, 48),
        transform_hidden=64,
        predictor_hidden=64,
        vary=("damping:0.1:1",),
    )
    return config
