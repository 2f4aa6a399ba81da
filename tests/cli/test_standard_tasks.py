"""Tasks of lm-evaluation-harness as further data sets: what lm_eval itself says with ``peft=``, and our verdicts."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loralift.cli import main
from loralift.workflow import tasks
from tests.harness.asked import folder, lines

__all__ = ["folder"]

PARTS = {"written": "letters_written", "chosen": "letters_chosen", "long": "letters_long"}


@pytest.fixture(scope="module")
def base(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base with what its makers recommend: lm_eval follows it, and LoraLift's own answers do not."""
    place = shutil.copytree(tiny_base, tmp_path_factory.mktemp("recommended") / "base")
    config = place / "generation_config.json"
    known = json.loads(config.read_text()) if config.exists() else {}
    config.write_text(json.dumps({**known, "repetition_penalty": 1.4}))
    return place


@pytest.fixture(scope="module")
def asked(base: Path, tiny_adapter: Path, questions: Path, folder: Path) -> list[str]:
    """What every run here is called with."""
    of_tasks = [f"--also=lm-eval:{folder / name}.yaml" for name in PARTS]
    return [
        *("run", "--model", str(base), "--adapter", f"letters={tiny_adapter}", "--dataset", str(questions)),
        *("--limit", "6", "--system-prompt", "", "--max-new-tokens", "6", "--device", "cpu", "--resamples", "500"),
        *("--metrics", "f1", "--noise-rows", "0", *of_tasks, "--margin", "acc,none=0.3"),
    ]


@pytest.fixture(scope="module")
def evaluated(asked: list[str], undrawn: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    place = tmp_path_factory.mktemp("evaluated") / "run"
    with pytest.raises(SystemExit) as done:
        main([*asked, "-o", str(place)])
    assert not done.value.code
    return place


@pytest.fixture(scope="module")
def harness(base: Path, tiny_adapter: Path, folder: Path, evaluated: Path) -> dict[tuple[str, str], Any]:
    """What lm_eval says of the same: variant and task to its results."""
    from lm_eval import evaluator
    from lm_eval.tasks import TaskManager

    found: dict[tuple[str, str], Any] = {}
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(action="ignore"):
        patch.setattr(evaluator, "add_env_info", lambda results: None)  # calls a dozen programs
        for variant, adapter in (("base", ""), ("letters", f",peft={tiny_adapter}")):
            # one by one: rows of several tasks would meet in other batches, which round otherwise
            for name in PARTS:
                found[variant, name] = evaluator.simple_evaluate(
                    model="hf",
                    model_args=f"pretrained={base},dtype=float32{adapter}",
                    tasks=[str(folder / f"{name}.yaml")],
                    task_manager=TaskManager(include_defaults=False),
                    device="cpu",
                    batch_size=tasks.ROWS_AT_ONCE,
                    limit=6,
                    bootstrap_iters=0,
                )
    return found


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("variant", ["base", "letters"])
def test_every_row_is_as_lm_eval_itself_has_it_with_peft(
    evaluated: Path, harness: dict[tuple[str, str], Any], variant: str, part: str
) -> None:
    from lm_eval.utils import sanitize_list

    place, name = evaluated / "also" / part, PARTS[part]
    theirs = harness[variant, part]["samples"][name]
    ours = lines(place / variant / f"samples_{name}.jsonl")
    keys = ("doc_id", "filter", "doc_hash", "prompt_hash")
    assert [[line[key] for key in keys] for line in ours] == [[line[key] for key in keys] for line in theirs]
    written = sanitize_list([list(map(list, line["resps"])) for line in theirs])
    assert [line["resps"] for line in ours] == json.loads(json.dumps(written))
    values = lines(place / variant / "scores.jsonl")
    metrics = [metric for metric in values[0] if "," in metric]
    assert metrics
    for metric in metrics:
        bare, chosen = metric.split(",")
        assert [row[metric] for row in values] == [line[bare] for line in theirs if line["filter"] == chosen]
        mean = json.loads((place / f"{'baseline' if variant == 'base' else variant}_results.json").read_text())
        assert mean["metrics"][metric]["value"] == pytest.approx(
            harness[variant, part]["results"][name][metric], abs=1e-12
        )


def test_a_task_has_verdicts_a_report_and_a_place_among_what_was_forgotten(
    evaluated: Path, cli: Callable[..., Any]
) -> None:
    comparison = json.loads((evaluated / "also" / "written" / "comparison.json").read_text())
    assert comparison["primary"] == "exact_match,strict"
    assert set(comparison["metrics"]) == {"exact_match,strict", "exact_match,digit"}
    assert comparison["verdicts"] == {"letters": "better"}
    chosen = json.loads((evaluated / "also" / "chosen" / "comparison.json").read_text())
    assert {row["margin"] for row in chosen["rows"] if row["metric"] == "acc,none"} == {0.3}
    assert chosen["metrics"]["acc,none"]["high"] == 1.0
    page = (evaluated / "report.md").read_text(encoding="utf-8")
    assert "## Forgetting: written" in page
    assert "On written letters is better than base too, by exact_match (strict)" in cli("report", evaluated).out
    own = (evaluated / "also" / "chosen" / "report.md").read_text(encoding="utf-8")
    assert "Asked and scored as lm-evaluation-harness does, without a chat template" in own
    assert "- letters: " in own
    assert "task:chosen.yaml|shots:1" in own.replace("\\", "")
    sides = [evaluated / "also" / "chosen" / variant for variant in ("base", "letters")]
    assert cli("compare", *sides).code == 0
    logs = [side / "samples_letters_chosen.jsonl" for side in sides]
    assert cli("compare", *logs, "--metrics", "acc").code == 0


def test_what_lm_eval_cut_is_said(evaluated: Path) -> None:
    rows = json.loads((evaluated / "also" / "long" / "comparison.json").read_text())["rows"]
    said = [warning for row in rows if row["metric"] == "acc,none" for warning in row["warnings"]]
    assert any("6 of 6 rows asked more than fits the model's context window" in warning for warning in said)
    whole = json.loads((evaluated / "also" / "chosen" / "comparison.json").read_text())["rows"]
    assert not any("context window" in warning for row in whole for warning in row["warnings"])


@pytest.fixture
def copied(evaluated: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return shutil.copytree(evaluated, tmp_path / "run")


def test_a_resume_evaluates_only_variants_that_were_not(
    copied: Path, asked: list[str], cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = copied / "also" / "chosen" / "letters" / "samples_letters_chosen.jsonl"
    before = lost.read_bytes()
    comparison = (copied / "also" / "chosen" / "comparison.json").read_bytes()
    lost.unlink()
    again: list[str] = []
    real = tasks.evaluate

    def noted(task: Any, *rest: Any) -> Any:
        again.append(task.name)
        return real(task, *rest)

    monkeypatch.setattr(tasks, "evaluate", noted)
    assert cli(*asked, "-o", copied, "--resume").code == 0
    assert [Path(name).stem for name in again] == ["chosen"]
    assert lost.read_bytes() == before
    assert (copied / "also" / "chosen" / "comparison.json").read_bytes() == comparison


def test_samples_of_another_variant_are_refused(copied: Path, asked: list[str], cli: Callable[..., Any]) -> None:
    part = copied / "also" / "chosen"
    shutil.copy(part / "base" / "samples_letters_chosen.jsonl", part / "letters")
    outcome = cli(*asked, "-o", copied, "--resume")
    assert outcome.code == 2
    assert "samples_letters_chosen.jsonl was not written by this run for letters" in " ".join(outcome.err.split())


def test_a_task_that_changed_is_not_resumed(
    copied: Path, asked: list[str], folder: Path, cli: Callable[..., Any]
) -> None:
    place = folder / "written.yaml"
    before = place.read_text(encoding="utf-8")
    place.write_text(before.replace("max_gen_toks: 12", "max_gen_toks: 13"), encoding="utf-8")
    try:
        outcome = cli(*asked, "-o", copied, "--resume")
    finally:
        place.write_text(before, encoding="utf-8")
    assert outcome.code == 2
    assert "cannot be resumed" in outcome.err
    assert "generation.config_sha256" in outcome.err
