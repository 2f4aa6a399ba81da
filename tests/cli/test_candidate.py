"""`--candidate`: a whole model is a variant as any other, asked the very tokens that the base is asked."""

from __future__ import annotations

import json
import math
import shutil
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from demo.tiny import train_base
from loralift import generation
from loralift.errors import ModelError
from loralift.generation import inspect_base, load_transformers, whole_model
from loralift.records import Prompt
from tests.cli.test_run import lines, without_time
from tests.models import TEXTS


@pytest.fixture(scope="module")
def merged(tiny_base: Path, tiny_adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole model: the base with the adapter in its weights."""
    folder = tmp_path_factory.mktemp("candidate") / "merged"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT's own
        model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_base), tiny_adapter)
    model.merge_and_unload().save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_base).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def command(arguments: list[str], merged: Path) -> list[str]:
    """A run of an adapter, and of the model that it makes when it is merged."""
    return [*arguments, "--candidate", f"whole={merged}"]


@pytest.fixture(scope="module")
def run(command: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It is finished, and no weights of the base were there when the candidate's were loaded."""
    from loralift.cli import main

    there = tmp_path_factory.mktemp("run") / "run"
    alive: list[object] = []
    with pytest.MonkeyPatch.context() as patch:
        load, seen = generation.load_generator, []

        def watched(*given: Any, **named: Any) -> Any:
            alive.extend(weights() for weights in seen)
            seen.append(whole_model.weights_of(generator := load(*given, **named)))
            return generator

        patch.setattr(generation, "load_generator", watched)
        with pytest.raises(SystemExit) as ended:
            main([*command, "--output-dir", str(there)])
    assert not ended.value.code
    assert alive == [None]
    return there


def test_a_candidate_answers_as_plain_transformers_does_one_at_a_time(run: Path, merged: Path) -> None:
    tokenizer, model = AutoTokenizer.from_pretrained(merged), AutoModelForCausalLM.from_pretrained(merged)
    answers = lines(run / "whole" / "answers.jsonl")
    for row in lines(run / "dataset.jsonl").values():
        asked = tokenizer(f"Question: {row['question']}\n\nAnswer:", return_tensors="pt")
        with torch.inference_mode():
            found = model.generate(**asked, max_new_tokens=12, do_sample=False)
        text = tokenizer.decode(found[0, asked["input_ids"].shape[1] :], skip_special_tokens=True)
        assert answers[row["id"]]["text"].strip() == text.strip()
    assert len(answers) == 20


def test_a_candidate_that_is_a_merged_adapter_is_scored_as_the_adapter(run: Path) -> None:
    adapter, whole = (lines(run / name / "references.jsonl") for name in ("letters", "whole"))
    for name, row in adapter.items():
        assert whole[name]["log_likelihood"] == pytest.approx(row["log_likelihood"], rel=1e-4)
    said = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert said["variants"] == ["base", "letters", "whole"]
    assert said["candidates"]["whole"]["numerics"]["dtype"] == "float32"
    assert said["fingerprint"]["candidates"]["whole"]["model"].startswith("sha256:")
    page = (run / "report.md").read_text(encoding="utf-8")
    assert "candidate whole" in page
    assert "whole against base" in page


def test_a_run_that_ended_within_a_candidate_goes_on(
    run: Path, command: list[str], cli: Callable[..., Any], tmp_path: Path
) -> None:
    there = shutil.copytree(run, tmp_path / "run")
    answers = there / "whole" / "answers.jsonl"
    whole = without_time(lines(answers))
    kept = answers.read_text(encoding="utf-8").splitlines(keepends=True)[:7]
    answers.write_text("".join(kept), encoding="utf-8")
    outcome = cli(*command, "--output-dir", there, "--resume")
    assert outcome.code == 0, outcome.err
    assert without_time(lines(answers)) == whole


def test_a_resume_with_another_candidate_is_refused_by_name(
    run: Path, command: list[str], merged: Path, cli: Callable[..., Any], tmp_path: Path
) -> None:
    other = scaled(merged, tmp_path / "other", 1.01)
    there = shutil.copytree(run, tmp_path / "run")
    outcome = cli(*command[:-1], f"whole={other}", "--output-dir", there, "--resume")
    assert outcome.code == 2
    assert "candidates.whole.model: was " in outcome.err


def scaled(model: Path, folder: Path, factor: float) -> Path:
    """A copy of a model whose last norm is scaled."""
    shutil.copytree(model, folder)
    changed = AutoModelForCausalLM.from_pretrained(model)
    with torch.no_grad():
        changed.model.norm.weight.mul_(factor)
    changed.save_pretrained(folder)
    return folder


def test_two_candidates_alone_have_one_another_in_memory_never(
    arguments: list[str], merged: Path, cli: Callable[..., Any], tmp_path: Path
) -> None:
    other = scaled(merged, tmp_path / "other", 1.5)
    at = arguments.index("--adapter")
    alone = [*arguments[:at], *arguments[at + 2 :], "--limit", "4"]
    outcome = cli(*alone, "--candidate", f"a={merged}", "--candidate", f"b={other}", "--output-dir", tmp_path / "run")
    assert outcome.code == 0, outcome.err
    assert lines(tmp_path / "run" / "a" / "references.jsonl") != lines(tmp_path / "run" / "b" / "references.jsonl")


@pytest.mark.parametrize("same", ["files", "weights"])
def test_a_candidate_that_is_the_base_is_refused(
    same: str, arguments: list[str], tiny_base: Path, cli: Callable[..., Any], tmp_path: Path
) -> None:
    copy = shutil.copytree(tiny_base, tmp_path / "copy")
    if same == "weights":
        config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
        (copy / "config.json").write_text(json.dumps({**config, "note": "another hash"}), encoding="utf-8")
    outcome = cli(*arguments, "--limit", "4", "--candidate", f"copy={copy}", "--output-dir", tmp_path / "run")
    assert outcome.code == 2
    assert "`--candidate copy`" in outcome.err
    assert ("the very files of the base" if same == "files" else "is the base") in outcome.err


def without_a_word(folder: Path) -> None:
    """Swap two tokens of the vocabulary."""
    path = folder / "tokenizer.json"
    held = json.loads(path.read_text(encoding="utf-8"))
    vocabulary = held["model"]["vocab"]
    one, two = list(vocabulary)[-2:]
    vocabulary[one], vocabulary[two] = vocabulary[two], vocabulary[one]
    path.write_text(json.dumps(held), encoding="utf-8")


def no_begin(folder: Path) -> None:
    """Put no BOS before a text, which the base's tokenizer does."""
    path = folder / "tokenizer.json"
    held = json.loads(path.read_text(encoding="utf-8"))
    assert held["post_processor"]["single"][0]["SpecialToken"]["id"] == "<s>"
    path.write_text(json.dumps({**held, "post_processor": None}), encoding="utf-8")


def shorter_window(folder: Path) -> None:
    """Let it have room for fewer tokens."""
    path = folder / "config.json"
    held = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**held, "max_position_embeddings": 16}), encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (without_a_word, "numbers 2 tokens of the base's otherwise"),
        (no_begin, "makes other tokens than the base's of 20 of 20 prompts"),
        (shorter_window, "in the context window of 16"),
    ],
)
def test_a_candidate_that_would_be_asked_otherwise_is_refused_before_the_base_answers(
    change: Callable[[Path], None],
    why: str,
    arguments: list[str],
    merged: Path,
    cli: Callable[..., Any],
    tmp_path: Path,
) -> None:
    change(shutil.copytree(merged, tmp_path / "other"))
    outcome = cli(*arguments, "--candidate", f"o={tmp_path / 'other'}", "--output-dir", tmp_path / "run")
    assert outcome.code == 2
    assert "`--candidate o`" in outcome.err
    assert why in outcome.err
    assert not (tmp_path / "run" / "base").exists()


def test_another_end_is_the_candidates_own_and_is_said(
    arguments: list[str], merged: Path, cli: Callable[..., Any], tmp_path: Path
) -> None:
    folder = shutil.copytree(merged, tmp_path / "other")
    path = folder / "generation_config.json"
    held = json.loads(path.read_text(encoding="utf-8"))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    (end,) = set(tokenizer(" letters", add_special_tokens=False)["input_ids"][-1:])
    path.write_text(json.dumps({**held, "eos_token_id": end}), encoding="utf-8")
    outcome = cli(*arguments, "--limit", "4", "--candidate", f"o={folder}", "--output-dir", tmp_path / "run")
    assert outcome.code == 0, outcome.err
    assert "Its answers end at" in (tmp_path / "run" / "report.md").read_text(encoding="utf-8")
    assert "letters" not in "".join(row["text"] for row in lines(tmp_path / "run" / "o" / "answers.jsonl").values())


def test_a_refused_candidate_is_left_out_where_that_is_asked(
    arguments: list[str], tiny_base: Path, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    refused = ("--candidate", f"copy={tiny_base}", "--skip-refused", "--limit", "4")
    outcome = cli(*arguments, *refused, "--output-dir", tmp_path / "run")
    assert outcome.code == 0, outcome.err
    said = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))
    assert said["variants"] == ["base", "letters"]
    assert "the very files of the base" in said["refused"]["copy"]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (("--engine", "vllm"), "`--engine` must be transformers"),
        (("--device-map", "auto"), "exclude each other"),
        (("--also", "lm-eval:arc_easy"), "is not asked tasks"),
    ],
)
def test_what_a_candidate_is_not_evaluated_with_is_refused(
    more: tuple[str, ...], why: str, command: list[str], cli: Callable[..., Any], tmp_path: Path
) -> None:
    outcome = cli(*command, *more, "--output-dir", tmp_path / "run")
    assert outcome.code == 2
    assert why in outcome.err


def test_a_name_of_both_and_an_adapter_as_a_candidate_are_refused(
    arguments: list[str], merged: Path, tiny_adapter: Path, cli: Callable[..., Any]
) -> None:
    assert "names of their own, got letters" in cli(*arguments, "--candidate", f"letters={merged}").err
    assert "give it as --adapter" in cli(*arguments, "--candidate", f"a={tiny_adapter}").err
    assert cli(*arguments, "--candidate", "a=/nowhere/at/all").code == 2


def test_a_model_that_is_still_held_is_not_joined_by_another() -> None:
    class Weights:
        pass

    held = Weights()
    with pytest.raises(ModelError, match="still in memory"):
        whole_model.refuse_held(weakref.ref(held))


def test_the_revision_of_a_candidate_is_behind_an_at_unless_the_place_lies_here(tmp_path: Path) -> None:
    assert whole_model.place_and_revision("org/name@main") == ("org/name", "main")
    (tmp_path / "a@b").mkdir()
    assert whole_model.place_and_revision(str(tmp_path / "a@b")) == (str(tmp_path / "a@b"), None)


def test_shards_of_a_run_with_a_candidate_are_that_run(
    command: list[str], run: Path, cli: Callable[..., Any], tmp_path: Path
) -> None:
    from benchmarks.chaos.runs import differences

    for name, shard in (("s0", "0/2"), ("s1", "1/2")):
        outcome = cli(*command, "--shard", shard, "-o", tmp_path / name)
        assert outcome.code == 0, outcome.err
    assert cli("merge", tmp_path / "s0", tmp_path / "s1", "-o", tmp_path / "run").code == 0
    assert [found for found in differences(tmp_path / "run", run) if not found.startswith("charts/")] == []
    candidates = [json.loads((place / "run.json").read_text())["candidates"] for place in (tmp_path / "run", run)]
    assert candidates[0] == candidates[1]


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of other sizes that has learnt the same texts, with a tokenizer of its own."""
    folder = tmp_path_factory.mktemp("other") / "model"
    sizes = {"hidden_size": 32, "layers": 1, "heads": 2, "vocab_size": 300, "context": 256, "steps": 20, "block": 64}
    return train_base([text.upper() for text in TEXTS], folder, **sizes)


def test_a_candidate_with_another_tokenizer_is_asked_the_same_texts_and_perplexity_is_a_characters(
    arguments: list[str], other: Path, cli: Callable[..., Any], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    outcome = cli(*arguments, "--candidate", f"other={other}", "--output-dir", run)
    assert outcome.code == 0, outcome.err
    assert "It has another tokenizer than the base" in (run / "report.md").read_text(encoding="utf-8")
    questions = lines(run / "dataset.jsonl")
    tokenizer, model = AutoTokenizer.from_pretrained(other), AutoModelForCausalLM.from_pretrained(other)
    answers, found, scores = (lines(run / "other" / f"{name}.jsonl") for name in ("answers", "references", "scores"))
    total = 0.0
    for name, row in questions.items():
        asked = tokenizer(f"Question: {row['question']}\n\nAnswer:", return_tensors="pt")
        assert answers[name]["prompt_tokens"] == asked["input_ids"].shape[1]
        with torch.inference_mode():
            made = model.generate(**asked, max_new_tokens=12, do_sample=False)
        text = tokenizer.decode(made[0, asked["input_ids"].shape[1] :], skip_special_tokens=True)
        assert answers[name]["text"].strip() == text.strip()
        surprise = -found[name]["log_likelihood"]
        assert scores[name]["perplexity"] == pytest.approx(math.exp(surprise / len(row["reference"])))
        total += surprise
    said = json.loads((run / "comparison.json").read_text(encoding="utf-8"))
    assert said["metrics"]["perplexity"]["title"] == "Perplexity a character"
    assert "per:character" in said["metrics"]["perplexity"]["signature"]
    rows = [row for row in said["rows"] if row["metric"] == "perplexity"]
    assert [row["candidate"] for row in rows] == ["letters", "other"]
    characters = sum(len(row["reference"]) for row in questions.values())
    base = sum(-row["log_likelihood"] for row in lines(run / "base" / "references.jsonl").values())
    difference = math.exp(total / characters) - math.exp(base / characters)
    assert rows[1]["difference"] == pytest.approx(difference)
    assert cli(*arguments, "--candidate", f"other={other}", "--output-dir", run, "--resume").code == 0


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (("--protocol", "chat"), "the base's chat template writes the base's tokens"),
        (("--eos-token", "3"), "--eos-token names the base's tokens"),
        (("--shard", "0/2"), "`--shard` must be left out with a candidate of another tokenizer (other)"),
    ],
)
def test_what_is_of_the_bases_tokens_is_refused_with_another_tokenizer(
    more: tuple[str, ...],
    why: str,
    arguments: list[str],
    other: Path,
    tiny_base: Path,
    cli: Callable[..., Any],
    tmp_path: Path,
) -> None:
    base = tiny_base
    if "chat" in more:
        base = shutil.copytree(tiny_base, tmp_path / "base")
        (base / "chat_template.jinja").write_text("{% for m in messages %}{{ m.content }}{% endfor %}")
    at = arguments.index("--adapter")
    alone = [*arguments[:at], *arguments[at + 2 :]]
    alone[alone.index(str(tiny_base))] = str(base)
    outcome = cli(*alone, "--candidate", f"other={other}", *more, "--output-dir", tmp_path / "run")
    assert outcome.code == 2
    assert why in outcome.err
    assert not list(tmp_path.glob("run/*/answers.jsonl"))


def test_a_text_that_the_other_tokenizer_cannot_read_is_refused(tiny_base: Path, other: Path, tmp_path: Path) -> None:
    generator = load_transformers(str(tiny_base), device="cpu")
    tokenizer = AutoTokenizer.from_pretrained(other)
    tokenizer.unk_token = "G"
    prompt = Prompt("a", "What?", (1, 2))
    candidate = inspect_base(str(other))
    given = {"new_tokens": 4, "chat_template": False}
    (read,) = whole_model.read_by_its_own(generator, candidate, tokenizer, [prompt], ["It is."], **given)
    assert read.text == prompt.text
    assert read.token_ids == tuple(tokenizer("What?")["input_ids"])
    for text, reference in (("What is a GEM?", "It is."), ("What?", "G")):
        with pytest.raises(ModelError, match="no token for characters of 1 of 1 prompts"):
            whole_model.read_by_its_own(
                generator, candidate, tokenizer, [Prompt("a", text, (1,))], [reference], **given
            )
    with pytest.raises(ModelError, match="context window of 256"):
        whole_model.read_by_its_own(generator, candidate, tokenizer, [Prompt("a", "what " * 300, (1,))], ["a"], **given)
