"""A drawing process may end in any way; the report does not end with it."""

from __future__ import annotations

import dataclasses
import io
import os
import pickle
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from loralift.records import Report
from loralift.reporting import charts
from loralift.reporting.charts import apart
from tests.reporting.many import report_of


@pytest.fixture(scope="module")
def report() -> Report:
    return report_of(["up"], 12)


def test_what_is_drawn_apart_is_what_is_drawn(report: Report) -> None:
    drawing = apart.draw_apart(report)
    assert drawing.charts == charts.draw(report)
    assert drawing.pictures[0] == charts.png(drawing.charts[0])
    assert drawing.missing == ()
    assert apart.draw_apart(dataclasses.replace(report, comparison=None)) == apart.Drawing()


def test_a_limited_address_space(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = 4 << 30

    def limited(*given: object, **named: object) -> subprocess.CompletedProcess[bytes]:
        def before() -> None:
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

        return run(*given, preexec_fn=before, **named)  # type: ignore[call-overload, no-any-return]

    run = subprocess.run
    monkeypatch.setattr(subprocess, "run", limited)
    drawing = apart.draw_apart(report)
    assert drawing.charts == ()
    (why,) = drawing.missing
    assert why.startswith("The charts are left out: ")


ENDS = {
    "import sys; sys.exit(1)": "the process that draws them failed",
    "import os; os.abort()": "was ended by SIGABRT",
    "import os; os.kill(os.getpid(), 9)": "was ended by SIGKILL",
    "import os; os.write(1, b'\\x80\\x05nonsense'); os._exit(1)": "the process that draws them failed",
    "import time; time.sleep(60)": "takes more than 3 s",
}


@pytest.mark.parametrize("code", ENDS)
def test_however_it_ends_it_is_said(report: Report, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{code}"\n', encoding="utf-8")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(apart, "SECONDS", 3 if "sleep" in code else 60)
    drawing = apart.draw_apart(report)
    assert (drawing.charts, drawing.pictures) == ((), ())
    assert ENDS[code] in drawing.missing[0]


def test_no_process_can_be_started(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert "No such file or directory: '/no/such/python'" in apart.draw_apart(report).missing[0]


@pytest.fixture
def drawn_here(report: Report, monkeypatch: pytest.MonkeyPatch) -> Callable[[], apart.Drawing]:
    """Let the process read its report from, and write its charts to, memory."""

    def draw() -> apart.Drawing:
        out = io.BytesIO()
        monkeypatch.setattr(os, "fdopen", lambda *given: out)
        monkeypatch.setattr(os, "dup", lambda number: number)
        monkeypatch.setattr(os, "dup2", lambda *numbers: None)
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(pickle.dumps(report))))
        apart.main()
        return apart.received(0, out.getvalue())

    return draw


def test_one_chart_that_cannot_be_drawn_leaves_the_others(
    drawn_here: Callable[[], apart.Drawing], monkeypatch: pytest.MonkeyPatch
) -> None:
    def odd(*given: object) -> None:
        raise KeyError("odd")

    monkeypatch.setattr(charts, "effects", odd)
    drawing = drawn_here()
    assert drawing.missing == ("The chart effects is left out: KeyError: 'odd'.",)
    assert "effects" not in {chart.name for chart in drawing.charts}
    assert len(drawing.charts) == len(drawing.pictures) > 3
