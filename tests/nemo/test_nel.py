"""NeMo Evaluator's own command line on what we write, and on our benchmark file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from nemo_evaluator.cli.main import cli

from loralift import compare
from loralift.metrics import METRICS, MetricSettings
from loralift.nemo import benchmark
from loralift.nemo.bundles import write_bundles
from loralift.nemo.scoring import score_recorded
from loralift.nemo.summaries import summarise_all
from loralift.records import Answer, Example, Question

NAMES = ("f1", "rougeL", "exact_match")
NEL = Path(sys.executable).parent / "nel"


def nel(*arguments: object) -> Result:
    """Its command line in this process: to import it takes as long as all that is asked of it here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the SDK's own dependencies warn, and that is not what is tested
        return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The nemo folder of a run whose adapter is plainly worse."""
    root = tmp_path_factory.mktemp("run") / "nemo"
    settings = MetricSettings()
    infos = {name: METRICS[name].info(settings) for name in NAMES}
    for variant, words in (("base", 6), ("bad", 2)):
        examples = [
            Example(
                Question(f"q{i}", "How much?", f"item {i} costs about {i} dollars today"),
                Answer(f"q{i}", " ".join(f"item {i} costs about {i} dollars today".split()[: words + i % 2])),
            )
            for i in range(40)
        ]
        scores, bundle = score_recorded(examples, NAMES, settings, primary="f1", benchmark="money", variant=variant)
        write_bundles(root / variant, bundle, scores, summarise_all(scores, infos, 0), infos)
    return root


def test_nel_compare_sees_the_drop_in_every_metric(run_dir: Path) -> None:
    done = nel("compare", run_dir / "base", run_dir / "bad")
    assert (done.exit_code, "BLOCK" in done.stdout) == (1, True), done.stdout + done.stderr
    for name in NAMES:
        assert f"money.{name}" in done.stdout
    one = nel("compare", run_dir / "base" / "money.f1", run_dir / "bad" / "money.f1", "--format", "json", "--no-report")
    report = json.loads(one.stdout)
    assert report["score_deltas"]["mean_reward"]["delta"] < -0.3
    assert report["permutation_test"]["p_value"] < 0.001


def test_nel_gate_stops_the_drop_and_lets_the_base_pass(run_dir: Path, tmp_path: Path) -> None:
    policy = tmp_path / "gate.yaml"
    policy.write_text(
        "defaults: {tier: critical, max_drop: 0.05, metric: mean_reward}\n"
        "benchmarks: {money.f1: {}, money.rougeL: {}}\n",
        encoding="utf-8",
    )
    stopped = nel("gate", run_dir / "base", run_dir / "bad", "--policy", policy, "--no-report")
    assert (stopped.exit_code, "NO-GO" in stopped.stdout) == (1, True), stopped.stdout + stopped.stderr
    passed = nel("gate", run_dir / "base", run_dir / "base", "--policy", policy, "--no-report")
    assert passed.exit_code == 0, passed.stdout + passed.stderr


def test_nel_report_shows_every_metric(run_dir: Path) -> None:
    done = nel("report", run_dir / "base")
    assert done.exit_code == 0, done.stderr
    for name in NAMES:
        assert f"money.{name}" in done.stdout


class _Endpoint(BaseHTTPRequestHandler):
    """An OpenAI-compatible endpoint that repeats the question's last word."""

    asked: Sequence[dict] = ()

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).asked = [*self.asked, request]
        text = "It is " + request["messages"][-1]["content"].split()[-1].strip("?") + "."
        message = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
        body = json.dumps({"id": "1", "object": "chat.completion", "choices": [message], "usage": usage, "model": "m"})
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Nothing: pytest's output is for tests."""


@pytest.fixture
def endpoint() -> Iterator[str]:
    """Its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Endpoint)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


def test_nel_eval_run_asks_an_endpoint_and_gives_our_metrics(endpoint: str, tmp_path: Path) -> None:
    data = tmp_path / "money.jsonl"
    rows = [{"id": f"q{i}", "question": f"Which one is number {i}?", "reference": f"It is {i}."} for i in range(12)]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    asked = ["eval", "run", "--bench", benchmark.__file__, "--model-url", endpoint, "--model-id", "m", "--api-key", "k"]
    told = {"LORALIFT_DATASET": str(data), "LORALIFT_METRICS": "f1,rouge,answer_words", "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        [str(NEL), *asked, "--max-problems", "10", "-o", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **told},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = (tmp_path / "out").rglob("eval-*.json")
    bundle = json.loads(path.read_text(encoding="utf-8"))
    assert (bundle["benchmark"]["samples"], bundle["benchmark"]["scores"]["pass@1"]["value"]) == (10, 1.0)
    for line in ("f1: 1.000 over 10 answers", "rougeL: 1.000 over 10 answers", "answer_words: 3.0 over 10 answers"):
        assert line in done.stderr
    comparison = compare(path.parent, path.parent)
    assert [row.metric for row in comparison.rows] == ["f1", "rouge1", "rouge2", "rougeL", "answer_words"]
    assert {row.n for row in comparison.rows} == {10}
    system, user = _Endpoint.asked[0]["messages"]
    assert system["content"].startswith("You are a helpful financial assistant.")
    assert user["content"].startswith("Which one is number")
