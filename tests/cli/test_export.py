"""`loralift export` and `--track`, with a tracker in memory; tests/tracking has the real ones."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loralift import tracking
from loralift.tracking import base
from loralift.workflow import running
from loralift.workflow.concluding import RunResult
from loralift.workflow.reporting import build_report
from loralift.workflow.run_directory import RunDirectory
from tests.cli.test_light import light
from tests.tracking import fake


@pytest.fixture(autouse=True)
def trackers(finished: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:  # made first, which has charts
    monkeypatch.setattr(tracking, "TRACKERS", {"fake": "tests.tracking.fake", "mlflow": "not_there.at_all"})
    monkeypatch.setenv("FAKE_TOKEN", "s3cret-token")
    fake.KEPT.clear()
    fake.FAILS.clear()
    yield
    fake.FAILS.clear()


@pytest.fixture
def compared(tmp_path: Path, cli: Callable[..., Any]) -> Path:
    """A comparison of scores, one metric of which no row of the candidate has."""
    for name, lift in (("before", 0.0), ("after", 0.05)):
        rows = [{"id": i, "accuracy": 0.5 + 0.01 * (i % 7) + lift, "f1": 0.5 + lift * (i % 3)} for i in range(30)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    out = tmp_path / "compared"
    done = cli("compare", tmp_path / "before.jsonl", tmp_path / "after.jsonl", "--primary", "accuracy", "-o", out)
    assert done.code == 0, done.err
    return out


def test_a_comparison_is_exported_once(compared: Path, cli: Callable[..., Any]) -> None:
    done = cli("export", compared, "--to", "fake", "--project", "qa")
    assert (done.code, done.out) == (0, "exported: fake://0\n")
    assert "there are no charts" in done.err
    whole, before, after = fake.KEPT
    assert (before.name, after.name) == ("before", "after")
    assert [run.ended for run in fake.KEPT] == [True, True, True]
    assert before.within is after.within is whole
    rows = {row["metric"]: row for row in json.loads((compared / "comparison.json").read_text("utf-8"))["rows"]}
    for metric, row in rows.items():
        assert after.written.figures[f"{metric}/difference"] == row["difference"]
        assert after.written.figures[f"{metric}/difference_low"] == row["interval"]["low"]
        assert after.written.words[f"verdict/{metric}"] == row["verdict"]
    assert set(whole.written.files) == {"report.html", "report.md", "report.json", "comparison.json"}
    assert "command" in whole.written.settings
    again = cli("export", compared, "--to", "fake")
    assert (again.code, again.err.count("\n"), len(fake.KEPT)) == (2, 1, 3)
    assert "the same figures are in fake already (fake://2): --again" in again.err
    assert cli("export", compared, "--to", "fake", "--again").code == 0
    assert len(fake.KEPT) == 6


def test_an_export_that_fails_says_no_secrets_and_is_not_found_again(compared: Path, cli: Callable[..., Any]) -> None:
    fake.FAILS.add("write after")
    done = cli("export", compared, "--to", "fake")
    assert (done.code, done.err) == (2, "loralift: fake: no route to https://***@host/?t=***\n")
    assert [run.ended for run in fake.KEPT] == [True, True, False]
    fake.FAILS.clear()
    assert cli("export", compared, "--to", "fake").code == 0


@pytest.mark.parametrize(
    ("given", "culprit"),
    [
        ((), "`--to` must be given"),
        (("--to", "comet"), "`--to` must be one of fake, mlflow, got 'comet'"),
        (("--to", "fake", "--project", " "), "`--project` must be a name"),
        (("--to", "mlflow"), "`--to mlflow` needs a package that is not installed: pip install 'loralift[mlflow]'"),
    ],
)
def test_what_cannot_be_asked_is_one_line(
    given: tuple[str, ...], culprit: str, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    done = cli("export", tmp_path, *given)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert culprit in done.err


def test_what_is_no_whole_run_is_refused(finished: Path, tmp_path: Path, cli: Callable[..., Any]) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    document = json.loads((run / "run.json").read_text("utf-8"))

    def refusal(**changes: Any) -> str:
        (run / "run.json").write_text(json.dumps({**document, **changes}), encoding="utf-8")
        done = cli("export", run, "--to", "fake")
        assert (done.code, done.err.count("\n"), fake.KEPT) == (2, 1, [])
        return done.err

    assert "is shard 0/2 of a run" in refusal(shard={"index": 0, "of": 2})
    assert "give the run, which tells of all" in refusal(part="protocols/chat")
    found = json.loads((run / "comparison.json").read_text("utf-8"))
    (run / "comparison.json").unlink()
    assert "is not finished" in refusal()
    found["rows"][0]["difference"] += 0.001  # as of a run whose scores were made again, and whose report was not
    (run / "comparison.json").write_text(json.dumps(found), encoding="utf-8")
    assert "report.json is not of what the run found (it differs in comparison)" in refusal()
    assert "give a run, or what" in cli("export", run / "run.json", "--to", "fake").err


def test_two_halves_of_two_comparisons_are_refused(compared: Path, cli: Callable[..., Any]) -> None:
    document = json.loads((compared / "comparison.json").read_text("utf-8"))
    document["rows"][0]["difference"] += 0.001
    (compared / "comparison.json").write_text(json.dumps(document), encoding="utf-8")
    done = cli("export", compared, "--to", "fake")
    assert (done.code, "are of two comparisons" in done.err) == (2, True)


@pytest.fixture
def ran(finished: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """`loralift run` of what has run already: two tasks are told, and the report is there."""

    def run(config: Any, *, watcher: Any, **_: Any) -> RunResult:
        for description in ("base: answers", "letters: reference perplexity"):
            with watcher.task(description, 20) as advance:
                advance(20, 240 if "answers" in description else 0)
        report = build_report(RunDirectory(finished))
        return RunResult(finished, report, (finished / "report.html",))

    monkeypatch.setattr(running, "run", run)
    return run


def test_a_run_is_followed_and_exported(ran: Any, finished: Path, cli: Callable[..., Any]) -> None:
    done = cli("run", "--adapter", "letters=x", "--track", "fake", "--project", "qa")
    assert done.code == 0, done.err
    assert done.out.rstrip().endswith("exported: fake://0")
    live, base_run, letters = fake.KEPT
    assert live.settings == {"config/adapters": "{'letters': 'x'}"}
    assert [set(told) for told in live.told] == [
        {"progress/base/answers/rows", "progress/base/answers/output_tokens", "progress/base/answers/seconds"},
        {"progress/letters/reference perplexity/rows", "progress/letters/reference perplexity/seconds"},
    ]
    assert (base_run.name, letters.written.words["decides"]) == ("base", "f1")
    assert {"report.html", "run.json", "charts/effects.png"} <= set(live.written.files)
    assert "the same figures are in fake already" in cli("export", finished, "--to", "fake").err


def test_a_tracker_that_is_lost_costs_the_run_nothing(ran: Any, finished: Path, cli: Callable[..., Any]) -> None:
    fake.FAILS.update(("progress followed", "write base"))
    done = cli("run", "--adapter", "letters=x", "--track", "fake", "--project", "my qa")
    assert done.code == 0
    said = " ".join(done.err.split())
    assert said.count("the run goes on without telling it") == 1
    later = f"the run is whole, and `loralift export {finished} --to fake --project 'my qa'` exports it later"
    assert later in said.replace("/ ", "/")
    assert [run.ended for run in fake.KEPT] == [False, False]
    assert "hunter22" not in done.err + done.out
    assert "exported:" not in done.out


def test_a_run_that_fails_is_marked_so(monkeypatch: pytest.MonkeyPatch, cli: Callable[..., Any]) -> None:
    def run(*_: Any, **__: Any) -> RunResult:
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "run", run)
    assert cli("run", "--adapter", "letters=x", "--track", "fake").code == 130
    assert [run.ended for run in fake.KEPT] == [False]


@pytest.mark.parametrize(
    ("given", "culprit"),
    [
        (("--project", "qa"), "`--project` is of a tracker"),
        (("--track", "fake", "--shard", "0/2"), "`--track` follows a whole run"),
        (("--track", "fake", "--offline"), "`--track` is not on this machine"),
        (("--track", "mlflow"), "pip install 'loralift[mlflow]'"),
    ],
)
def test_a_track_in_vain_is_refused_before_any_work(
    given: tuple[str, ...], culprit: str, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    done = cli("run", "--adapter", "letters=x", *given)
    assert (done.code, fake.KEPT) == (2, [])
    assert culprit in done.err


def test_a_tracker_that_is_not_there_stops_the_run_before_it_begins(ran: Any, cli: Callable[..., Any]) -> None:
    fake.FAILS.add("start followed")
    done = cli("run", "--adapter", "letters=x", "--track", "fake")
    assert (done.code, done.err.count("\n"), done.out) == (2, 1, "")


def test_it_is_a_part_of_the_light_package(finished: Path) -> None:
    done = light("export", finished, "--to", "mlflow")
    assert done.returncode == 2
    assert "pip install 'loralift[mlflow]'" in done.stderr


def test_short_values_are_no_secrets() -> None:
    assert base.without_secrets("port 80", {"SOME_KEY": "80"}) == "port 80"
