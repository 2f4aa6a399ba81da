"""Send a finished run, or a comparison that `loralift compare -o DIR` wrote, to an experiment tracker."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

from loralift.errors import RunDirectoryError, UsageError, some
from loralift.records import Export, Report
from loralift.reporting.tracked import tracked
from loralift.tracking import OpenRun, Tracker, asking
from loralift.workflow import files
from loralift.workflow.codec import decode, plain
from loralift.workflow.comparing import read_comparison
from loralift.workflow.damage import within
from loralift.workflow.output import is_of_comparison
from loralift.workflow.reporting import build_report
from loralift.workflow.run_directory import RunDirectory

FILES = ("report.html", "report.md", "report.json", "comparison.json", "run.json")

SHOWN = ("title", "variants", "summaries", "comparison", "findings", "refused", "protocols", "also", "judging")
"""What a report that is on the disk must say as its run does."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What became of an export.

    Attributes:
        place: Where it can be looked at.
        left_out: What the tracker was not given, or under another name, a sentence each.
    """

    place: str
    left_out: tuple[str, ...]


def read_export(root: Path) -> Export:
    """What a tracker is to be given of a folder.

    Raises:
        RunDirectoryError: It is neither a finished run nor a comparison, a shard, a part of a run, or its report is of
            other figures.
    """
    directory = RunDirectory(root)
    with directory.at_rest():
        report = _of_comparison(directory) if _is_comparison(root) else _of_run(directory)
        export, places = tracked(report), _files(root)
    missing = [name for name in ("report.html", "report.md", "report.json") if name not in places]
    left_out = [f"{name} is not there: `loralift report` on the run writes it" for name in missing]
    if report.comparison is not None and not any(place.suffix == ".png" for place in places.values()):
        left_out.append("there are no charts: they are drawn where loralift[run] is installed")
    return replace(export, whole=replace(export.whole, files=places), left_out=(*export.left_out, *left_out))


def export(root: Path, name: str, tracker: Tracker, *, again: bool = False, live: OpenRun | None = None) -> Exported:
    """Export a folder.

    Args:
        root: A finished run, or a comparison.
        name: Of the tracker, for messages.
        tracker: The tracker.
        again: Whether to export what is there already.
        live: The run that followed the evaluation; None: a new one.

    Raises:
        RunDirectoryError: As `read_export`.
        UsageError: The same figures are there already.
        TrackingError: The tracker cannot be reached, or refuses something.
    """
    made = read_export(root)
    with asking(name):
        if not again and live is None and (there := tracker.find(made.key)) is not None:
            raise UsageError(f"the same figures are in {name} already ({there}): --again exports them once more")
        return Exported(send(tracker, made, live), made.left_out)


def send(tracker: Tracker, made: Export, live: OpenRun | None) -> str:
    """Write every run; the last one carries the key, so that only a whole export is found again.

    Args:
        tracker: The tracker.
        made: What it is given.
        live: The run of the whole, if it was begun before.

    Returns:
        Where it can be looked at. Whatever the tracker's client raises comes out as it is.
    """
    opened = whole = live or tracker.start(made.whole.name, {})
    try:
        whole.write(made.whole)
        whole.end(whole=True)
        for variant in made.variants:
            key = made.key if variant is made.variants[-1] else ""
            opened = tracker.start(variant.name, {}, within=whole, key=key)
            opened.write(variant)
            opened.end(whole=True)
    except BaseException:
        with contextlib.suppress(Exception):  # the first error is the one to tell
            opened.end(whole=False)
        raise
    return whole.place


def _is_comparison(root: Path) -> bool:
    if not root.is_dir():
        raise RunDirectoryError(
            f"{root} is not there, or no folder: give a run, or what `loralift compare -o DIR` wrote"
        )
    return not (root / "run.json").is_file() and is_of_comparison(root)


def _of_run(directory: RunDirectory) -> Report:
    report = build_report(directory)
    with within(directory.run):
        part = directory.read_run()["part"]
    if part:
        raise RunDirectoryError(f"{directory.root} is a part of a run ({part}): give the run, which tells of all")
    place = directory.report("json")
    if place.is_file():
        written = files.read_json(place)
        now = json.loads(files.json_text(plain(replace(report, rows=(), asked={}))))
        if other := [key for key in SHOWN if not isinstance(written, dict) or written.get(key) != now[key]]:
            raise RunDirectoryError(
                f"{place} is not of what the run found (it differs in {some(other)}): "
                f"`loralift report {directory.root}` writes the report again"
            )
    return report


def _of_comparison(directory: RunDirectory) -> Report:
    place = directory.report("json")
    if not place.is_file():
        raise RunDirectoryError(f"{place} is missing: compare again with `loralift compare … -o {directory.root}`")
    written = files.read_json(place)
    with within(place, "compare again"):
        report = decode(Report, written)
    if report.comparison != read_comparison(directory).comparison:
        raise RunDirectoryError(f"{place} and comparison.json are of two comparisons: compare again")
    return report


def _files(root: Path) -> dict[str, Path]:
    """Name in the tracker to the file, of what is there."""
    places = [root / name for name in FILES]
    places += [*sorted(root.glob("*_results.json")), *sorted(root.glob("charts/*.png"))]
    return {place.relative_to(root).as_posix(): place for place in places if place.is_file()}
