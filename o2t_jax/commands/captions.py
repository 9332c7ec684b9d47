"""Captions: scene graphs of them, and motions that they describe (docs/scene.md).

    python -m experiments.captions retrieve FILE.json [--encoder=FOLDER]      # recall: caption -> another of its motion
    python -m experiments.captions find FILE.json "a person waves"             # the clips whose captions are nearest
    python -m experiments.captions score FILE.csv --parser=rules --nouns=FILE  # scene graphs against the file's own
    python -m experiments.captions genome FOLDER --out=FILE.csv                # Visual Genome's regions in that form

FILE.json has motions' captions (KIT-ML), FILE.csv captions with scene graphs (FACTUAL). --encoder: a local MiniLM
folder; words in common without it. --parser: rules, t5 (--t5=FOLDER, extra [text]) or learned (--parser_workdir=DIR, a
training of scene/parser:captions). --json=FILE keeps what was measured.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from o2t_jax.commands import _cli
from o2t_jax.commands._parsers import open_parser, parser_of
from o2t_jax.errors import UsageError

if TYPE_CHECKING:
    from o2t_jax.data.scene.captions import Caption

PARSERS = {"rules": "nouns", "t5": "t5", "learned": "parser_workdir"}  # each with the flag that only it reads


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    plain = [word for word in words if not word.startswith("-")]
    rest = [word for word in words if word.startswith("-")]
    if plain and plain[0] not in ACTS:
        return _cli.fail(f"{plain[0]!r} is unknown: give one of {', '.join(ACTS)}; see --help")
    if plain and len(plain) - 1 != ACTS[plain[0]][0]:
        needed = f"{plain[0]} takes {ACTS[plain[0]][0]} of file, folder and words, not {len(plain) - 1}"
        return _cli.fail(f"{needed}; words stand in quotes, flags are --name=value; see --help")

    def run(arguments: _cli.Arguments) -> int:
        if not plain:
            raise UsageError(f"give one of {', '.join(ACTS)}; see --help")
        from o2t_jax.evaluation.writers.console import report

        text, found = ACTS[plain[0]][1](plain[1:], arguments.flags)
        report(text, found, arguments.flags.json)
        return 0

    return _cli.run(run, rest, doc=__doc__ or "", define=_define, with_config=False)


def _encoder(values: flags.FlagValues) -> Any:
    from o2t_jax.systems import retrieval

    return retrieval.sentence_encoder(Path(values.encoder)) if values.encoder else retrieval.bag_of_words


def _retrieve(given: list[str], values: flags.FlagValues) -> tuple[str, dict[str, Any]]:
    from o2t_jax.data.motion.captions import read_motion_captions
    from o2t_jax.systems import retrieval

    motions = read_motion_captions(Path(given[0]))
    found = retrieval.measure(motions, _encoder(values))
    by = "sentence encoder" if values.encoder else "bag of words"
    lines, numbers = [f"{found.queries} captions, by {by}"], {}
    for what, shares, count in (("all", found.recall, found.motions), ("a pool", found.of_pool, found.pool)):
        for k, share in shares.items():
            chance = min(1.0, k / count)
            lines.append(f"R@{k} of {what} ({count} motions): {share:.4f}, by chance {chance:.5f}")
            numbers[f"R@{k} of {count}"] = {by: share, "chance": chance}
    return "\n".join(lines), {"queries": found.queries, "motions": found.motions, **numbers}


def _find(given: list[str], values: flags.FlagValues) -> tuple[str, dict[str, Any]]:
    from o2t_jax.data.motion.captions import read_motion_captions
    from o2t_jax.systems import retrieval

    if not given[1].strip():
        raise UsageError('the words are missing: give such as "a person waves"')
    found = retrieval.Clips(read_motion_captions(Path(given[0])), _encoder(values))(given[1], 3)
    lines = [f"{x.score:.3f}  {x.motion.path}  {x.text!r}" for x in found]
    return "\n".join(lines), {"found": [{"score": x.score, "path": x.motion.path, "text": x.text} for x in found]}


def _score(given: list[str], values: flags.FlagValues) -> tuple[str, dict[str, Any]]:
    from o2t_jax.data.scene.captions import read_captions
    from o2t_jax.evaluation.scene.triples import f1, is_relation, set_match

    parser = parser_of(values, PARSERS)
    some = read_captions(Path(given[0]))
    found = _graphs(some, parser, values)
    truth = [caption.graph for caption in some]
    numbers = {
        "set_match": set_match(found, truth),
        "relation_f1": f1(found, truth, is_relation),
        "f1": f1(found, truth),
    }
    text = ", ".join(f"{name} {value:.4f}" for name, value in numbers.items())
    return f"{parser}, {len(some)} captions: {text}", {"parser": parser, "captions": len(some), **numbers}


def _graphs(some: list[Caption], parser: str, values: flags.FlagValues) -> list[Any]:
    if parser == "t5":
        from o2t_jax.systems.scene_local import t5_parser

        return t5_parser(values.t5 or "")([" ".join(caption.words) for caption in some])
    if parser == "learned":
        from o2t_jax.data.scene.captions import from_sequence

        system, params = open_parser(values.parser_workdir, of_captions=True)
        return [from_sequence(tokens) for tokens in system.written(params, [caption.words for caption in some])]
    from o2t_jax.data.scene.captions import read_captions
    from o2t_jax.data.scene.knowledge import load_kinds
    from o2t_jax.data.scene.rule_graph import nouns_of, rule_graph

    nouns = nouns_of(read_captions(Path(values.nouns))) if values.nouns else tuple(load_kinds())
    return [rule_graph(caption.words, nouns) for caption in some]


def _genome(given: list[str], values: flags.FlagValues) -> tuple[str, dict[str, Any]]:
    import csv
    import io

    from o2t_jax.data.scene.captions import graph_text
    from o2t_jax.data.scene.genome import read_genome
    from o2t_jax.evaluation.writers.json_file import write_whole

    out = _cli.out_file(values.out, (".csv",))
    text, count = io.StringIO(), 0
    rows = csv.writer(text)
    rows.writerow(("image_id", "region_id", "caption", "scene_graph"))
    for count, region in enumerate(read_genome(Path(given[0])), 1):  # noqa: B007 (the number of regions)
        caption = region.caption
        rows.writerow((region.image, region.number, " ".join(caption.words), graph_text(caption.graph)))
    if not count:
        raise UsageError(f"{given[0]} has no region with a phrase and a graph")
    write_whole(out, text.getvalue().encode())
    return f"{out}: {count} captions", {"captions": count}


# Act -> (words after it, what it does).
ACTS = {"retrieve": (1, _retrieve), "find": (2, _find), "score": (1, _score), "genome": (1, _genome)}


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("encoder", None, "folder of a MiniLM sentence encoder", flag_values=values)
    flags.DEFINE_enum("parser", "rules", list(PARSERS), "what reads the captions", flag_values=values)
    flags.DEFINE_string("t5", None, "t5: the network's folder", flag_values=values)
    flags.DEFINE_string("parser_workdir", None, "learned: the training's folder", flag_values=values)
    flags.DEFINE_string("nouns", None, "rules: CSV of captions whose things are known", flag_values=values)
    flags.DEFINE_string("out", None, "genome: the CSV to write", flag_values=values)
    flags.DEFINE_string("json", None, "file for what was found; - is standard output", flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
