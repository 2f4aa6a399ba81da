"""A metric of the user's own in whole commands: it has a verdict, and a broken one costs no answer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.metrics.test_own import NINE_LINES

LATER = """
higher_is_better = True
def score(prediction, references, question):
    if prediction in {}:
        raise ValueError("no")
    return len(prediction)
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The nine lines, in a folder of the user's."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(NINE_LINES, encoding="utf-8")
    return tmp_path / "mine.py"


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, which knows no metric of anybody's own."""
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def test_nine_lines_have_a_verdict_everywhere_and_a_report_needs_them_no_more(run, mine, arguments, cli):
    asked = ["score" if argument == "f1" else argument for argument in arguments]  # --primary f1
    outcome = cli(*asked, "-o", run, "--resume", "--metric", "./mine.py:score")
    assert outcome.code == 0, outcome.err
    comparison = read(run / "comparison.json")
    [row] = [row for row in comparison["rows"] if row["metric"] == "score"]
    assert comparison["primary"] == "score"
    assert row["verdict"] in ("better", "worse", "equivalent", "inconclusive")
    assert "Recall of words ↑ ★" in outcome.out
    assert [noise["metric"] for noise in comparison["confounds"]["noise"] if noise["metric"] == "score"] == ["score"]
    assert any(path.name.endswith(".score") for path in (run / "nemo" / "letters").iterdir())
    mine.unlink()
    again = cli("report", run)
    assert again.code == 0, again.err
    assert "Recall of words" in (run / "report.html").read_text(encoding="utf-8")
    against = cli("compare", run / "base", run / "letters", "--metrics", "score")
    assert against.code == 0, against.err


def test_one_that_cannot_score_an_empty_answer_is_refused_before_weights_are_loaded(mine, arguments, cli, tmp_path):
    mine.write_text(NINE_LINES.replace("/ len(wanted)", "/ len(prediction.split())"), encoding="utf-8")
    outcome = cli(*arguments, "-o", tmp_path / "new", "--metric", "./mine.py:score")
    assert outcome.code == 2
    assert "./mine.py:9: score failed on row q0 (answer ''): ZeroDivisionError: division by zero" in outcome.err
    assert not list((tmp_path / "new").rglob("answers.jsonl"))


def test_one_that_breaks_later_costs_no_answer(run, mine, arguments, cli):
    answers = (run / "base" / "answers.jsonl").read_bytes()
    last = json.loads(answers.splitlines()[-1])["text"]
    mine.write_text(LATER.format([last]), encoding="utf-8")
    asked = [*arguments, "-o", run, "--resume"]
    broken = cli(*asked, "--metric", "./mine.py:score")
    assert broken.code == 2
    assert "./mine.py:5: score failed on row q" in broken.err
    assert "ValueError: no; every answer is kept: mend it or leave it out, and add --resume" in broken.err
    assert (run / "base" / "answers.jsonl").read_bytes() == answers
    mine.write_text(LATER.format([]).replace("higher_is_better = True", ""), encoding="utf-8")
    mended = cli(*asked, "--metric", "./mine.py:score")
    assert mended.code == 0, mended.err
    assert "metrics: score is described and not judged: declare higher_is_better" in " ".join(mended.err.split())
    assert cli(*asked).code == 0
    assert "score" not in read(run / "comparison.json")["metrics"]
    assert (run / "base" / "answers.jsonl").read_bytes() == answers


def test_compare_scores_recorded_answers_by_it(run, mine, cli):
    found = cli("compare", run / "base", run / "letters", "--metric", "mine.py:score", "-o", "found.json")
    assert found.code == 0, found.err
    document = read(mine.parent / "found.json")
    [row] = [row for row in document["rows"] if row["metric"] == "score"]
    assert row["verdict"]
    assert document["metrics"]["score"]["margin"] == 0.02
    scores = cli("compare", run / "base" / "scores.jsonl", run / "letters", "--metric", "mine.py:score")
    assert scores.code == 2
    assert "`--metric` needs answers, and " in scores.err


def test_two_runs_by_two_sources_are_told_and_by_two_directions_refused(run, mine, arguments, cli, tmp_path):
    shutil.copytree(run, tmp_path / "other")
    asked = [*arguments, "--resume", "--metric", "./mine.py:score"]
    assert cli(*asked, "-o", run).code == 0
    mine.write_text(NINE_LINES + "# and a remark\n", encoding="utf-8")
    assert cli(*asked, "-o", tmp_path / "other").code == 0
    told = cli("compare", run / "base", tmp_path / "other" / "letters", "--primary", "score", "-o", "found.json")
    assert told.code == 0, told.err
    rows = read(tmp_path / "found.json")["rows"]
    assert any("made it differently" in text for row in rows if row["metric"] == "score" for text in row["warnings"])
    mine.write_text(NINE_LINES.replace("= True", "= False"), encoding="utf-8")
    assert cli(*asked, "-o", tmp_path / "other").code == 0
    refused = cli("compare", run / "base", tmp_path / "other" / "letters")
    assert refused.code == 2
    assert "score means something else on each side (higher is better, from 0 to 1; lower is better" in refused.err


def test_predictions_are_scored_by_it_alone_too(mine, cli):
    for name, answer in (("a", "yes"), ("b", "no")):
        rows = [{"id": str(n), "prediction": answer, "reference": "yes it is"} for n in range(8)]
        (mine.parent / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    found = cli("compare", "a.jsonl", "b.jsonl", "--metrics", "f1", "--metric", "./mine.py:score", "--primary", "score")
    assert found.code == 0, found.err
    assert "b is WORSE than a on Recall of words: −0.333" in found.out
