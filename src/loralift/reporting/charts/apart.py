"""Drawing in a process of its own, so that its end is not ours.

vl-convert is a V8, which aborts the whole process where it gets no address space (``ulimit -v``) or memory; an abort
cannot be caught. The process also keeps Altair's and V8's memory out of ours, and costs a tenth of a second.
"""

from __future__ import annotations

import io
import os
import pickle
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from loralift.errors import first_line
from loralift.records import Report
from loralift.reporting import charts
from loralift.reporting.charts.chart import Chart
from loralift.versions import installed
from loralift.visible import one_line

SECONDS = 600
"""Longest that all pictures may take; a hundred thousand rows take one of them."""

MOST_CHARACTERS = 200

NOT_INSTALLED = "what draws them is not installed: pip install 'loralift[run]'"


@dataclass(frozen=True, slots=True)
class Drawing:
    """What was drawn.

    Attributes:
        charts: In reading order.
        pictures: Each chart's PNG.
        missing: Why charts are left out, a sentence each; empty where none is.
    """

    charts: tuple[Chart, ...] = ()
    pictures: tuple[bytes, ...] = ()
    missing: tuple[str, ...] = ()


def drawable() -> bool:
    """Whether what draws is installed."""
    return installed("altair") and installed("vl_convert")


def draw_apart(report: Report) -> Drawing:
    """Every chart that the report's data allow, as far as they could be drawn; never raises for a chart's sake."""
    if report.comparison is None:
        return Drawing()
    if not drawable():
        return Drawing(missing=(f"The charts are left out: {NOT_INSTALLED}.",))
    # the same modules as here, whatever the folder is in which we were started
    code = f"import sys; sys.path[:] = {sys.path!r}; from loralift.reporting.charts.apart import main; main()"
    try:
        process = subprocess.run(
            [sys.executable, "-P", "-c", code],
            input=pickle.dumps(report, protocol=pickle.HIGHEST_PROTOCOL),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # V8's own account of its end is a page of addresses
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Drawing(missing=(f"The charts are left out: drawing them takes more than {SECONDS} s.",))
    except OSError as error:
        reason = one_line(str(error), MOST_CHARACTERS)
        return Drawing(missing=(f"The charts are left out: no process can be started to draw them: {reason}.",))
    return received(process.returncode, process.stdout)


def received(code: int, content: bytes) -> Drawing:
    """What the process sent before it ended.

    Args:
        code: Its exit code; below 0 the signal.
        content: Pickles, perhaps cut.
    """
    sent = list(_items(content))
    drawn = [item for item in sent if isinstance(item, tuple)]
    missing = [item for item in sent if isinstance(item, str)]
    if code:
        missing.append(f"{'The other' if drawn else 'The'} charts are left out: {_ending(code)}.")
    return Drawing(
        tuple(_each_named_once(chart for chart, _ in drawn)), tuple(picture for _, picture in drawn), tuple(missing)
    )


def _each_named_once(drawn: Iterable[Chart]) -> Iterator[Chart]:
    """The charts under names that differ, whatever their case: each is a file, and two metrics may be called alike."""
    taken: Counter[str] = Counter()
    for chart in drawn:
        taken[chart.name.lower()] += 1
        times = taken[chart.name.lower()]
        yield chart if times == 1 else replace(chart, name=f"{chart.name}.{times}")


def main() -> None:
    """The process: reads a pickled report from standard input, writes pickled charts to standard output."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # so that nothing else is printed between them
    report = pickle.load(sys.stdin.buffer)
    for name, drawer in charts.drawers(report):
        try:
            chart = drawer()
            sent = None if chart is None else (chart, charts.png(chart))
        except Exception as error:  # noqa: BLE001 - whatever the engine cannot draw, the report is there without it
            reason = one_line(f"{type(error).__name__}: {first_line(error)}", MOST_CHARACTERS)
            pickle.dump(f"The chart {name} is left out: {reason}.", out)
        else:
            pickle.dump(sent, out)
        out.flush()


def _items(content: bytes) -> Iterator[tuple[Chart, bytes] | str | None]:
    """Each chart with its picture, why there is none, or None where the data do not allow it."""
    stream = io.BytesIO(content)
    try:
        while stream.tell() < len(content):
            yield pickle.load(stream)
    except (EOFError, pickle.UnpicklingError):
        return


def _ending(code: int) -> str:
    """How a process ended, in words."""
    if code > 0:
        return "the process that draws them failed; `loralift doctor` says what is installed"
    name = signal.Signals(-code).name if -code in {*signal.Signals} else str(-code)
    return (
        f"the engine that draws them was ended by {name}, as where memory or address space is limited (ulimit -v); "
        "`loralift report` on this run draws them elsewhere"
    )
