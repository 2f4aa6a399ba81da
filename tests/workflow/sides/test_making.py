"""What two runs were made with, and when their perplexities do not compare."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loralift.errors import UsageError
from loralift.metrics import METRICS, MetricSettings
from loralift.records import MetricComparison, MetricSummary
from loralift.workflow.codec import plain
from loralift.workflow.compare_inputs import Asked, compare_sides
from loralift.workflow.sides.making import made_differently

MADE = {
    "base": "sha256:aa",
    "data": {"sha256": "d", "rows": 20},
    "prompt": {"token_ids_sha256": "p", "example": "Q: how many?\nA:"},
    "generation": {"max_new_tokens": 64, "temperature": 0.0, "top_p": 1.0, "stop": [], "seed": 0, "repeats": 1},
    "numerics": {"engine": "transformers", "dtype": "float32"},
}
CONFIG = {"primary": "f1", "repeats": 1, "margins": {}, "seed": 0, "resamples": 500, "model": "org/base"}
CONFIG |= {"chat_template": False, "system_prompt": None}


def run(
    root: Path,
    made: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
    of: str = "",
    tokens: tuple[int, ...] = (),
) -> Path:
    """A run with the variant mine, on F1 and perplexity, of references of so many tokens; its path is returned."""
    folder = root / "mine"
    folder.mkdir(parents=True)
    scores = [{"id": str(i), "f1": 0.3 + i % 5 / 20, "perplexity": 9.0 + i % 3} for i in range(20)]
    for row, count in zip(scores, tokens, strict=False):
        row["statistics"] = {"perplexity": [row["perplexity"], count]}
    (folder / "scores.jsonl").write_text("".join(json.dumps(row) + "\n" for row in scores), encoding="utf-8")
    document = {"fingerprint": MADE | (made or {}), "config": CONFIG | (config or {})}
    (root / "run.json").write_text(json.dumps(document), encoding="utf-8")
    infos = {name: METRICS[name].info(MetricSettings(perplexity_of=of)) for name in ("f1", "perplexity")}
    summary = plain(MetricSummary("f1", 20, 0, 0.3, 0.3, 0.3, 0.1, None))
    results = {"metrics": {name: {**summary, "metric": name, "info": plain(info)} for name, info in infos.items()}}
    (root / "mine_results.json").write_text(json.dumps(results), encoding="utf-8")
    return folder


def rows(before: Path, after: Path) -> dict[str, MetricComparison]:
    return {row.metric: row for row in compare_sides(before, after)[0].rows}


def generation(**changes: Any) -> dict[str, Any]:
    return {"generation": MADE["generation"] | changes}


@pytest.mark.parametrize(
    ("made", "config", "said"),
    [
        ({"numerics": {"engine": "vllm", "dtype": "bfloat16"}}, {}, "engine 'transformers' and 'vllm'; dtype"),
        ({"base": "sha256:bb"}, {"model": "org/other"}, "base model 'org/base' and 'org/other'"),
        ({"base": "sha256:bb"}, {}, "base model 'sha256:aa' and 'sha256:bb'"),
        (generation(repeats=3), {}, "repeats 1 and 3"),
    ],
)
def test_settings_that_differ_are_said_on_the_primary_row(
    tmp_path: Path, made: dict[str, Any], config: dict[str, Any], said: str
) -> None:
    found = rows(run(tmp_path / "a"), run(tmp_path / "b", made, config))["f1"]
    (warning,) = (one for one in found.warnings if "made with other settings" in one)
    assert said in warning


@pytest.mark.parametrize(
    "made",
    [
        {},
        generation(seed=5),  # nothing is drawn where decoding is greedy
        {"data": {"sha256": "e", "rows": 10}, "prompt": {"token_ids_sha256": "q", "example": "Q: a part"}},
    ],
)
def test_runs_that_were_made_alike_are_said_nothing_of(tmp_path: Path, made: dict[str, Any]) -> None:
    found = rows(run(tmp_path / "a"), run(tmp_path / "b", made))
    assert not any("settings" in warning for row in found.values() for warning in row.warnings)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("weights:aa|model:m|version:1", "weights:bb|model:m|version:1", True),
        ("weights:aa|model:m|version:1", "weights:aa|model:m|version:1", False),
        ("weights:aa|model:m|version:1", "model:m|version:1", False),  # of a LoraLift that did not say it
        ("thinking:kept|weights:aa|model:m|version:1", "model:m|version:1", True),
    ],
)
def test_metrics_whose_models_are_not_the_same_are_said(before: str, after: str, said: bool) -> None:
    info = METRICS["semantic_similarity"].unsigned
    found = made_differently(replace(info, signature=before), replace(info, signature=after))
    assert bool(found) == said


def test_perplexities_of_other_tokenizers_are_not_judged(tmp_path: Path) -> None:
    one, other = run(tmp_path / "a", of="m,tokenizer:aa1"), run(tmp_path / "b", of="n,tokenizer:bb2")
    row = rows(one, other)["perplexity"]
    assert (row.verdict, row.difference) == (None, 0.0)
    assert any("different tokenizers, and a perplexity is per token: it is not judged" in one for one in row.warnings)
    with pytest.raises(UsageError, match="`--primary` cannot be perplexity: The two bases have different tokenizers"):
        compare_sides(one, other, asked=Asked(primary="perplexity"))


def test_perplexities_of_one_tokenizer_are_judged_and_another_base_is_said(tmp_path: Path) -> None:
    one, other = run(tmp_path / "a", of="m,tokenizer:aa1"), run(tmp_path / "b", of="n,tokenizer:aa1")
    row = rows(one, other)["perplexity"]
    assert row.verdict is not None
    assert any(warning.startswith("The two sides made it differently") for warning in row.warnings)
    same = rows(one, run(tmp_path / "c", of="m,tokenizer:aa1"))["perplexity"]
    assert not any("differently" in warning or "tokenizer" in warning for warning in same.warnings)


@pytest.mark.parametrize("of", [("m", "m"), ("m", "n"), ("m", "m,tokenizer:aa1"), ("", "m")])
def test_where_a_tokenizer_is_not_known_the_references_tokens_tell(tmp_path: Path, of: tuple[str, str]) -> None:
    one = run(tmp_path / "a", of=of[0], tokens=(3,) * 20)
    other = run(tmp_path / "b", {"base": "sha256:bb"}, of=of[1], tokens=(3,) * 19 + (4,))
    row = rows(one, other)["perplexity"]
    assert row.verdict is None
    said = "made other numbers of tokens of 1 of 20 references, and a perplexity is per token: it is not judged"
    assert any(said in warning for warning in row.warnings)
    alike = rows(one, run(tmp_path / "c", {"base": "sha256:bb"}, of=of[1], tokens=(3,) * 20))["perplexity"]
    assert alike.verdict is not None
    assert not any("per token" in warning or "do not compare" in warning for warning in alike.warnings)


def test_where_the_tokenizers_are_not_known_other_bases_are_a_doubt(tmp_path: Path) -> None:
    row = rows(run(tmp_path / "a"), run(tmp_path / "b", {"base": "sha256:bb"}))["perplexity"]
    assert any(
        "perplexities of different tokenizers do not compare: are theirs the same?" in one for one in row.warnings
    )
    assert replace(row, warnings=()).verdict is not None
