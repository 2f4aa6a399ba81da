"""`loralift run --engine endpoint`: a whole run through a server, beside the same run in this process."""

from __future__ import annotations

import json
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loralift.generation import load_transformers
from tests.cli.conftest import Outcome
from tests.generation.endpoint.served import Script, Served, Tiny, serving

type Cli = Callable[..., Outcome]


@pytest.fixture(scope="module")
def backend(tiny_base: Path, tiny_adapter: Path) -> Tiny:
    return Tiny(load_transformers(str(tiny_base), {"letters": str(tiny_adapter)}, device="cpu"))


@pytest.fixture
def served(backend: Tiny) -> Iterator[Served]:
    with serving(Served(backend, models=("base-1", "letters"))) as served:
        yield served


def asked_of(served: Served, arguments: list[str], run: Path, *more: str) -> list[str]:
    """The arguments of the run in this process, with names on the server in the place of files."""
    of_files = {"--model", "--adapter"}
    kept = [one for place, one in enumerate(arguments) if not of_files & {one, arguments[place - 1]}]
    names = ["--model", "base-1", "--adapter", "letters=letters"]
    at = ["--engine", "endpoint", "--endpoint", served.url, "--endpoint-wait", "0", "-o", str(run)]
    return [*kept, *names, *at, *more]


def rows_of(run: Path) -> dict[str, dict[str, Any]]:
    found = json.loads((run / "comparison.json").read_text())
    return {row["metric"]: row for row in found["rows"]}


def test_a_served_run_has_the_verdict_of_the_run_in_this_process(
    cli: Cli, served: Served, arguments: list[str], finished: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    outcome = cli(*asked_of(served, arguments, run))
    assert outcome.code == 0, outcome.err
    expected, found = rows_of(finished), rows_of(run)
    for metric in ("f1", "rougeL", "bleu"):
        assert found[metric]["verdict"] == expected[metric]["verdict"]
        assert found[metric]["difference"] == pytest.approx(expected[metric]["difference"], abs=1e-9)
    assert found["perplexity"]["difference"] == pytest.approx(expected["perplexity"]["difference"], rel=1e-3)
    told = json.loads((run / "run.json").read_text())
    assert told["fingerprint"]["base"] == "served:base-1"
    assert served.url not in json.dumps(told["fingerprint"])
    assert "not seen" in told["base_hash"]
    for file in ("report.md", "report.html"):
        assert "weights were not seen" in (run / file).read_text()


def test_a_server_that_dies_leaves_a_run_that_goes_on_elsewhere_and_asks_nothing_twice(
    cli: Cli, served: Served, backend: Tiny, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    monkeypatch.setenv("KEY", "sk-secret")
    more = ["--endpoint-key-env", "KEY", "--metrics", "f1", "--noise-rows", "0"]
    kept = [one for place, one in enumerate(arguments) if not {"--metrics"} & {one, arguments[place - 1]}]

    served.trouble = lambda served, number, path, body: (
        (401, b'{"error": "sk-secret is over"}', {})
        if body["model"] == "letters" and body["max_tokens"] == 12 and of(served.answered, "letters") >= 7
        else None
    )
    stopped = cli(*asked_of(served, kept, run, *more, "--concurrency", "2"))
    assert stopped.code == 2
    assert "--endpoint-key-env" in stopped.err
    first = of(served.answered, "letters")
    assert 7 <= first < 20
    with serving(Served(backend, models=("base-1", "letters"))) as other:
        went_on = cli(*asked_of(other, kept, run, *more, "--resume"))
        assert went_on.code == 0, went_on.err
        assert of(other.answered, "base-1") == 0
        assert of(other.answered, "letters") == 20 - first
    full = [body["prompt"] for body in (*served.answered, *other.answered) if body["max_tokens"] == 12]
    assert set(Counter(full).values()) == {2}
    written = "".join(path.read_text(errors="replace") for path in run.rglob("*") if path.is_file())
    assert "sk-secret" not in written + stopped.out + stopped.err + went_on.out + went_on.err


def of(answered: list[dict[str, Any]], model: str) -> int:
    """How many questions a model answered, apart from what it is tried with."""
    return sum(body["model"] == model and body["max_tokens"] == 12 for body in answered)


def test_another_set_up_is_no_resume(cli: Cli, served: Served, arguments: list[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    served.facts = {"letters": {"root": "/lora-1"}}
    assert cli(*asked_of(served, arguments, run, "--limit", "3")).code == 0
    served.facts = {"letters": {"root": "/lora-2"}}
    outcome = cli(*asked_of(served, arguments, run, "--limit", "3", "--resume"))
    assert outcome.code == 2
    assert "/lora-2" in outcome.err


def test_an_adapter_that_the_server_ignores_is_refused(
    cli: Cli, backend: Tiny, arguments: list[str], tmp_path: Path
) -> None:
    class Ignoring(Tiny):
        def variant(self, model: str) -> str:
            return "base"

    with serving(Served(Ignoring(backend.generator), models=("base-1", "letters"))) as served:
        outcome = cli(*asked_of(served, arguments, tmp_path / "run"))
    assert outcome.code == 2
    assert "`--adapter letters=letters` acts on nothing" in outcome.err
    assert not (tmp_path / "run" / "base").exists()


def test_what_reads_files_says_that_there_are_none(
    cli: Cli, served: Served, arguments: list[str], tmp_path: Path
) -> None:
    at = ["--engine", "endpoint", "--endpoint", served.url]
    assert "no files to check" in cli("check", "--model", "base-1", "--adapter", "x=letters", *at).err
    assert "no modes to compare" in cli("check", "--parity", "--model", "base-1", "--adapter", "x=letters", *at).err
    elsewhere = asked_of(served, arguments, tmp_path / "run", "--offline")
    elsewhere[elsewhere.index(served.url)] = "http://models.example/v1"
    assert "--offline reaches no network" in cli(*elsewhere).err
    alone = asked_of(served, arguments, tmp_path / "run")
    alone[alone.index("f1")] = "perplexity"
    served.echo = False
    assert "`--primary` cannot be perplexity" in cli(*alone).err


def few(served: Served, arguments: list[str], run: Path, *more: str) -> list[str]:
    """A quick run of four questions."""
    found = asked_of(served, arguments, run, "--limit", "4", "--noise-rows", "0", *more)
    found[found.index("--metrics") + 1] = "f1"
    return found


def test_protocols_are_texts_and_chats(cli: Cli, served: Served, arguments: list[str], tmp_path: Path) -> None:
    shots = tmp_path / "shots.jsonl"
    shots.write_text("".join(f'{{"question": "What is x{n}?", "reference": "An x{n}."}}\n' for n in range(4)))
    ways = [word for name in ("training", "few-shot", "chat") for word in ("--protocol", name)]
    outcome = cli(*few(served, arguments, tmp_path / "run", *ways, "--shots", str(shots), "--num-shots", "2"))
    assert outcome.code == 0, outcome.err
    full = [body for body in served.answered if body["max_tokens"] == 12]
    prompts = [body["prompt"] for body in full if "prompt" in body]
    chats = [body["messages"] for body in full if "messages" in body]
    assert (len(prompts), len(chats)) == (16, 8)
    assert sum("An x" in prompt for prompt in prompts) == 8
    assert all(messages[-1]["role"] == "user" for messages in chats)


def test_shards_of_a_served_run_merge(cli: Cli, served: Served, arguments: list[str], tmp_path: Path) -> None:
    places = [str(tmp_path / f"s{index}") for index in range(2)]
    for index, place in enumerate(places):
        outcome = cli(*few(served, arguments, Path(place), "--shard", f"{index}/2", "--concurrency", str(index + 1)))
        assert outcome.code == 0, outcome.err
    merged = cli("merge", *places, "-o", tmp_path / "all")
    assert merged.code == 0, merged.err
    assert cli(*few(served, arguments, tmp_path / "whole")).code == 0
    assert rows_of(tmp_path / "all")["f1"] == rows_of(tmp_path / "whole")["f1"]


@pytest.mark.parametrize("way", ["chat", "training"])
def test_perplexity_of_chats_that_the_server_renders_is_null_and_said(
    cli: Cli, served: Served, arguments: list[str], tmp_path: Path, way: str
) -> None:
    run, chats = tmp_path / "run", tmp_path / "chats.jsonl"
    turns = [[("user", f"What is x{n}?"), ("assistant", f"An x{n}.")] for n in range(4)]
    rows = [{"messages": [{"role": role, "content": text} for role, text in turn]} for turn in turns]
    chats.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    more = few(served, arguments, run, *(["--protocol", "chat"] if way == "chat" else []))
    more[more.index("--metrics") + 1] = "perplexity,f1"
    if way == "training":
        more[more.index("--dataset") + 1] = str(chats)
    outcome = cli(*more)
    assert outcome.code == 0, outcome.err
    for variant in ("base", "letters"):
        found = [json.loads(line) for line in (run / variant / "references.jsonl").read_text().splitlines()]
        assert [one["log_likelihood"] for one in found] == [None] * 4
    assert "--endpoint-tokenizer renders them here" in outcome.out + outcome.err
    assert "Perplexity is null" in (run / "report.md").read_text()
    more[more.index("--primary") + 1] = "perplexity"
    more[more.index("-o") + 1] = str(tmp_path / "decides")
    outcome = cli(*more)
    assert outcome.code == 2
    assert "`--primary` cannot be perplexity" in outcome.err
    assert "give --endpoint-tokenizer" in outcome.err


@pytest.mark.parametrize("file", ["answers.jsonl", "references.jsonl"])
def test_a_server_that_becomes_another_meanwhile_leaves_nothing_to_resume(
    cli: Cli, arguments: list[str], tmp_path: Path, file: str
) -> None:
    """It becomes another between two requests, and is the first one again when the run is resumed."""
    run, became = tmp_path / "run", threading.Event()

    class Reloaded(Script):
        def answer(self, model: str, text: Any, most: int, stop: Any) -> tuple[str, str, int]:
            return ("of others", "stop", 2) if became.is_set() else super().answer(model, text, most, stop)

        def echo(self, model: str, text: Any) -> list[float | None]:
            return [-99.0 if became.is_set() and value else value for value in super().echo(model, text)]

    def becoming(served: Served, number: int, path: str, body: dict[str, Any]) -> None:
        late = "x0" in str(body["prompt"]) if file == "references.jsonl" else body["max_tokens"] == 12
        if body["model"] == "letters" and late:
            became.set()
            served.facts = {"letters": {"root": "/lora-2"}}

    first = {"letters": {"root": "/lora-1"}}
    with serving(Served(Reloaded(), models=("base-1", "letters"), facts=first, trouble=becoming)) as served:
        asked = few(served, arguments, run)
        asked[asked.index("--metrics") + 1] = "perplexity,f1"
        asked[asked.index("--dataset") + 1] = str(ten(tmp_path))
        stopped = cli(*asked)
        assert stopped.code == 2
        assert f"of either, so that file is put aside as {run / 'letters' / file}.mixed" in stopped.err
        assert (run / "letters" / f"{file}.mixed").exists()
        assert not (run / "letters" / file).exists()
        served.trouble, served.facts = lambda *_: None, first
        became.clear()
        went_on = cli(*asked, "--resume")
    assert went_on.code == 0, went_on.err
    written = (run / "letters" / file).read_text()
    assert len(written.splitlines()) == 4
    assert "of others" not in written
    assert "-99" not in written


def as_vllm(*adapters: str, root: str = "/weights") -> dict[str, dict[str, Any]]:
    """What vLLM lists of a base and its adapters."""
    base = {"root": root, "max_model_len": 512, "owned_by": "vllm"}
    return {"base-1": base, **{name: {**base, "root": f"/loras/{name}", "parent": "base-1"} for name in adapters}}


def test_a_served_base_is_taken_from_a_run_with_another_adapter(cli: Cli, arguments: list[str], tmp_path: Path) -> None:
    with serving(Served(models=("base-1", "letters", "new"), facts=as_vllm("letters", "new"))) as served:
        assert cli(*few(served, arguments, tmp_path / "v1")).code == 0
        asked = few(served, arguments, tmp_path / "v2", "--base-from", str(tmp_path / "v1"))
        asked[asked.index("letters=letters")] = "new=new"
        start = len(served.answered)
        taken = cli(*asked)
        assert taken.code == 0, taken.err
        assert of(served.answered[start:], "base-1") == 0
        asked[asked.index("-o") + 1] = str(tmp_path / "v3")
        served.facts = as_vllm("letters", "new", root="/others")
        refused = cli(*asked)
        assert refused.code == 2
        assert "numerics.listed.base-1.root: was '/weights', is '/others'" in " ".join(refused.err.split())


class Templated(Script):
    """A server that adds words of its own to every prompt, or to chats."""

    def __init__(self, *, chats: str = "", all_of_them: str = "") -> None:
        self.chats, self.all_of_them = chats, all_of_them

    def tokens(self, text: Any) -> list[str]:
        more = f"{self.all_of_them} {self.chats if str(text).startswith('[') else ''}"
        return [*super().tokens(text), *more.split()]


@pytest.mark.parametrize("way", ["training", "chat"])
@pytest.mark.parametrize("counts", [True, False], ids=["counts", "no counts"])
def test_a_server_that_reads_prompts_otherwise_is_no_resume(
    cli: Cli, arguments: list[str], tmp_path: Path, way: str, counts: bool
) -> None:
    """The base was asked, and the adapter is to be; within one session that is refused as well."""
    backend = Templated(chats="<turn>")
    with serving(Served(backend, models=("base-1", "letters", "new"), counts=counts, echo=False)) as served:
        asked = few(served, arguments, tmp_path / "run", "--protocol", way)
        assert cli(*asked).code == 0
        (tmp_path / "run" / "letters" / "answers.jsonl").unlink()
        assert cli(*asked, "--resume").code == 0
        further = [*asked, "--base-from", str(tmp_path / "run")]
        further[further.index("letters=letters")] = "new=new"
        further[further.index("-o") + 1] = str(tmp_path / "new")
        taken = cli(*further)
        assert taken.code == 0, taken.err

        backend.chats = "<turn> <turn>"
        assert cli(*asked, "--resume").code == (2 if counts and way == "chat" else 0)
        backend.chats, backend.all_of_them = "<turn>", "<s>"
        outcome = cli(*asked, "--resume")
        assert outcome.code == (2 if counts else 0)
        if counts:
            assert "cannot be resumed" in outcome.err
            assert "numerics.counted" in outcome.err
            shutil.rmtree(tmp_path / "new")
            assert "numerics.counted" in cli(*further).err


def test_a_server_whose_replies_name_another_model_is_no_resume(cli: Cli, arguments: list[str], tmp_path: Path) -> None:
    class Renaming(Served):
        version = 1

        def reply(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
            status, found = super().reply(path, body)
            return status, {**found, "model": f"{body['model']}-{self.version}"}

    with serving(Renaming(models=("base-1", "letters"))) as served:
        asked = few(served, arguments, tmp_path / "run")
        assert cli(*asked).code == 0
        assert cli(*asked, "--resume").code == 0
        served.version = 2
        outcome = cli(*asked, "--resume")
    assert outcome.code == 2
    assert "numerics.answers_as.letters: was 'letters-1', is 'letters-2'" in " ".join(outcome.err.split())


def ten(folder: Path) -> Path:
    """Questions whose references alone have an x."""
    path = folder / "questions.jsonl"
    rows = [{"id": f"q{n}", "question": f"What is {n}?", "reference": f"An x{n}."} for n in range(10)]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path
