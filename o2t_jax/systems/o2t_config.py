"""The O2T system's config: every field, its default, unit and meaning. Needs no JAX.

The files in `experiments/configs` start from `default()` and change some fields. Fields named as in the original guide
keep their meaning: module, train_steps, batch, lr, base_ch, latent_dim, render_size, pool_size, initial_fill,
render_workers, device. Lengths are in m, times in s, angles in degrees. The components' dataclasses (`ShotConfig`,
`FlightConfig`, ...) take these fields by name and have no defaults of their own.
"""

from __future__ import annotations

from typing import Any

from ml_collections import ConfigDict

from o2t_jax.config import Config, Field, Group, config_of, declared, flatten, put
from o2t_jax.errors import UsageError
from o2t_jax.limits import NOT_NEGATIVE, POSITIVE, SHARE, Limits, at_least
from o2t_jax.models.o2t.encoders import ENCODERS, STRIDE
from o2t_jax.physics.families import params_of
from o2t_jax.physics.forces import FORCES, NONE, force_of
from o2t_jax.physics.gravity import LAWS, gravity_of
from o2t_jax.registry import Registry
from o2t_jax.systems import base_config

MAX_RENDER_SIZE = 2048
MIN_BASE_CH, MAX_BASE_CH = 8, 512
LEAST_BITS = 1000.0  # bit/s, as of `render.effects.h264`, which needs more than a config does


def _world_fields(families: Registry[Any]) -> tuple[Field, ...]:
    """`world.NAME` for each parameter of a registered law of gravity, or of a registered force."""
    users = {name: [family for family in families if name in families[family].names] for name in params_of(families)}
    return tuple(
        Field(f"world.{name}", param.default, f"of {', '.join(users[name])}: {param.meaning}")
        for name, param in params_of(families).items()
    )


WORLD = Group(
    "The world: a scene of the project, or a module of the user's own",
    (
        Field("scene", "", "ballistic, fall or room; empty: default_scene, unless a module is named"),
        Field("default_scene", "ballistic", "the scene if neither scene nor module is set"),
        Field("module", "", "path or importable name of a module with render_scene_<id>"),
        Field("module_python", "", "interpreter that the module runs under; empty: this one"),
        Field(
            "module_cache",
            "auto",
            "where a module's pictures are kept: auto (runs/module_cache), off, or a path",
            free=True,
        ),
        Field("world.law", "hyperbolic", "the hidden law of gravity g(z) of a scene", tuple(LAWS)),
        *_world_fields(LAWS),
        Field("world.force", NONE.name, "a hidden force of the velocity beside gravity, in free flight", tuple(FORCES)),
        *_world_fields(FORCES),
        Field("integrator", "exact", "exact, or benchmark (RoomPhys' semi-implicit Euler)", ("exact", "benchmark")),
        Field(
            "render_backend",
            "opencv",
            "opencv (on the host), or device (ray-cast by JAX on the network's device, where samples of ballistic and "
            "room, sampler=pairs, also stay)",
            ("opencv", "device"),
        ),
    ),
)
PICTURES = Group(
    "Pictures and times",
    (
        Field("render_size", 64, "height and width of the pictures, px; a multiple of 32"),
        Field("dt", 0.05, "one step of the physics layer, s"),
        Field("k_min", 4, "least steps from the first to the second stereo pair: t2 = t1 + k dt"),
        Field("k_max", 8, "most steps from the first to the second stereo pair"),
        Field("n_max", 16, "most steps from t1 to the target: its time is t1 + n dt"),
        Field("t1_max", 0.1, "t1 is drawn from [0, t1_max], s (sampler=pairs)"),
        Field(
            "curriculum",
            "scaled",
            "modes over the run: scaled (phases at 0, 2, 8, 25% of train_steps), guide (0, 1k, 10k, 50k), no_view",
            ("scaled", "guide", "no_view"),
        ),
        Field("sampler", "pairs", "pairs (a stereo pair near the ball), or flights", ("pairs", "flights")),
        Field("motion_threshold", 12, "a pixel moved where a channel differs by more than this, bytes"),
        Field("max_attempts", 200, "rejected shots (or setups, sampler=flights) after which a sample gives up"),
        Field(
            "candidates",
            12,
            "the same for a sample made on the device, which is then left out and counted",
            within=at_least(2),
        ),
    ),
)
CAMERAS = Group(
    "Cameras of a sample (sampler=pairs)",
    (
        Field("stereo_gap", 0.5, "distance of the two eyes, m"),
        Field("convergence", 0.0, "distance at which the eyes' axes meet, m; 0: parallel", within=NOT_NEGATIVE),
        Field(
            "distance_min",
            0.0,
            "least horizontal distance of camera 1 from the scene, m; 0: the scene's own",
            within=NOT_NEGATIVE,
        ),
        Field(
            "distance_max",
            0.0,
            "largest horizontal distance of camera 1 from the scene, m; 0: the scene's own",
            within=NOT_NEGATIVE,
        ),
        Field(
            "focus",
            0.0,
            "distance on camera 1's axis that the target camera aims at, m; 0: by its angles alone",
            within=NOT_NEGATIVE,
        ),
        Field("view_azimuth", 15.0, "half range of the target camera's turn in VIEW, degrees"),
        Field("view_elevation", 5.0, "half range of its elevation in VIEW, degrees"),
        Field("view_shift", 1.0, "half range of its shift along and across camera 1's heading in VIEW, m"),
        Field("future_azimuth", 10.0, "half range of the target camera's turn in FUTURE, degrees"),
        Field("future_elevation", 3.0, "half range of its elevation in FUTURE, degrees"),
        Field("future_shift", 0.5, "half range of its shift along and across camera 1's heading in FUTURE, m"),
        Field("require_whole", True, "reject samples whose moving things touch the border"),
        Field("min_pixels", 0, "smallest moving mask, px; 0: 0.1% of the picture"),
    ),
)
FILM = Group(
    "How a picture is filmed (render_backend=opencv, or a module)",
    (
        Field("film.noise", 0.0, "the sensor's noise, standard deviation in grey levels", within=Limits(0, 255)),
        Field("film.exposure", 0.0, "how long the shutter is open, s; at most 1 / film.fps", within=NOT_NEGATIVE),
        Field("film.bits", 0.0, "rate of H.264, bit a pixel of a frame; 0: not compressed", within=Limits(0, 24)),
        Field(
            "film.fps",
            30.0,
            "frames/s of the film that a picture is a frame of",
            within=Limits(0, 1000, above=True),
        ),
        Field("film.frames", 8, "frames of that film, which every picture has for itself", within=at_least(4)),
    ),
)
FLIGHTS = Group(
    "Whole flights (sampler=flights): windows around a ball, cropped from a static rig's large pictures",
    (
        Field("camera_size", 1024, "height and width of the rig's pictures, px; a sample holds windows of render_size"),
        Field("survey_times", 9, "moments that a setup is rendered at, by each camera of the rig"),
        Field("survey_stride", 4, "steps between two of these moments"),
        Field("survey_start", 0.2, "the first moment is drawn from [0, survey_start], s"),
        Field("num_setups", 0, "number of setups, reused cyclically; 0: always new ones"),
        Field("samples_per_setup", 32, "samples drawn from one setup's pictures"),
        Field("setups_at_once", 4, "setups that alternate"),
        Field("survey_cache", 256, "setups whose windows are kept in memory"),
        Field("window_jitter", 4, "half range of the ball's random offset from the window's centre, px"),
        Field("clean_windows", True, "reject windows in which anything else moves"),
        Field("ball_pixels", 30, "smallest area of a ball in the rig's pictures, px"),
        Field("min_times", 4, "least moments of a flight without a contact"),
        Field("min_span", 0.5, "shortest flight, s"),
        Field("clearance", 0.1, "least height of a flying ball's bottom, m"),
        Field("min_height", 0.5, "height that a flight must reach at some moment, m"),
        Field("min_turn", 20.0, "least horizontal angle at the ball between a stereo pair's cameras, degrees"),
        Field("max_turn", 150.0, "largest such angle, degrees"),
    ),
)
NETWORK = Group(
    "The network",
    (
        Field("gauge", "camera", "camera (the latent is metric), or free (as in the guide)", ("camera", "free")),
        Field("encoder", "unet", f"{', '.join(ENCODERS)}, or package.module:Class (models/o2t/encoders.py)"),
        Field("base_ch", 8, "channels of the first level; a multiple of 4"),
        Field("latent_dim", 48, "numbers in the latent; a multiple of 6"),
        Field("used_slots", 1, "slots of the latent that carry metric numbers"),
        Field("compose", True, "draw slots as spheres over a warped background; False: give the decoder outlines only"),
        Field("dtype", "float32", "compute type of the convolutions", ("float32", "bfloat16")),
        Field("remat", False, "recompute activations in the backward pass, to save memory"),
        Field("learn_force", NONE.name, "a force whose parameters the network learns beside g(z)", tuple(FORCES)),
        Field(
            "force_samples",
            256,
            "held-out samples that a learned force's intervals are read from; 0: no intervals",
            within=NOT_NEGATIVE,
        ),
        Field(
            "shoot_rounds",
            2,
            "rounds of shooting; 0: velocities are plain differences and g is wrong (ablation)",
            within=NOT_NEGATIVE,
        ),
        Field(
            "law_branch",
            "phys",
            "the branch that trains the law; ablations: blend, h_para, encoder (models/o2t/ablations.py)",
            ("phys", "blend", "h_para", "encoder"),
        ),
        Field("outline", True, "a ball's centre is that of a circle fitted to its rim; False: centroid (ablation)"),
        Field("matting", True, "measure the ball by alpha matting; False: by the tower's soft mask (ablation)"),
    ),
)
LOSS = Group(
    "The loss and the optimiser",
    (
        *base_config.OPTIMISER.fields,
        Field("lr_tower", 5e-3, "the mask tower's learning rate", within=NOT_NEGATIVE),
        Field(
            "lr_g0",
            2.0,
            "g0's learning rate, about its first steps in m/s^2; falls to 0.002 of it over the run",
            within=NOT_NEGATIVE,
        ),
        Field("lr_alpha", 0.01, "learning rate of the height term: alpha and its MLP", within=NOT_NEGATIVE),
        Field(
            "lr_force",
            0.005,
            "learning rate of the learned force's parameters; falls like that of g0",
            within=NOT_NEGATIVE,
        ),
        Field("swap_weight", 100.0, "weight of the mask tower's loss", within=NOT_NEGATIVE),
        Field(
            "law_weight",
            1000.0,
            "weight of the law's loss against the picture's, whose optimum for g0 is biased",
            within=NOT_NEGATIVE,
        ),
        Field("departure_weight", 0.1, "weight of the neural branch's contribution to used slots", within=NOT_NEGATIVE),
        Field("alpha_l2", 1.0, "weight of L2 on the height term", within=NOT_NEGATIVE),
        Field("alpha_start", 0.4, "share of the run after which alpha may leave zero", within=SHARE),
        Field(
            "huber",
            0.02,
            "distance from which the law's loss is linear, m; about ten times a sighting's error",
            within=POSITIVE,
        ),
        Field(
            "motion_weight",
            0.0,
            "extra weight of pixels where the target differs from the first picture",
            within=NOT_NEGATIVE,
        ),
        Field(
            "visited_rate",
            0.02,
            "share of a step in the running histogram of visited heights",
            within=Limits(0, 1, above=True),
        ),
    ),
)
HELD_OUT = Group(
    "Held-out samples", (Field("eval_samples", 48, "held-out samples of an evaluation", within=at_least(3)),)
)

OPTIONAL_DISTANCES = ("convergence", "distance_min", "distance_max", "focus")  # m; 0: none

# `base()` leaves the system's name empty.
FIELDS = (
    base_config.RUN.changed(system="o2t"),
    *base_config.FIELDS[1:],
    WORLD,
    PICTURES,
    CAMERAS,
    FILM,
    FLIGHTS,
    base_config.BUFFER,
    NETWORK,
    LOSS,
    HELD_OUT,
)


def default() -> Config:
    """The fields of the CPU-sized `ballistic` run."""
    return config_of(FIELDS)


def completed(config: Config) -> Config:
    """The config itself, or a copy with defaults for missing fields, so that a run of an older version can be read."""
    values = flatten(config.to_dict())
    missing = [field for field in declared(FIELDS).values() if field.name not in values]
    if not missing:
        return config
    config = ConfigDict(config.to_dict())
    for field in missing:
        put(config, field.name, field.default)
    return config


def validate(config: Config) -> None:
    """Refuses invalid O2T fields; `base_config.validate` checks the shared ones.

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
        raise UsageError(f"used_slots={config.used_slots}: the metric slots support only one ball: set it to 1")
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
    gravity_of(config.world)
    _validate_force(config)
    _validate_film(config)
    ENCODERS.check(config.encoder)


def _validate_film(config: Config) -> None:
    film = config.film
    if film.exposure * film.fps > 1 + 1e-9:
        raise UsageError(
            f"film.exposure={film.exposure:g} s is longer than a frame of film.fps={film.fps:g} frames/s "
            f"({1 / film.fps:.3g} s): set --config.film.exposure, or fewer --config.film.fps"
        )
    rate = film.bits * film.fps * config.render_size**2
    if 0 < rate < LEAST_BITS:
        raise UsageError(
            f"film.bits={film.bits:g} is {rate:.3g} bit/s at render_size={config.render_size}: at least "
            f"{LEAST_BITS:g} bit/s are needed; set --config.film.bits to more, or to 0"
        )
    acting = [name for name in ("noise", "exposure", "bits") if film[name] > 0]
    if acting and config.render_backend != "opencv":
        raise UsageError(
            f"film.{acting[0]}={film[acting[0]]:g}: render_backend={config.render_backend} makes pictures without a "
            "camera: remove --config.render_backend"
        )


def _validate_force(config: Config) -> None:
    acts, learned = force_of(config.world).acts, config.learn_force != NONE.name
    if learned and config.gauge != "camera":
        raise UsageError(
            f"learn_force={config.learn_force} needs metres, which gauge={config.gauge} has not: "
            "set --config.gauge=camera or --config.learn_force=none"
        )
    if (acts or learned) and config.sampler != "pairs":
        named = f"learn_force={config.learn_force}" if learned else f"world.force={config.world.force}"
        raise UsageError(
            f"{named}: sampler={config.sampler} finds flights as what is not accelerated sideways, and a force is: "
            "set --config.sampler=pairs and a scene without contacts"
        )
