"""Files of a run that somebody changed, cut or mixed: each is refused by its name before anything is shown of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from loralift.errors import RunDirectoryError, some
from loralift.reading import reading
from loralift.records import Comparison, Ids, MetricInfo

REMEDY = "put back what the run wrote, or make it again with --resume of the run"

MOST_DECIMALS = 20


@contextmanager
def within(place: Path, remedy: str = REMEDY) -> Iterator[None]:
    """Let every error inside, whatever it is, name the file that is read, and what to do.

    Args:
        place: The file.
        remedy: What to do.

    Raises:
        RunDirectoryError: There was one.
    """
    try:
        with reading(place, RunDirectoryError, remedy):
            yield
    except RunDirectoryError as error:
        if str(place) in str(error):
            raise
        raise RunDirectoryError(f"{place}: {error}; {remedy}") from error


def whole(found: Collection[str], wanted: Collection[str], place: Path) -> None:
    """Refuse a file that has not one line for every row.

    Args:
        found: The ids that it has.
        wanted: Those that it must have.
        place: The file.

    Raises:
        RunDirectoryError: Some are missing, or unknown.
    """
    here, known = Ids.of(found), Ids.of(wanted)
    if here is known:
        return
    if len(missing := known.take(here.places_of(known) < 0)):
        raise RunDirectoryError(f"{place} lacks {len(missing)} of {len(known)} rows ({some(missing)}): {REMEDY}")
    if len(strange := here.take(known.places_of(here) < 0)):
        raise RunDirectoryError(f"{place} has rows that dataset.jsonl does not have ({some(strange)}): {REMEDY}")


def consistent(comparison: Comparison, place: Path) -> Comparison:
    """A comparison whose parts fit each other.

    Raises:
        RunDirectoryError: They do not; the message names the first that does not.
    """
    if problem := next(_problems(comparison), None):
        raise RunDirectoryError(f"{place}: {problem}; {REMEDY}")
    return comparison


def _problems(comparison: Comparison) -> Iterator[str]:
    rows = {(row.candidate, row.metric): row for row in comparison.rows}
    if comparison.primary not in comparison.metrics:
        yield f"its primary metric {comparison.primary!r} is none of its metrics"
    if not comparison.candidates:
        yield "it has no candidate"
    for candidate, metric in rows:
        if candidate not in comparison.candidates or metric not in comparison.metrics:
            yield f"it has figures of {metric!r} of {candidate!r}, which are not in its lists"
    for candidate in comparison.candidates:
        decides = rows.get((candidate, comparison.primary))
        if decides is None or candidate not in comparison.verdicts:
            yield f"it has no verdict on {candidate!r}"
        elif decides.verdict != comparison.verdicts[candidate]:
            yield f"its verdict on {candidate!r} is not that of the primary metric"
    yield from described(comparison.metrics.values())


def described(infos: Iterable[MetricInfo]) -> Iterator[str]:
    """What is wrong with the descriptions of metrics."""
    for info in infos:
        if not 0 <= info.decimals <= MOST_DECIMALS:
            yield f"the decimals of {info.name!r} must be 0 to {MOST_DECIMALS}, got {info.decimals}"
