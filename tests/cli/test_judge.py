"""`loralift judge` and `loralift run --judge`, with a scripted judge over real HTTP on the loopback interface."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loralift.cli import main
from tests.cli.conftest import Outcome
from tests.judge import served as judges
from tests.judge.served import Served, serving
from tests.models import SUBJECTS

type Cli = Callable[..., Outcome]

PAIRS = [(one, two) for one in SUBJECTS[:5] for two in SUBJECTS[5:9]]
PROOF = 40 + 20 + 40
"""Requests that prove a judge on 20 questions; some of the 20 that are cut are asked already."""


def letters(question: str, a: str, b: str) -> str:
    """An honest judge, which likes an answer that counts letters better than one that repeats what some say."""
    if "Some say" in a + b:
        return f"[[{'A' if 'letters' in a else 'B'}]]"
    return judges.honest(question, a, b)


@pytest.fixture(scope="module")
def arguments(tiny_base: Path, tiny_adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A run of 20 questions with references of their own."""
    data = tmp_path_factory.mktemp("judged") / "data.jsonl"
    rows = [
        {
            "id": f"q{n}",
            "question": f"What are {one} or {two}?",
            "reference": f"{one} {two} are{' quite' * (n % 7)} letters.",
        }
        for n, (one, two) in enumerate(PAIRS)
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return [
        *("run", "--model", str(tiny_base), "--adapter", f"letters={tiny_adapter}", "--dataset", str(data)),
        *("--system-prompt", "", "--max-new-tokens", "12", "--device", "cpu", "--resamples", "1000"),
        *("--metrics", "f1,answer_words", "--primary", "f1", "--noise-rows", "0"),
    ]


@pytest.fixture(scope="module")
def run(arguments: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judged") / "run"
    with pytest.raises(SystemExit) as done:
        main([*arguments, "--output-dir", str(folder)])
    assert not done.value.code
    return folder


@pytest.fixture
def mine(run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(run, tmp_path / "run")


def flags(served: Served, model: str = "scripted") -> list[str]:
    return ["--judge", served.url, "--judge-model", model]


def judging(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "comparison.json").read_text(encoding="utf-8"))["judging"]
    return found


def replies(run: Path) -> list[str]:
    found = list((run / "judge").glob("*/replies.jsonl"))
    return found[0].read_text(encoding="utf-8").splitlines() if found else []


def test_a_judge_that_proves_itself_gives_a_verdict(cli: Cli, mine: Path) -> None:
    before = json.loads((mine / "comparison.json").read_text(encoding="utf-8"))
    with serving(letters) as served:
        done = cli("judge", mine, *flags(served))
        asked = len(served.prompts)
        again = cli("judge", mine, *flags(served))
        assert len(served.prompts) == asked
        assert cli("judge", mine, *flags(served), "--judge-questions", 5).code == 0
        assert len(served.prompts) == asked
    assert (done.code, again.code) == (0, 0)
    (judge,) = judging(mine)["judges"]
    assert judge["proof"]["refused"] == ""
    after = json.loads((mine / "comparison.json").read_text(encoding="utf-8"))
    del after["judging"]
    assert after == before
    assert "letters is BETTER than base: it wins 100 %, preference +1.000" in done.out
    assert judge["judged"][0]["row"]["n"] == 5
    for file in ("report.md", "report.html"):
        assert "Does the judge judge?" in (mine / file).read_text(encoding="utf-8")


def test_the_figures_are_those_of_the_replies(cli: Cli, mine: Path) -> None:
    flipping = {"What are stocks or funds?", "What are bonds or taxes?"}

    def script(question: str, a: str, b: str) -> str:
        if question in flipping and "Some say" in a + b:
            return "[[A]]"
        if question == "What are cash or shares?" and "Some say" in a + b:
            return "I cannot say."
        return letters(question, a, b)

    with serving(script) as served:
        assert cli("judge", mine, *flags(served)).code == 0
    (judged,) = judging(mine)["judges"][0]["judged"]
    assert (judged["asked"], judged["flips"]) == (20, 2)
    assert judged["unscored"] == {"the reply does not end with one verdict": 1}
    row = judged["row"]
    assert (row["n"], row["wins"], row["ties"], row["losses"], row["dropped"]) == (19, 17, 2, 0, 1)
    assert row["difference"] == pytest.approx(17 / 19)
    assert row["baseline_value"] == 0.0
    (f1,) = [one for one in judged["agreement"] if one["metric"] == "f1"]
    assert f1["n"] <= 17


def test_a_judge_that_does_not_judge_ends_with_2_and_shows_no_verdict(cli: Cli, mine: Path) -> None:
    with serving(judges.always_a) as served:
        done = cli("judge", mine, *flags(served))
        assert len(served.prompts) <= PROOF
    assert done.code == 2
    assert "the judge scripted is refused, none of its verdicts is shown: it goes by position" in done.err
    (judge,) = judging(mine)["judges"]
    assert judge["judged"] == []
    assert "REFUSED" in (mine / "report.md").read_text(encoding="utf-8")
    assert "wins" not in (mine / "report.md").read_text(encoding="utf-8")
    assert cli("report", mine).code == 0


def test_two_judges_are_one_family_and_agree_beyond_chance(cli: Cli, mine: Path) -> None:
    with serving(letters) as served:
        assert cli("judge", mine, *flags(served, "one")).code == 0
        alone = judging(mine)["judges"][0]["judged"][0]["row"]["p_adjusted"]
        done = cli("judge", mine, *flags(served, "two"))
    found = judging(mine)
    (agreement,) = found["agreement"]
    assert (agreement["n"], agreement["agreed"], agreement["kappa"]) == (20, 20, None)
    assert [judge["judged"][0]["row"]["p_adjusted"] for judge in found["judges"]] == [2 * alone, 2 * alone]
    assert "Do the judges agree?" in done.out


def test_a_killed_judge_goes_on_and_no_answered_question_is_asked_twice(mine: Path, cli: Cli) -> None:
    hung, release = list[int](), threading.Event()

    def trouble(served: Served, number: int, prompt: str) -> Any:
        if number < 50 or release.is_set():
            return None
        hung.append(number)
        release.wait(30)
        return "close"

    with serving(letters, trouble) as served:
        command = [sys.executable, "-m", "loralift", "judge", str(mine), *flags(served)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ})
        try:
            ends = time.monotonic() + 60
            while (len(hung) < 8 or len(replies(mine)) < 50) and time.monotonic() < ends:
                time.sleep(0.02)
        finally:
            process.kill()
            process.wait()
        kept, file = len(replies(mine)), next((mine / "judge").glob("*/replies.jsonl"))
        with file.open("a", encoding="utf-8") as torn:
            torn.write('{"key": "half a li')
        release.set()
        done = cli("judge", mine, *flags(served))
    assert (done.code, kept) == (0, 50)
    assert max(Counter(served.answered).values()) == 1
    assert len(replies(mine)) == len(served.answered)


def test_a_run_judges_at_its_end_and_a_resume_keeps_what_was_found(
    cli: Cli, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUDGE_KEY", "sk-very-secret")
    folder = tmp_path / "run"
    with serving(letters) as served:
        key = ("--judge-key-env", "JUDGE_KEY")
        done = cli(*arguments, "--output-dir", folder, *flags(served), *key, "--judge-questions", 8)
        assert done.code == 0
        asked, found = len(served.prompts), judging(folder)
        assert served.headers[-1]["Authorization"] == "Bearer sk-very-secret"
    assert cli(*arguments, "--output-dir", folder, "--resume").code == 0
    assert (judging(folder), asked) == (found, len(served.prompts))
    for path in folder.rglob("*"):
        assert not path.is_file() or b"sk-very-secret" not in path.read_bytes(), path
    assert "sk-very-secret" not in done.out + done.err


def test_a_judge_of_which_replies_are_missing_has_no_verdict(cli: Cli, mine: Path) -> None:
    with serving(letters) as served:
        assert cli("judge", mine, *flags(served)).code == 0
        file = next((mine / "judge").glob("*/replies.jsonl"))
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        file.write_text("".join(lines[:-3]), encoding="utf-8")
        assert cli("judge", mine, *flags(served, "other")).code == 0
        by_model = {judge["model"]: judge for judge in judging(mine)["judges"]}
        assert by_model["scripted"]["judged"] == []
        assert "not all of its replies" in by_model["scripted"]["unfinished"]
        assert cli("judge", mine, *flags(served)).code == 0
    assert [judge["unfinished"] for judge in judging(mine)["judges"]] == ["", ""]


@pytest.mark.parametrize("spoiled", ["replies.jsonl", "judge.json", "rubric.txt"])
def test_what_was_spoiled_is_named(cli: Cli, mine: Path, spoiled: str) -> None:
    with serving(letters) as served:
        assert cli("judge", mine, *flags(served)).code == 0
        file = next((mine / "judge").glob(f"*/{spoiled}"))
        file.write_text('{"key": 1}\n', encoding="utf-8")
        done = cli("judge", mine, *flags(served, "other"))
    assert done.code == 2
    assert str(file) in done.err


def test_a_judge_of_nothing_is_one_line(cli: Cli, mine: Path, tmp_path: Path) -> None:
    with serving(letters) as served:
        for wrong, said in (
            (["judge", mine, "--judge-model", "m"], "`--judge` must be given"),
            (["judge", mine, "--judge", served.url], "`--judge-model` must be given"),
            (["judge", tmp_path / "none", *flags(served)], "is not a run directory"),
            (["judge", mine, *flags(served), "--judge-questions", "0"], "`--judge-questions` must be"),
            (["judge", mine, *flags(served), "--judge-rubric", tmp_path / "none"], "there is no such file"),
            (["run", "--judge-model", "m"], "`--judge` must be given"),
            (["run", *flags(served)], "give an --adapter"),
            (
                ["run", "--adapter", "a=b", "--offline", "--judge", "http://192.0.2.1/v1", "--judge-model", "m"],
                "--offline reaches no network",
            ),
        ):
            done = cli(*wrong)
            assert done.code == 2
            assert said in done.err
        assert served.prompts == []
    assert not (mine / "judge").exists()


def test_a_judge_that_goes_away_costs_nothing_of_the_run(cli: Cli, arguments: list[str], run: Path, mine: Path) -> None:
    gone: Any = lambda served, number, prompt: (401, b"", {}) if number >= 30 else None  # noqa: E731
    with serving(letters, gone) as served:
        done = cli(*arguments, "--output-dir", mine, "--resume", *flags(served))
    assert done.code == 2
    assert "letters is BETTER than base on Token F1" in done.out
    assert "cannot be asked: HTTP 401" in done.err
    assert len(replies(mine)) == len(served.answered)


def test_ctrl_c_keeps_what_was_replied(mine: Path, cli: Cli) -> None:
    def trouble(served: Served, number: int, prompt: str) -> Any:
        return time.sleep(0.02)

    with serving(letters, trouble) as served:
        command = [sys.executable, "-m", "loralift", "judge", str(mine), *flags(served)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        ends = time.monotonic() + 60
        while len(replies(mine)) < 20 and time.monotonic() < ends:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 130
        assert "interrupted" in err
        assert cli("judge", mine, *flags(served)).code == 0
    assert max(Counter(served.answered).values()) == 1
