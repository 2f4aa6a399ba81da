"""A real tiny model behind the server answers as it does in this process."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from loralift import demo
from loralift.errors import ModelError
from loralift.generation import GenerationSettings, prove
from loralift.generation.endpoint.generator import EndpointGenerator
from loralift.records import Prompt
from tests.generation.endpoint.asking import GREEDY, TEXTS, asked, connect
from tests.generation.endpoint.served import Served, Tiny, serving


def of_tiny(served: Served, **more: Any) -> EndpointGenerator:
    return connect(served, adapters={"letters": "letters", "mlp": "mlp"}, **more)


@pytest.mark.parametrize("ids", [True, False], ids=["token ids", "text"])
@pytest.mark.parametrize("stop", [(), (" are", "letter")])
def test_answers_are_those_of_the_model_in_this_process(
    tiny: Served, generator: Any, prompts: list[Prompt], tiny_base: Path, ids: bool, stop: tuple[str, ...]
) -> None:
    remote = of_tiny(tiny, tokenizer=str(tiny_base) if ids else None)
    settings = GenerationSettings(max_new_tokens=12, stop=stop)
    for variant in ("letters", "base"):
        found = {one.id: one for one in remote.generate(variant, prompts, settings)}
        for one in generator.generate(variant, prompts, settings):
            own = found[one.id]
            assert (own.text, own.finish_reason) == (one.text, one.finish_reason)
            assert own.prompt_tokens == (one.prompt_tokens if ids else None)
    path, body = tiny.bodies[-1]
    assert path == "/v1/completions"
    assert isinstance(body["prompt"], list if ids else str)
    assert (body["temperature"], body["max_tokens"], body.get("stop", [])) == (0, 12, list(stop))


@pytest.mark.parametrize("ids", [True, False], ids=["token ids", "text"])
def test_likelihoods_are_those_of_the_model_in_this_process(
    tiny: Served, generator: Any, prompts: list[Prompt], tiny_base: Path, ids: bool
) -> None:
    remote = of_tiny(tiny, tokenizer=str(tiny_base) if ids else None)
    references = [f"Some say {number} are letters." for number in range(len(prompts))]
    for variant in ("mlp", "base"):
        expected = {one.id: one for one in generator.reference_likelihoods(variant, prompts, references, " ")}
        found = list(remote.reference_likelihoods(variant, prompts, references, " "))
        scored = [one for one in found if one.log_likelihood is not None]
        assert len(found) == len(prompts)
        assert len(scored) >= len(prompts) - (0 if ids else 2)  # a token that spans the prompt's end is no one's
        for one in scored:
            assert one.tokens == expected[one.id].tokens
            assert one.log_likelihood == pytest.approx(expected[one.id].log_likelihood, abs=1e-3)


def test_the_proof_sees_as_much_as_the_likeliest_tokens_show(
    tiny: Served, generator: Any, prompts: list[Prompt]
) -> None:
    remote = of_tiny(tiny)
    whole = prove(generator, prompts)
    for seen, real in zip(prove(remote, asked(remote, [one.text for one in prompts])), whole, strict=True):
        assert seen.adapter == real.adapter
        assert seen.top_token_changed == real.top_token_changed
        assert seen.kl_mean is not None
        assert real.kl_mean is not None
        assert 0.3 * real.kl_mean < seen.kl_mean <= real.kl_mean + 1e-9
        assert "likeliest tokens" in seen.notes[0]


def test_another_tokenizer_than_the_servers_is_refused(tiny: Served, tiny_base: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"--endpoint-tokenizer.*makes \d+ tokens of a text"):
        of_tiny(tiny, tokenizer=str(Path(demo.QUESTIONS).parent / "demo-base"))
    with pytest.raises(ModelError, match="--endpoint-tokenizer"):
        of_tiny(tiny, tokenizer=str(tmp_path / "nothing"))
    shuffled = shutil.copytree(tiny_base, tmp_path / "shuffled")
    words = json.loads((shuffled / "tokenizer.json").read_text())
    vocabulary = words["model"]["vocab"]
    plain = [token for token in vocabulary if len(token) > 1 and token.isascii()]
    for one, other in zip(plain[::2], plain[1::2], strict=False):
        vocabulary[one], vocabulary[other] = vocabulary[other], vocabulary[one]
    (shuffled / "tokenizer.json").write_text(json.dumps(words))
    with pytest.raises(ModelError, match=r"goes on otherwise than after the text"):
        of_tiny(tiny, tokenizer=str(shuffled))


def test_a_server_that_takes_no_ids_is_sent_text(tiny: Served, generator: Any, tiny_base: Path) -> None:
    with serving(Served(Tiny(generator), models=tiny.models, takes_ids=False)) as served:
        remote = of_tiny(served, tokenizer=str(tiny_base))
        (answer,) = remote.generate("letters", asked(remote, TEXTS[:1]), GREEDY)
        assert served.bodies[-1][1]["prompt"] == TEXTS[0]
        assert answer.prompt_tokens
