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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from o2t_jax.commands import _cli, _cpu
from o2t_jax.config import Config, put
from o2t_jax.errors import UsageError

if TYPE_CHECKING:
    from o2t_jax.evaluation.video.control import Row
    from o2t_jax.loading import Run
    from o2t_jax.results import Table
    from o2t_jax.systems.agent import Agent

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
        tests = AgentTests(_agent_of(run))
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
    from o2t_jax.evaluation.writers.console import format_table, shown_columns
    from o2t_jax.evaluation.writers.folder import ResultsFolder
    from o2t_jax.results import Table
    from o2t_jax.systems.agent_tests import COLUMNS

    begun, run, real = time.monotonic(), rounds.last(), rounds.real_steps
    found = dict(run.system.evaluators["tasks"](run.state))
    played = found["returns"]
    assert isinstance(played, Table)
    tables = {"returns": Table(COLUMNS, [*played.rows, *_beside(rounds, run, compare)]), **_asked(run)}
    files = ResultsFolder(rounds.workdir / "evaluation", flat=True).write(run.step, {**found, **tables})
    rounds.seconds["measuring"] = time.monotonic() - begun
    tests = _agent_of(run).task.tests
    own = [row for row in played.rows if row["policy"] == "agent" and row["tasks"] in tests]
    scores = {f"score_{row['tasks']}": row["score"] for row in own}
    lines = [format_table(x.rows, shown_columns(x)) for x in tables.values()]
    lines += [f"{name}: {path}" for name, path in files.items()]
    lines.append(f"real steps {real:,}; " + ", ".join(f"{k} {v:.0f} s" for k, v in rounds.seconds.items()))
    lines.append(", ".join(f"{name} {x:.3f}" for name, x in scores.items()))
    numbers = {**scores, **{name: list(x.rows) for name, x in tables.items()}}
    numbers |= {"real_steps": real, "seconds": rounds.seconds, "workdir": str(rounds.workdir)}
    return "\n".join(lines), numbers


def _asked(run: Run) -> dict[str, Table]:
    """The agent under other looks, and what its dream makes of pushes where the task is one of pushes."""
    from o2t_jax.results import Column, Table
    from o2t_jax.systems import agent_questions
    from o2t_jax.systems.agent_tests import COLUMNS

    about, system = (run.state.params, run.state.extra), _agent_of(run)
    looks = agent_questions.looks(system, *about)
    shown = {name: COLUMNS[name] for name in looks[0] if name != "look"}
    tables = {"looks": Table({"look": Column(), **shown}, looks)}
    if system.task.name == "pusher":
        columns = {"push": Column(), "step": Column("", "d"), **dict.fromkeys(("true", "dreamt"), Column("px", ".1f"))}
        tables["constant_pushes"] = Table(columns, agent_questions.constant_pushes(system, *about))
    return tables


def _beside(rounds: Rounds, run: Run, compare: list[str]) -> Iterator[dict[str, Any]]:
    """Rows of the policies that --compare names, scored as the agent's are."""
    from o2t_jax.evaluation.video.control import score
    from o2t_jax.evaluation.video.references import references
    from o2t_jax.systems.agent_tests import numbers

    task = _agent_of(run).task
    for policy, tasks, row, about in _compared(rounds, run, compare):
        known = references(task.name, tasks if tasks in task.tests else "random")
        idle, best = (known[x]._replace(total=known[x].total[: len(row.total)]) for x in (task.floor, task.best))
        row = row._replace(about=about or row.about)
        yield {"tasks": tasks, "policy": policy, "score": score(row.total, idle, best), **numbers(row)}


def _compared(rounds: Rounds, run: Run, compare: list[str]) -> Iterator[tuple[str, str, Row, str]]:
    """Policy, its tasks, its episodes, a remark."""
    from o2t_jax.evaluation.video import control
    from o2t_jax.systems import agent_gym, agent_questions

    about, system = (run.state.params, run.state.extra), _agent_of(run)
    tests = system.task.tests
    if "cem" in compare:
        for name, starts in tests.items():
            tasks = starts()
            some = type(tasks)(*(x[:CEM_TASKS] for x in tasks))
            remark = f"the first {CEM_TASKS} tasks" if name == "random" else ""
            yield "planning in the dream", name, agent_questions.planned(system, *about, some), remark
    if "gymnasium" in compare:
        for policy, row in agent_gym.in_gymnasium(system, *about).items():
            yield policy, "Gymnasium", row, ""
    for policy, other in _others(rounds, compare).items():
        for name, starts in tests.items():
            yield policy, name, control.row_of(_play(other, starts())), ""


def _agent_of(run: Run) -> Agent:
    from o2t_jax.systems.agent import Agent

    assert isinstance(run.system, Agent)
    return run.system


def _play(run: Run, tasks: Any) -> Any:
    from o2t_jax.systems.agent_tests import AgentTests

    return AgentTests(_agent_of(run)).play(run.state.params, run.state.extra, tasks)


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
