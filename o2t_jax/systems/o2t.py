"""The O2T system: renderer, samples, model, loss, optimiser and measurements, wired from a config."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.config import Config, from_flat
from o2t_jax.data.children import check_memory
from o2t_jax.data.o2t.curriculum import Curriculum, ModeMix
from o2t_jax.data.o2t.flight_config import FlightConfig
from o2t_jax.data.o2t.flight_source import FlightSource
from o2t_jax.data.o2t.pair_source import PairSource
from o2t_jax.data.o2t.sample import held_out_samples, spec_for
from o2t_jax.data.o2t.sample_pipeline import sample_pipeline
from o2t_jax.data.ring import BufferConfig
from o2t_jax.evaluation.o2t.heldout import Balls, HeldOut, collect
from o2t_jax.evaluation.o2t.prediction import PredictionEvaluator
from o2t_jax.geometry.para import DIS, TARGET, VIEW
from o2t_jax.models.o2t.loss import initial_extra, make_loss, to_float, visit
from o2t_jax.models.o2t.optimiser import make_optimiser, schedule
from o2t_jax.physics.forces import NONE, force_truth
from o2t_jax.physics.gravity import truth_of
from o2t_jax.render.scenes import SCENES
from o2t_jax.results import Result
from o2t_jax.systems import base_config, o2t_config, o2t_law, o2t_on_device, o2t_preview
from o2t_jax.systems.base import DataRequest, Plan, System, TrainState
from o2t_jax.systems.o2t_force import headline_of, law_with_force, read_force
from o2t_jax.systems.o2t_parts import (
    make_model,
    make_rates,
    make_renderer,
    make_views,
    make_visibility,
    make_weights,
)
from o2t_jax.systems.o2t_sights import O2TSights
from o2t_jax.training.resources import free_memory
from o2t_jax.training.statistics import Statistic, Sum
from o2t_jax.types import Array, Batch, BatchIterator, PyTree


def build(config: Config) -> O2TSystem:
    """The O2T system of a config. Raises UsageError for fields that cannot work."""
    config = o2t_config.completed(config)
    base_config.validate(config, o2t_config.FIELDS)
    o2t_config.validate(config)
    if not config.module:
        SCENES.check(config.scene or config.default_scene)
    return O2TSystem(config)


class O2TSystem(System):
    """See `o2t_jax.training.contract.System`."""

    name = "o2t"
    size_fields = ("render_size", "base_ch")
    sample_spec: Mapping[str, jax.ShapeDtypeStruct]

    def __init__(self, config: Config) -> None:
        self.config = config
        self.model = make_model(config)
        self.tx = make_optimiser(make_rates(config), config.train_steps)
        self.pool_size = config.pool_size
        self.pool_on_device = o2t_on_device.made_on_device(config)
        self.views = make_views(config)
        self.curriculum = Curriculum.named(config.curriculum, config.train_steps, config.n_max)
        self._buffer(config.pool_size)  # refuses sizes that do not fit together, before anything is rendered
        self.weights = make_weights(config)
        self._loss = make_loss(self.model, self.weights, config.train_steps)
        self.readouts = {"law": self.read_law}
        if config.learn_force != NONE.name:
            self.readouts["force"] = self.read_force
        # One percent of the Earth's gravity; nothing ties g0 to metres in the free gauge.
        self.agreement = {"law/g0_weight": 0.1} if config.gauge == "camera" else {}
        self.flights = from_flat(FlightConfig, config) if config.sampler == "flights" else None
        spec = spec_for((config.render_size, config.render_size), windows=self.flights is not None)
        self.sample_spec = {name: jax.ShapeDtypeStruct(*array) for name, array in spec.items()}
        # Rendering the held-out set takes seconds that a short command need not spend.
        self.evaluators = {"test": lambda state: self._prediction_evaluator(state)}
        if config.gauge == "camera":
            self.evaluators["law"] = self._law_evaluator

    @functools.cached_property
    def source(self) -> PairSource | FlightSource:
        """Samples by (split, index). Made at first use: a module's process starts with it."""
        renderer, scene = make_renderer(self.config)
        config, shape = self.config, (self.config.render_size, self.config.render_size)
        if self.flights is not None:
            return FlightSource(
                renderer,
                scene,
                self.flights,
                config.seed,
                image_size=shape,
                max_attempts=config.max_attempts,
            )
        return PairSource(
            renderer,
            scene,
            self.views,
            config.seed,
            image_size=shape,
            visibility=make_visibility(config),
            max_attempts=config.max_attempts,
        )

    def _buffer(self, pool_size: int, process_count: int = 1) -> BufferConfig:
        """Sizes of this process's ring. A pool smaller than the config's is filled less."""
        config = self.config
        batch = config.batch // process_count
        fill = config.initial_fill if pool_size == config.pool_size else min(config.initial_fill, pool_size)
        fill = max(batch, fill // process_count) if process_count > 1 else fill
        return from_flat(BufferConfig, config, pool_size=pool_size, initial_fill=fill, batch=batch)

    def check(self) -> None:
        """The scene or module is there, and a module can be loaded."""
        getattr(self.source.renderer, "check", lambda: None)()
        if self.pool_on_device:
            o2t_on_device.check_machine(self.config)
        if self.in_children:
            check_memory(self.config.render_workers, free_memory().host)

    def init(self, key: Array) -> tuple[PyTree, PyTree]:
        """Parameters by Flax' initialisers, g0 and alpha at zero; no height visited yet."""
        # A batch as a step has it: what is traced of the network here need not be traced again there.
        batch = {name: jnp.zeros((self.config.batch, *x.shape), x.dtype) for name, x in self.sample_spec.items()}
        extra = initial_extra()
        variables = self.model.init(
            jnp.asarray(key),
            to_float(batch["pictures"]),
            batch["para"],
            batch["k"],
            batch["n"],
            extra["visited"],
            batch.get("window"),
        )
        return variables["params"], extra

    def loss(
        self, params: PyTree, extra: PyTree, batch: Batch, keys: Array, step: Array
    ) -> tuple[Array, tuple[dict[str, Any], Mapping[str, Statistic]]]:
        """`o2t_jax.models.o2t.loss`."""
        loss, (metrics, visits) = self._loss(params, extra, batch, step)
        return loss, (metrics, {name: Sum(value) for name, value in visits.items()})

    def advance(
        self, extra: PyTree, params: PyTree, statistics: Mapping[str, Array], step: Array, key: Array
    ) -> PyTree:
        """The moving average of the heights that training met."""
        if not statistics:  # the free gauge knows no height
            return extra
        return {"visited": visit(extra["visited"], rate=self.weights.visited_rate, **statistics)}

    @property
    def in_children(self) -> bool:
        """Whether samples are made in processes: not a module's, which brings its own; not where the device draws; not
        whole flights, whose samples share the pictures of a setup."""
        config = self.config
        own = not config.module and config.render_backend == "opencv" and config.sampler == "pairs"
        return own and config.render_workers > 1

    def train_iterator(self, request: DataRequest) -> BatchIterator:
        """The replay ring, its batches placed a step ahead."""
        buffer = self._buffer(request.plan.pool_size, request.process_count)
        if self.pool_on_device:
            rule = make_visibility(self.config)
            return o2t_on_device.device_samples(self.config, self.views, rule, self.curriculum, buffer, request)
        pipeline = sample_pipeline(
            self.source,
            self.curriculum,
            buffer,
            process_index=request.process_index,
            process_count=request.process_count,
            in_children=self.in_children,
            place=request.put,
            progress=request.progress,
            position=request.position,
        )
        pipeline.start()
        return pipeline

    @functools.cached_property
    def held_out(self) -> HeldOut:
        """The fixed held-out samples: a quarter DIS, a quarter VIEW, and FUTURE with n over its whole range."""
        few = max(1, self.config.eval_samples // 4)
        future = max(1, self.config.eval_samples - 2 * few)
        asked = [
            (ModeMix.only(DIS), range(few)),
            (ModeMix.only(VIEW), range(few, 2 * few)),
            (self.ahead, range(future)),
        ]
        batch, truth, _ = held_out_samples(self.source, asked, references=True)
        return collect(batch, None if truth is None else Balls.at_target(truth))

    @functools.cached_property
    def held_out_sequence(self) -> Mapping[str, np.ndarray] | None:
        """The first FUTURE sample of the held-out ones, its target at every n; whole flights have none."""
        if not isinstance(self.source, PairSource):
            return None
        return self.source.sequence("test", 0, self.ahead)

    @property
    def ahead(self) -> ModeMix:
        """FUTURE with a range of n, not one n: under a strong gravity no ball is still in sight at the largest n."""
        return ModeMix((0.0, 0.0, 1.0), self.config.k_min + 1, self.config.n_max)

    @functools.cached_property
    def _prediction_evaluator(self) -> PredictionEvaluator:
        """Prediction on the held-out samples."""

        def predict(state: PyTree, batch: Mapping[str, np.ndarray]) -> Any:
            return self.predict_pictures(state.params, state.extra, dict(batch))

        return PredictionEvaluator(self.held_out, predict, sequence=self.held_out_sequence)

    def predict(self, params: PyTree, extra: PyTree, batch: Batch) -> Array:
        """Predicted pictures [B, H, W, 3] in 0..1; the batch's fifth picture may be left out, and is not used."""
        outputs: Any = self.model.apply(
            {"params": params},
            to_float(jnp.asarray(batch["pictures"])),
            batch["para"],
            batch["k"],
            batch["n"],
            extra["visited"],
            batch.get("window"),
        )
        return outputs.prediction

    def hidden(self, batch: Batch) -> dict[str, Array]:
        """The target's picture."""
        shape = np.shape(batch["pictures"])
        return {"pictures": np.broadcast_to((np.arange(shape[1]) == TARGET)[None, :, None, None, None], shape)}

    @functools.cached_property
    def predict_pictures(self) -> Callable[[PyTree, PyTree, Batch], Array]:
        """`predict`, jitted and without the target's picture."""

        @jax.jit
        def predict(params: PyTree, extra: PyTree, batch: Batch) -> Array:
            return self.predict(params, extra, {**batch, "pictures": batch["pictures"][:, :TARGET]})

        return predict

    def preview(self, seed: int, steps: int, size: int) -> tuple[np.ndarray, float]:
        """The scene as a film: uint8 [steps + 1, size, size, 3], and frames/s. See `o2t_preview.film`."""
        return o2t_preview.film(self, seed, steps, size), 1.0 / self.config.dt

    def read_law(self, state: TrainState) -> dict[str, Any]:
        """The read-out of `o2t_jax.evaluation.o2t.law.read_out`, from the weights alone."""
        return o2t_law.read_law(self.config.gauge, state)

    def _law_evaluator(self, state: TrainState) -> Iterator[tuple[str, Result]]:
        """g over the heights met, beside the scene's own where it is known; nothing before a ball was seen."""
        if np.sum(state.extra["visited"]) > 0:
            yield "g_of_z", o2t_law.law_curve(self.config.gauge, state, self.truth())

    def read_force(self, state: TrainState) -> dict[str, Any]:
        """`o2t_force.read_force` of the learned force."""
        batch = self._force_samples
        network = O2TSights(self.model, state.params) if batch is not None else None
        return read_force(self.config.learn_force, state, network, batch)

    @functools.cached_property
    def _force_samples(self) -> Mapping[str, np.ndarray] | None:
        """FUTURE samples of the held-out split, other ones than the evaluation's."""
        first, count = self.config.eval_samples, self.config.force_samples
        if not count:
            return None
        return held_out_samples(self.source, [(self.ahead, range(first, first + count))])[0]

    def law_of(self, state: TrainState, seed: int) -> dict[str, Any] | None:
        """The learned law for `experiments.readout`; None where no force is learned."""
        del seed
        if self.config.learn_force == NONE.name:
            return None
        return law_with_force(self.read_force(state), self.truth() or {})

    def headline(self, readouts: Mapping[str, Mapping[str, Any]]) -> Sequence[str]:
        """g0, alpha and the weight behind g0; that nothing was learned, where g0 still has its first value."""
        law = readouts.get("law", {})
        if self.config.gauge == "camera" and law.get("g0") == 0.0:
            return ["g0 0: no ball was seen in any picture, so no law was learned; is it some 8 px wide? (pictures/)"]
        names = {"g0": "g0", "alpha": "alpha", "g0_weight": "mean g over the heights met"}
        # None is an answer too: alpha, where the heights met cannot separate it from g0.
        shown = {key: "undetermined" if law[key] is None else f"{law[key]:.4g}" for key in names if key in law}
        lines = [f"{names[key]} {value}" for key, value in shown.items()]
        force = readouts.get("force", {})
        return lines + ([headline_of(force)] if force else [])

    def truth(self) -> dict[str, Any] | None:
        """The scene's hidden law; a module keeps its own."""
        return None if self.config.module else truth_of(self.config.world) | force_truth(self.config.world)

    def scalars(self, step: int) -> Mapping[str, float]:
        """The network's learning rate."""
        return {"lr": float(jnp.asarray(schedule(self.config.lr, self.config.train_steps)(step)))}

    def summary(self, metrics: Mapping[str, float]) -> str:
        """Loss and g0; in the camera gauge also how far predictions miss the ball, in m, or that it is not seen."""
        text = f"loss {metrics['picture_loss']:.4f}  g0 {metrics['g0']:.3f} m/s^2"
        if "law_distance_m" not in metrics:
            return text
        miss = metrics["law_distance_m"]
        return f"{text}  miss {100 * miss:.1f} cm" if np.isfinite(miss) else f"{text}  no ball seen"

    def activation_bytes(self, batch: int) -> int:
        """Proportional to pixels and base width; from compiled steps on CPU (BENCHMARKS.md), and rather too much."""
        config = self.config
        per_pixel = 4500.0 * config.base_ch / 32 * (0.7 if config.dtype == "bfloat16" else 1.0)
        per_pixel += 1500.0 if config.gauge == "camera" else 0.0
        return int(batch * config.render_size**2 * per_pixel * (0.75 if config.remat else 1.0))

    def notes(self, plan: Plan) -> list[str]:
        """The curriculum, what it never reaches, and what g0 cannot reach."""
        config, notes = self.config, self.curriculum.describe().splitlines()
        if config.render_backend == "device":
            notes.append(o2t_on_device.note(config))
        if self.curriculum.warning():
            notes.append(f"warning: {self.curriculum.warning()}")
        if config.gauge == "camera" and config.shoot_rounds == 0:
            notes.append("warning: shoot_rounds=0 makes velocities plain differences, and g0 comes out wrong")
        if config.learn_force != NONE.name and 0 < config.shoot_rounds < 4:
            notes.append(f"warning: shoot_rounds={config.shoot_rounds} leaves an error where a force acts: set it to 4")
        if config.gauge == "free":
            reach = 0.5 * config.lr * config.train_steps
            notes.append(
                f"free gauge: g0 moves by at most about {reach:.2g} m/s^2 in this run (the sum of the learning rates), "
                "and nothing ties it to metres"
            )
        return notes
