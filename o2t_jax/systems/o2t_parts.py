"""The parts of the O2T system that a config describes: network, cameras, acceptance, loss, rates, renderer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax.numpy as jnp

from o2t_jax.config import Config, from_flat
from o2t_jax.data.o2t.acceptance import AcceptanceRule
from o2t_jax.data.o2t.shots import ShotConfig
from o2t_jax.models.o2t.ablations import LAW_BRANCHES
from o2t_jax.models.o2t.encoders import ENCODERS
from o2t_jax.models.o2t.loss import LossWeights
from o2t_jax.models.o2t.network import O2TModel
from o2t_jax.models.o2t.optimiser import Rates
from o2t_jax.physics.forces import NONE, force_of
from o2t_jax.physics.gravity import gravity_of
from o2t_jax.systems import o2t_config
from o2t_jax.types import Renderer

MODULE_CACHE = "runs/module_cache"


def make_model(config: Config) -> O2TModel:
    """The network that a config describes."""
    return LAW_BRANCHES[config.law_branch](
        base_ch=config.base_ch,
        latent_dim=config.latent_dim,
        gauge=config.gauge,
        used_slots=config.used_slots,
        dt=config.dt,
        n_max=config.n_max,
        k_max=config.k_max,
        force=config.learn_force,
        shoot_rounds=config.shoot_rounds,
        matting=config.matting,
        outline=config.outline,
        compose=config.compose,
        camera_size=config.camera_size if config.sampler == "flights" else 0,
        remat=config.remat,
        dtype=jnp.dtype(config.dtype),
        encoder_type=ENCODERS.get(config.encoder),
    )


def make_views(config: Config) -> ShotConfig:
    """Times and cameras of a sample; a distance of 0 in the config is None here."""
    return from_flat(ShotConfig, config, **{name: config[name] or None for name in o2t_config.OPTIONAL_DISTANCES})


def make_visibility(config: Config) -> AcceptanceRule:
    """Which samples are kept."""
    return from_flat(AcceptanceRule, config, min_pixels=config.min_pixels or None)


def make_weights(config: Config) -> LossWeights:
    """Weights of the loss."""
    return LossWeights(
        swap=config.swap_weight,
        law=config.law_weight,
        departure=config.departure_weight,
        alpha=config.alpha_l2,
        huber=config.huber,
        motion=config.motion_weight,
        alpha_start=config.alpha_start,
        visited_rate=config.visited_rate,
    )


def make_rates(config: Config) -> Rates:
    """Learning rates; in the free gauge g0 and alpha train with the network, as in the guide."""
    own = (config.lr_tower, config.lr_g0, config.lr_alpha) if config.gauge == "camera" else (None, None, None)
    force = config.lr_force if config.learn_force != NONE.name else None
    return Rates(config.lr, config.weight_decay, config.clip, *own, force=force)


def make_renderer(config: Config) -> tuple[Renderer, Any]:
    """The renderer behind its camera, and the scene that aims its cameras (RoomPhys' room for a plugged-in module)."""
    from o2t_jax.render.filmed import FilmConfig, Filmed
    from o2t_jax.render.sensor import Sensor

    renderer, scene = _bare_renderer(config)
    film = from_flat(FilmConfig, config.film)
    return (Filmed(renderer, film) if film.acts else Sensor(renderer)), scene


def _bare_renderer(config: Config) -> tuple[Renderer, Any]:
    from o2t_jax.render.scenes import get_scene

    if config.module:
        from o2t_jax.render.plugin.renderer import PluginRenderer

        cache = {"auto": Path(MODULE_CACHE), "off": None}.get(config.module_cache, Path(config.module_cache))
        renderer = PluginRenderer(
            config.module, config.module_python or None, cache_dir=cache, workers=config.render_workers
        )
        return renderer, get_scene("room")
    from o2t_jax.render.opencv.renderer import SceneRenderer
    from o2t_jax.render.raycast.renderer import RaycastRenderer

    scene = get_scene(config.scene or config.default_scene)
    kind = RaycastRenderer if config.render_backend == "device" else SceneRenderer
    return kind(scene, gravity_of(config.world), config.integrator, force_of(config.world)), scene
