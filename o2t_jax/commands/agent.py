"""An agent that learns in its own dream: python -m experiments.agent --config=video/agent --workdir=DIR [--json=FILE|-]

Clips of random pushes are written to DIR/clips0, system `video` learns them in DIR/world0, system `agent` learns in
that world's dream in DIR/agent0. Each further round (--config.rounds=2) adds clips of the actor's own, DIR/clips1, and
starts from the world model before. The agent then plays the tasks in the true world, beside rows that learn nothing.
The same command again resumes. --compare adds rows: cem (planning in the dream), simulator (the same actor trained in
the true simulator), shuffled (clips whose pushes are another clip's), gymnasium (CartPole-v1 itself). docs/agent.md
says what each number is.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from o2t_jax.commands import _cli, _cpu
from o2t_jax.config import Config, put
from o2t_jax.errors import UsageError

if TYPE_CHECKING:
    from o2t_jax.evaluation.video.control import Row
    from o2t_jax.loading import Run

CEM_TASKS = 20
COMPARE = ("cem", "simulator", "shuffled", "gymnasium")
_OWN_SEED = 1000  # of the tasks in which an actor collects, apart from those of the test


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(agent, argv, doc=__doc__ or "", define=_define)


def agent(arguments: _cli.Arguments) -> int:
    """All rounds, the test, the report."""
    config, values = arguments.config, arguments.flags
    assert config is not None
    workdir = _cli.workdir_of(values)
    if config.system != "agent":
        raise UsageError(f"--config is of system {config.system!r}: give one of agent, such as video/agent")
    if wrong := [name for name in values.compare if name not in COMPARE]:
        raise UsageError(f"--compare={wrong[0]} is unknown: choose of {', '.join(COMPARE)}")
    from o2t_jax.systems import agent_config, base_config

    base_config.validate(config, agent_config.FIELDS)
    agent_config.validate(config)
    if "simulator" in values.compare:
        agent_config.check_simulator(config.sets)
    if "gymnasium" in values.compare:
        from o2t_jax.systems import agent_gym

        agent_gym.check(config.sets)
    from o2t_jax.evaluation.writers.console import report
    from o2t_jax.training import resources

    resources.set_compilation_cache(config.compilation_cache)
    _cpu.start_devices(arguments.cpu_tuning, config.device)
    rounds = Rounds(workdir, config, _cli.command_line("agent", arguments.argv))
    rounds.all()
    text, numbers = measured(rounds, values.compare)
    report(text, numbers, values.json)
    return 0


class Rounds:
    """Rounds in a folder. Attributes: `real_steps`, pushes in the true world; `seconds` of wall time, by part."""

    def __init__(self, workdir: Path, config: Config, command: str) -> None:
        self.workdir, self.config, self.command = workdir, config, command
        self.real_steps, self.seconds = 0, dict[str, float]()

    def all(self) -> None:
        """All rounds that are not finished."""
        for number in range(self.config.rounds):
            self._timed(f"clips{number}", lambda number=number: self._collect(number))
            self._timed(f"world{number}", lambda number=number: self._learn_world(number))
            self._timed(f"agent{number}", lambda number=number: self.learn_actor(f"agent{number}", number))

    def last(self, name: str = "") -> Run:
        """The actor of the last round, or the run of that name."""
        import o2t_jax

        return o2t_jax.load(self.workdir / (name or f"agent{self.config.rounds - 1}"))

    def learn_actor(self, name: str, number: int, **own: Any) -> None:
        """Trains actor and critic in the dream of round `number`, or as `own` fields say."""
        from o2t_jax.systems.agent_config import parts_of

        world = self.workdir / f"world{number}"
        own = {"dataset": self._sets(number), **own}
        self._train(name, self.config, init_from=str(world), init_parts=parts_of(self.config), **own)

    def _collect(self, number: int) -> None:
        from o2t_jax.data.records import write_set
        from o2t_jax.data.stored import open_set
        from o2t_jax.data.video.clips import Clips
        from o2t_jax.data.video.collected import Shuffled
        from o2t_jax.physics.video.tasks import TASKS

        folder, config = self.workdir / f"clips{number}", self.config
        if not folder.exists():
            source: Any = Clips(TASKS[config.sets](), config.seed, config.frames, config.size)
            count = config.clips or source.splits["train"]
            if number:
                source, count = self._own(source, number), config.more_clips
            elif config.shuffled:
                source = Shuffled(source, count)
            write_set(folder, source, {"train": count}, about={"command": self.command})
        with open_set(folder) as found:
            self.real_steps += found.size("train") * (config.frames - 1)

    def _own(self, like: Any, number: int) -> Any:
        """Clips in which the actor of the round before pushes, with noise, on tasks of their own."""
        from o2t_jax.data.video.collected import Collected
        from o2t_jax.systems.agent_tests import AgentTests

        config, run = self.config, self.last(f"agent{number - 1}")
        tests = AgentTests(run.system)  # pyright: ignore[reportArgumentType]
        task, seed = tests.task, config.seed + number
        starts = task.starts(config.more_clips, _OWN_SEED + number)
        played = tests.play(run.state.params, run.state.extra, starts, noise=config.noise, seed=seed)
        return Collected(like, task.collected(played, config.frames, seed))

    def _learn_world(self, number: int) -> None:
        from o2t_jax.systems import agent_config

        own: dict[str, Any] = {"dataset": self._sets(number)}
        if number:
            own |= {"init_from": str(self.workdir / f"world{number - 1}"), "train_steps": self.config.more_steps}
        self._train(f"world{number}", agent_config.world(self.config, **own))

    def _sets(self, number: int) -> str:
        return ",".join(str(self.workdir / f"clips{i}") for i in range(number + 1))

    def _train(self, name: str, config: Config, **own: Any) -> None:
        from o2t_jax.evaluation.writers.folder import ResultsFolder
        from o2t_jax.systems.base import build_system
        from o2t_jax.training import parallel
        from o2t_jax.training.progress import Progress
        from o2t_jax.training.run import run

        config = config.copy_and_resolve_references()
        for field, value in own.items():
            put(config, field, value)
        config.lock()
        devices, progress = parallel.make_parallel(config.parallel), Progress()
        system, folder = build_system(config), self.workdir / name
        how = {"parallel": devices, "progress": progress, "results": ResultsFolder, "command": self.command}
        if code := run(system, config, folder, **how):
            raise KeyboardInterrupt(f"{name}: code {code}")  # a signal stopped it, and it is saved

    def _timed(self, name: str, work: Callable[[], None]) -> None:
        begun = time.monotonic()
        work()
        self.seconds[name] = time.monotonic() - begun


def measured(rounds: Rounds, compare: list[str]) -> tuple[str, dict[str, Any]]:
    """Text for people, and all numbers; writes films and pictures to DIR/evaluation."""
    from o2t_jax.evaluation.video import control
    from o2t_jax.evaluation.video.references import references
    from o2t_jax.evaluation.writers.console import format_table, shown_columns
    from o2t_jax.evaluation.writers.folder import ResultsFolder
    from o2t_jax.results import Column, Result, Table
    from o2t_jax.systems import agent_questions
    from o2t_jax.systems.agent_tests import COLUMNS, numbers

    begun, run, real = time.monotonic(), rounds.last(), rounds.real_steps
    params, extra, system = run.state.params, run.state.extra, run.system
    task = system.task  # pyright: ignore[reportAttributeAccessIssue]
    found: dict[str, Result] = dict(system.evaluators["tasks"](run.state))
    table = found["returns"]
    assert isinstance(table, Table)
    rows = [dict(row) for row in table.rows]

    def add(name: str, tasks: str, row: Row, of: str = "", **about: Any) -> None:
        known = references(task.name, of or tasks)
        idle, best = (known[x]._replace(total=known[x].total[: len(row.total)]) for x in (task.floor, task.best))
        rows.append(
            {"tasks": tasks, "policy": name, "score": control.score(row.total, idle, best), **numbers(row), **about}
        )

    if "cem" in compare:
        for name, starts in task.tests.items():
            tasks = starts()
            some = type(tasks)(*(x[:CEM_TASKS] for x in tasks))
            how = f"the first {CEM_TASKS} tasks" if name == "random" else ""
            add("planning in the dream", name, agent_questions.planned(system, params, extra, some), about=how)  # pyright: ignore[reportArgumentType]
    if "gymnasium" in compare:
        from o2t_jax.systems.agent_gym import in_gymnasium

        for name, row in in_gymnasium(system, params, extra).items():  # pyright: ignore[reportArgumentType]
            add(name, "Gymnasium", row, of="random")
    others = _others(rounds, compare)
    for label, other in others.items():
        for name, starts in task.tests.items():
            add(label, name, control.row_of(_play(other, starts())))
    looks = agent_questions.looks(system, params, extra)  # pyright: ignore[reportArgumentType]
    tables = {
        "returns": Table(COLUMNS, rows),
        "looks": Table({"look": Column(), **{name: COLUMNS[name] for name in looks[0] if name != "look"}}, looks),
    }
    if task.name == "pusher":
        pushes = agent_questions.constant_pushes(system, params, extra)  # pyright: ignore[reportArgumentType]
        columns = {"push": Column(), "step": Column("", "d"), **dict.fromkeys(("true", "dreamt"), Column("px", ".1f"))}
        tables["constant_pushes"] = Table(columns, pushes)
    files = ResultsFolder(rounds.workdir / "evaluation", flat=True).write(run.step, {**found, **tables})
    scores = {row["tasks"]: row["score"] for row in rows if row["policy"] == "agent" and row["tasks"] in task.tests}
    rounds.seconds["measuring"] = time.monotonic() - begun
    text = [format_table(x.rows, shown_columns(x)) for x in tables.values()]
    text += [f"{name}: {path}" for name, path in files.items()]
    text.append(f"real steps {real:,}; " + ", ".join(f"{k} {v:.0f} s" for k, v in rounds.seconds.items()))
    text.append(", ".join(f"score_{name} {x:.3f}" for name, x in scores.items()))
    plain = {f"score_{name}": x for name, x in scores.items()}
    plain |= {name: list(x.rows) for name, x in tables.items()}
    return "\n".join(text), {**plain, "real_steps": real, "seconds": rounds.seconds, "workdir": str(rounds.workdir)}


def _play(run: Run, tasks: Any) -> Any:
    from o2t_jax.systems.agent_tests import AgentTests

    return AgentTests(run.system).play(run.state.params, run.state.extra, tasks)  # pyright: ignore[reportArgumentType]


def _others(rounds: Rounds, compare: list[str]) -> dict[str, Run]:
    """The controls that are trained: name of the row -> its run."""
    found = {}
    if "simulator" in compare:
        last = rounds.config.rounds - 1
        rounds._timed("simulator", lambda: rounds.learn_actor("simulator", last, simulator=True))
        found["trained in the simulator"] = rounds.last("simulator")
    if "shuffled" in compare:
        config = rounds.config.copy_and_resolve_references()
        put(config, "shuffled", True)
        put(config, "rounds", 1)
        other = Rounds(rounds.workdir / "shuffled", config, rounds.command)
        other.all()
        rounds.seconds |= {f"shuffled/{name}": x for name, x in other.seconds.items()}
        found["shuffled pushes"] = other.last()
    return found


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("workdir", None, "folder for all rounds", flag_values=values)
    flags.DEFINE_string("json", None, "file for all numbers; - is standard output", flag_values=values)
    flags.DEFINE_list("compare", [], f"rows to add: {', '.join(COMPARE)}", flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
