"""Where would `--stop-when-sure` have stopped? A finished run's stored scores, in the drawn order, through the rule.

Each bounded metric in turn is the primary one, for all of the run's adapters together, as a run stops for all, and for
each of them alone.

    python -m benchmarks.stopping_replay RUN …
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from loralift.comparison import Settings, compare, drawn, looks_of, reach_of, stopped, sure_so_far
from loralift.errors import UsageError
from loralift.records import Comparison, MetricInfo, Score, Stopping
from loralift.workflow.comparing import read_comparison
from loralift.workflow.run_directory import RunDirectory
from loralift.workflow.scored import read_scores


def replay(
    base: Sequence[Score], candidates: Mapping[str, Sequence[Score]], info: MetricInfo, settings: Settings
) -> Comparison:
    """What the run would have told.

    Args:
        base: All of the base's rows.
        candidates: Candidate to the same rows.
        info: The metric that decides.
        settings: Margin, alpha, and the seed of the order.
    """
    order = drawn((row.id for row in base), settings.seed)
    looks = looks_of(len(order))
    for number, end in enumerate(looks, start=1):
        asked = set(order[:end])
        far = Stopping(end, len(order), settings.seed, looks[:number], sure=False)
        seen, of = _kept(base, asked), {name: _kept(rows, asked) for name, rows in candidates.items()}
        if "inconclusive" not in sure_so_far(seen, of, info, settings, far).values():
            far = replace(far, sure=True)
            break
    return stopped(compare("base", seen, of, {info.name: info}, settings), {"base": seen, **of}, far, settings)


def whole(
    base: Sequence[Score], candidates: Mapping[str, Sequence[Score]], info: MetricInfo, settings: Settings
) -> list[str]:
    """The ordinary verdicts of all rows, on this metric alone."""
    return list(compare("base", base, candidates, {info.name: info}, settings).verdicts.values())


def _kept(rows: Sequence[Score], asked: set[str]) -> list[Score]:
    return [row for row in rows if row.id in asked]


def lines(run: Path) -> Iterator[str]:
    """A finished run's lines of the table."""
    directory = RunDirectory(run)
    compared = read_comparison(directory).comparison
    scores = {name: read_scores(directory, name) for name in compared.candidates}
    base, before = read_scores(directory, compared.baseline), {(r.candidate, r.metric): r for r in compared.rows}
    for info in compared.metrics.values():
        if info.higher_is_better is None:
            continue
        try:
            reach_of(info)
        except UsageError:
            continue
        groups = [tuple(scores)] if len(scores) > 1 else []
        for names in [*groups, *((name,) for name in scores)]:
            margins = {info.name: margin} if (margin := before[names[0], info.name].margin) is not None else {}
            settings = Settings(info.name, margins, seed=compared.seed, resamples=1_000)
            found = replay(base, {name: scores[name] for name in names}, info, settings)
            far, told = found.stopping, ", ".join(found.verdicts[name] for name in names)
            assert far is not None
            usual = ", ".join(whole(base, {name: scores[name] for name in names}, info, settings))
            sure = "sure" if far.sure else "not sure before"
            yield f"| {info.title} | {', '.join(names)} | {usual} | {told} | {far.rows} of {far.of}, {sure} |"


def main() -> None:
    """Print the table."""
    print("| decides | adapters | verdict of all rows | verdict where it stops | rows asked |\n|---|---|---|---|---|")
    for run in sys.argv[1:]:
        for line in lines(Path(run)):
            print(line, flush=True)


if __name__ == "__main__":
    main()
