"""`loralift check`: exit code 0 with the proof, or 2 with one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.generation.adapter.broken import BROKEN, each

# without the default system prompt, whose letters alone would fill the tiny model's context window
PLAIN = ("--system-prompt", "", "--device", "cpu", "--max-new-tokens", "8")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other on busy cores make a model this small fifty times slower."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def checked(cli: Callable[..., Any], tiny_base: Path, tiny_adapter: Path) -> Callable[..., Any]:
    return lambda *more: cli("check", "--model", tiny_base, "--adapter", f"letters={tiny_adapter}", *PLAIN, *more)


def test_a_good_adapter_is_proved_without_a_data_set(checked: Callable[..., Any]) -> None:
    outcome = checked()
    assert outcome.code == 0
    for expected in (
        "✓   file      28 tensors, each in its place; 20,480 numbers, all finite",
        "✓   kind      LORA, rank 8, alpha 16, largest lora_B value 0.",
        "✓   adapts    down_proj, gate_proj, k_proj,",
        "✓   acts      KL divergence of the next token ",
        "✓   answers   100% of 16 short greedy answers changed (built-in questions)",
    ):
        assert expected in outcome.out
    assert "note:" not in outcome.out


def test_as_json_on_a_data_set(checked: Callable[..., Any], questions: Path) -> None:
    outcome = checked("--dataset", questions, "--limit", "5", "-f", "json")
    (found,) = json.loads(outcome.out)
    assert outcome.code == 0
    assert found["adapter"]["rank"] == 8
    assert found["proof"]["prompts"] == found["answers"] == 5
    assert found["proof"]["kl_max"] >= found["proof"]["kl_mean"] > 1
    assert found["answers_changed"] == 1
    assert str(questions) in found["questions"]


def test_notes_are_told_and_every_flag_of_run_is_taken(
    checked: Callable[..., Any], tiny_adapter: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(tiny_adapter, tmp_path / "other")
    config = json.loads((other / "adapter_config.json").read_text())
    (other / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": "their/model"}))
    each(lambda tensor: tensor * 0.5, "lora_B")(other)
    outcome = checked("--adapter", f"other={other}", "--metrics", "f1", "--limit", "3", "-o", tmp_path / "run")
    assert outcome.code == 0
    assert "note: It was trained on 'their/model' and is evaluated on" in outcome.out
    assert outcome.out.count("✓   acts") == 2
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["lora_b_all_zero", "lora_alpha_all_but_0", "truncated_weights"])
def test_a_broken_adapter_is_one_line(
    name: str, checked: Callable[..., Any], tiny_adapter: Path, tmp_path: Path
) -> None:
    broken = shutil.copytree(tiny_adapter, tmp_path / "broken")
    BROKEN[name].spoil(broken)
    outcome = checked("--adapter", f"mine={broken}")
    assert outcome.code == 2
    assert outcome.out == ""
    last = outcome.err.splitlines()[-1]
    assert last.startswith(f"loralift: `--adapter mine={broken}` ")
    assert BROKEN[name].what_to_do in last
    assert "Traceback" not in outcome.err


def test_no_adapter_and_no_format(checked: Callable[..., Any], cli: Callable[..., Any], tiny_base: Path) -> None:
    outcome = cli("check", "--model", tiny_base)
    assert outcome.code == 2
    assert outcome.err == "loralift: `--adapter` must be given at least once, got 'none'\n"
    outcome = checked("-f", "xml")
    assert outcome.code == 2
    assert "`--format` must be table or json, got 'xml'" in outcome.err


def test_a_doubled_bos_is_caught(cli: Callable[..., Any], tiny_base: Path, tiny_adapter: Path) -> None:
    plain = ["<s>You are a banker." if text == "" else text for text in PLAIN]
    outcome = cli("check", "--model", tiny_base, "--adapter", f"letters={tiny_adapter}", *plain)
    assert outcome.code == 2
    assert "149 of 149 prompts begin with two BOS tokens ('<s>'" in outcome.err


def test_the_help_shows_only_what_is_looked_at(cli: Callable[..., Any]) -> None:
    outcome = cli("check", "--help")
    assert outcome.code == 0
    assert "--adapter NAME=PATH" in outcome.out
    assert "--primary" not in outcome.out
