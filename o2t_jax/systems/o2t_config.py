"""The O2T system's config: every field, its default, unit and meaning. Needs no JAX.

The files in `experiments/configs` start from `default()` and change what they are about. Fields named as in the
original guide keep their meaning: module, train_steps, batch, lr, base_ch, latent_dim, render_size, pool_size,
initial_fill, render_workers, device.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from o2t_jax.errors import UsageError
from o2t_jax.systems import base_config
from o2t_jax.training.workdir import Config

STRIDE = 32
MAX_RENDER_SIZE = 2048
MIN_BASE_CH, MAX_BASE_CH = 8, 512


def default() -> Config:
    """The fields of the CPU-sized `ballistic` run; all lengths in m, times in s, angles in degrees."""
    config = base_config.base()
    config.system = "o2t"
    config.free_fields = (*config.free_fields, "render_workers", "module_cache")

    # The world: a scene of the project, or a module of the user's own.
    config.scene = ""  # ballistic, room; empty: `default_scene`, unless a module is named
    config.default_scene = "ballistic"
    config.module = ""  # path or importable name of a module with render_scene_<id>
    config.module_python = ""  # interpreter the module runs under; empty: this one
    config.module_cache = "auto"  # where a module's pictures are kept: auto (runs/module_cache), off, or a path
    config.world = ConfigDict({"g0": 9.81, "alpha": 0.0})  # hidden truth g(z) = g0 + alpha / (z + 10), for scenes only
    config.integrator = "exact"  # exact, or benchmark (RoomPhys' own semi-implicit Euler)
    config.render_backend = "opencv"  # opencv (on the host), or device (ray-cast by JAX where the network runs)

    # Pictures and times.
    config.render_size = 64  # height and width of the pictures, px; a multiple of 32
    config.dt = 0.05  # one step of the physics layer, s
    config.k_min = 4  # t2 = t1 + k dt
    config.k_max = 8
    config.n_max = 16  # the target's time is t1 + n dt, n up to this
    config.t1_max = 0.1
    config.stereo_gap = 0.5  # distance of the eyes
    config.convergence = 0.0  # distance at which the eyes' axes meet; 0: parallel
    config.distance_min = config.distance_max = 0.0  # horizontal, of camera 1 from the scene; 0: the scene's own
    config.focus = 0.0  # distance on camera 1's axis that the target camera turns to; 0: it turns by the angles alone
    config.view_azimuth = 15.0  # half ranges of the target camera's shift in VIEW ...
    config.view_elevation = 5.0
    config.view_shift = 1.0
    config.future_azimuth = 10.0  # ... and in FUTURE
    config.future_elevation = 3.0
    config.future_shift = 0.5
    config.motion_threshold = 12  # a pixel moved when a channel differs by more than this (bytes)
    config.require_whole = True  # reject samples whose moving things touch the border
    config.min_pixels = 0  # smallest moving mask, px; 0: 0.1% of the picture
    config.max_attempts = 200  # shots drawn in vain before a sample gives up
    config.curriculum = "scaled"  # scaled (phases at 0, 2, 8, 25% of train_steps), guide (0, 1k, 10k, 50k), no_view

    # Whole flights (sampler=flights): windows around a ball, cut from the large pictures of a scene's static rig.
    config.sampler = "pairs"  # pairs (a stereo pair near the ball), flights
    config.camera_size = 1024  # height and width of the rig's pictures, px; a sample holds windows of render_size
    config.survey_times = 9  # moments a setup is rendered at, by each camera of the rig ...
    config.survey_stride = 4  # ... so many steps apart
    config.survey_start = 0.2  # the first moment is drawn from [0, survey_start]
    config.num_setups = 0  # setups used for ever in turn; 0: always new ones
    config.samples_per_setup = 32  # samples drawn from one setup's pictures
    config.setups_at_once = 4  # setups that alternate
    config.survey_cache = 256  # setups whose windows are kept in memory
    config.window_jitter = 4  # half range of the ball's random place off the window's centre, px
    config.clean_windows = True  # nothing else may move in a window
    config.min_span = 0.5  # shortest flight

    # The buffer.
    config.pool_size = 512
    config.initial_fill = 64
    config.render_workers = 2
    config.reuse = 2.0  # how often a sample is drawn on average
    config.buffer = "deterministic"  # deterministic (repeatable), free (the guide's free-running FIFO)

    # The network.
    config.gauge = "camera"  # camera (the latent is metric), free (the guide's own)
    config.base_ch = 8
    config.latent_dim = 48  # a multiple of 6
    config.used_slots = 1  # slots of the latent that carry metric numbers
    config.compose = True  # draw slots as spheres over a warped background; False: hand the decoder outlines only
    config.dtype = "float32"  # compute type of the convolutions: float32, bfloat16
    config.remat = False  # recompute activations in the backward pass, to save memory
    config.shoot_rounds = 2  # 0: velocities are plain differences, and g comes out wrong (an ablation)
    config.law_branch = "phys"  # ablations: blend, h_para, encoder (models/o2t/ablations.py)
    config.outline = True  # the centre of the circle through most of the rim; False: the centroid (an ablation)
    config.matting = True  # measure the ball by its pixels' own mixture; False: by the tower's soft mask (an ablation)

    # The loss and the optimiser.
    config.weight_decay = 1e-4
    config.clip = 1.0  # global norm of the network's gradient
    config.lr_tower = 5e-3  # the mask tower's learning rate
    config.lr_g0 = 2.0  # g0's own at first, about the m/s^2 it moves in a step; falls to 0.002 of it over the run
    config.lr_alpha = 0.01  # of the height term: alpha and its MLP
    config.swap_weight = 100.0
    config.law_weight = 1000.0  # against the picture's L1, whose own optimum for g0 is off by what is drawn wrong
    config.departure_weight = 0.1
    config.alpha_l2 = 1.0
    config.alpha_start = 0.4  # share of the run after which alpha may leave zero
    config.huber = 0.02  # m; ten times what a sighting is off: a wrong one pulls no harder than a few right ones
    config.motion_weight = 0.0

    # Held-out samples.
    config.eval_samples = 48
    return config


def completed(config: Config) -> Config:
    """The config itself, or a copy with the defaults of fields that it lacks: a run of an older version can be read."""
    standard = default()
    missing = [name for name in standard if name not in config]
    if not missing:
        return config
    config = ConfigDict(config.to_dict())
    for name in missing:
        config[name] = standard[name]
    return config


def validate(config: Config) -> None:
    """Refuses O2T fields that cannot work; `base_config.validate` has seen the shared ones.

    Raises: UsageError that names the field, its value, the limit and the cure.
    """
    size = config.render_size
    if size % STRIDE or not STRIDE <= size <= MAX_RENDER_SIZE:
        near = min(max(STRIDE, round(size / STRIDE) * STRIDE), MAX_RENDER_SIZE)
        raise UsageError(
            f"render_size={size} must be a multiple of {STRIDE} from {STRIDE} to {MAX_RENDER_SIZE}: "
            f"set --config.render_size={near}"
        )
    width = config.base_ch
    if width % 4 or not MIN_BASE_CH <= width <= MAX_BASE_CH:
        near = min(max(MIN_BASE_CH, round(width / 4) * 4), MAX_BASE_CH)
        raise UsageError(
            f"base_ch={width} must be a multiple of 4 from {MIN_BASE_CH} to {MAX_BASE_CH}: set --config.base_ch={near}"
        )
    if config.latent_dim < 6 or config.latent_dim % 6:
        near = max(6, round(config.latent_dim / 6) * 6)
        raise UsageError(f"latent_dim={config.latent_dim} must be a multiple of 6: set --config.latent_dim={near}")
    if not 1 <= config.used_slots <= config.latent_dim // 6:
        raise UsageError(f"used_slots={config.used_slots} must be in 1..{config.latent_dim // 6} (latent_dim / 6)")
    if config.used_slots != 1:
        raise UsageError(f"used_slots={config.used_slots}: the metric block follows one ball so far; set it to 1")
    for name, choices in _CHOICES.items():
        if config[name] not in choices:
            raise UsageError(f"{name}={config[name]!r} is unknown: choose one of {', '.join(choices)}")
    if config.module and config.scene:
        raise UsageError(
            f"module={config.module} and scene={config.scene} are both set: "
            "leave one empty (--config.scene= or --config.module=)"
        )
    if config.module and config.render_backend != "opencv":
        raise UsageError(
            f"module={config.module} makes its own pictures: remove --config.render_backend={config.render_backend}"
        )
    if config.module and config.world.to_dict() != default().world.to_dict():
        raise UsageError(f"module={config.module} brings its own world: remove the --config.world.* fields")
    for name in ("lr_tower", "lr_g0", "lr_alpha", "weight_decay", "huber", "swap_weight", "law_weight"):
        if config[name] < 0:
            raise UsageError(f"{name}={config[name]} must not be negative: set --config.{name}")
    for name in ("departure_weight", "alpha_l2", "motion_weight"):
        if config[name] < 0:
            raise UsageError(f"{name}={config[name]} must not be negative: set --config.{name}")
    for name in ("clip", "huber"):
        if config[name] <= 0:
            raise UsageError(f"{name}={config[name]} must be above 0, or nothing is learned: set --config.{name}")
    if config.shoot_rounds < 0:
        raise UsageError(f"shoot_rounds={config.shoot_rounds} must not be negative: set --config.shoot_rounds=2")
    if not 0 <= config.alpha_start <= 1:
        raise UsageError(f"alpha_start={config.alpha_start} is a share of the run: set --config.alpha_start to 0..1")
    for name in OPTIONAL_DISTANCES:
        if config[name] < 0:
            raise UsageError(f"{name}={config[name]} must be a distance in m, or 0: set --config.{name}=0")
    if config.eval_samples < 3:
        raise UsageError(
            f"eval_samples={config.eval_samples} must be at least 3, one of each mode: set --config.eval_samples=3"
        )


# Metres; 0 leaves them out.
OPTIONAL_DISTANCES = ("convergence", "distance_min", "distance_max", "focus")
_CHOICES = {
    "sampler": ("pairs", "flights"),
    "gauge": ("camera", "free"),
    "dtype": ("float32", "bfloat16"),
    "render_backend": ("opencv", "device"),
    "integrator": ("exact", "benchmark"),
    "curriculum": ("scaled", "guide", "no_view"),
    "law_branch": ("phys", "blend", "h_para", "encoder"),
    "buffer": ("deterministic", "free"),
}
