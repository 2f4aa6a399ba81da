"""Likelihoods of references, against one row at a time with all logits."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from loralift.errors import ModelError
from loralift.generation.base import Batches
from loralift.generation.transformers_engine import likelihood, prefix
from loralift.records import Prompt
from tests.generation.transformers_engine.test_generator import plain_model
from tests.models import PROMPTS, TEXTS

REFERENCES = [f"Some say {word} are like gold, or {'rather ' * n}not." for n, word in enumerate("abcdefghij")]


def naive(model, prompt_ids, whole_ids):
    """The definition, with the whole text's log-softmax in float64."""
    with torch.inference_mode():
        logits = model(torch.tensor([whole_ids])).logits[0].double()
    likely = torch.log_softmax(logits, dim=-1)
    return sum(float(likely[place - 1, whole_ids[place]]) for place in range(len(prompt_ids), len(whole_ids)))


@pytest.fixture(scope="module")
def asked(generator, render):
    return render(generator, PROMPTS)


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("variant", ["base", "letters"])
def test_equals_the_definition(variant, keeps, generator, asked, tiny_base, tiny_adapter, monkeypatch):
    if not keeps:
        real = likelihood.takes
        monkeypatch.setattr(likelihood, "takes", lambda model, name: name != "logits_to_keep" and real(model, name))
    model = plain_model(tiny_base, tiny_adapter if variant == "letters" else None)
    found = {row.id: row for row in generator.reference_likelihoods(variant, asked, REFERENCES, " ")}
    assert len(found) == len(asked)
    for prompt, reference in zip(asked, REFERENCES, strict=True):
        (whole,) = generator.encode([f"{prompt.text} {reference}"], True)
        row = found[prompt.id]
        assert row.tokens == len(whole) - len(prompt.token_ids)
        assert row.log_likelihood == pytest.approx(naive(model, prompt.token_ids, whole), abs=1e-4)


def test_what_all_rows_begin_with_is_computed_once_a_variant(generator, asked, monkeypatch):
    real, computed = likelihood.share, []

    def share(base, tokens):
        computed.append(tokens)
        return real(base, tokens)

    monkeypatch.setattr(likelihood, "share", share)
    monkeypatch.setattr(prefix, "FEWEST_SHARED", 1)
    variants = ("base", "letters")
    # two at a time, so that between two results the other variant acts
    both = zip(*(generator.reference_likelihoods(variant, asked, REFERENCES, " ") for variant in variants), strict=True)
    found = list(both)
    assert len(computed) == 2
    assert computed[0] == computed[1]
    assert all(prompt.token_ids[: len(computed[0])] == computed[0] for prompt in asked)
    monkeypatch.setattr(prefix, "FEWEST_SHARED", 10_000)
    for place, variant in enumerate(variants):
        whole = {row.id: row for row in generator.reference_likelihoods(variant, asked, REFERENCES, " ")}
        for rows in found:
            assert rows[place].log_likelihood == pytest.approx(whole[rows[place].id].log_likelihood, abs=1e-4)
    assert len(computed) == 2


@pytest.mark.parametrize(
    ("texts", "references", "count"),
    [
        (["abcdefghijk", "abcdefghijx"], [1, 1], 9),  # each keeps one before its reference
        (["abcdefghijk", "abcdefghijx"], [0, 0], 10),
        (["abcdefghijk", "abcdefghijx"], [3, 1], 0),  # seven are hardly any
        (["abcdefghij", "abcdefghij"], [1, 1], 8),
        (["abcdefghij"], [1], 0),
        (["abcxefghij", "abcdefghij"], [1, 1], 0),
        ([], [], 0),
    ],
)
def test_how_many_tokens_all_rows_share(texts, references, count):
    rows = [likelihood.Pair(text, tuple(map(ord, text)), own) for text, own in zip(texts, references, strict=True)]
    assert len(prefix.shared_tokens([row.prompt for row in rows])) == count


def test_differs_between_base_and_adapter(generator, asked):
    learnt = [text.split("Answer: ")[1] for text in TEXTS[:100:10]]
    base = {row.id: row.log_likelihood for row in generator.reference_likelihoods("base", asked, learnt, " ")}
    adapted = {row.id: row.log_likelihood for row in generator.reference_likelihoods("mlp", asked, learnt, " ")}
    assert all(base[key] > adapted[key] + 1 for key in base)  # the base was trained on these, mlp on something else


def test_beyond_the_context_window_there_is_no_likelihood(generator, asked):
    references = ["gold " * 200, *REFERENCES[1:]]
    seen = []
    rows = generator.reference_likelihoods("base", asked, references, " ", lambda *now: seen.append(now))
    found = {row.id: row for row in rows}
    assert found["q0"].log_likelihood is None
    assert found["q0"].tokens > 128
    others = [row for row in found.values() if row.id != "q0"]
    assert all(row.log_likelihood < 0 for row in others)
    assert seen[-1] == (len(asked), sum(row.tokens for row in others))


def test_memory_that_runs_out_halves_the_batch(generator, asked, monkeypatch):
    whole = sorted(
        (row.id, row.log_likelihood) for row in generator.reference_likelihoods("base", asked, REFERENCES, " ")
    )
    real = likelihood.score_batch

    def limited(model, base, pairs, pad, shared=None):
        if len(pairs) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return real(model, base, pairs, pad)

    monkeypatch.setattr(likelihood, "score_batch", limited)
    monkeypatch.setattr(generator, "_scoring_limit", type(generator._scoring_limit)())
    halved = sorted(
        (row.id, row.log_likelihood) for row in generator.reference_likelihoods("base", asked, REFERENCES, " ")
    )
    assert [key for key, _ in halved] == [key for key, _ in whole]
    assert [value for _, value in halved] == pytest.approx([value for _, value in whole], abs=1e-4)

    def never(*_):
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(likelihood, "score_batch", never)
    with pytest.raises(ModelError, match="single row"):
        list(generator.reference_likelihoods("base", asked, REFERENCES, " "))


MANY = 300
"""References of several batches."""


@pytest.fixture(scope="module")
def many(generator, render):
    """Prompts that begin alike, of many lengths, and their references."""
    texts = [f"Some say stocks are like bonds. {PROMPTS[n % 10]}{' or gold' * (n % 7)}" for n in range(MANY)]
    return render(generator, texts), [f"they are {n} letters{', rather' * (n % 11)}." for n in range(MANY)]


@pytest.mark.parametrize("threads", [1, 2])
def test_some_batches_give_the_very_likelihoods_of_all(generator, many, threads):
    """Whoever scores the others, and whatever number of threads they have."""
    prompts, references = many
    whole = {one.id: one for one in generator.reference_likelihoods("letters", prompts, references, " ")}
    batches = generator.reference_batches(prompts, references, " ")
    assert len(batches.ids) > 2
    assert len(batches.prefix) >= prefix.FEWEST_SHARED
    torch.set_num_threads(threads)
    try:
        found = {}
        for batch in batches.ids:
            of = batches.of(batch[:1])
            assert of.ids == (batch,)
            rows = [int(key[1:]) for key in sorted(batch)]
            some = ([prompts[row] for row in rows], [references[row] for row in rows])
            found |= {one.id: one for one in generator.reference_likelihoods("letters", *some, " ", None, batches=of)}
    finally:
        torch.set_num_threads(1)
    assert found == whole
    # without their batches they would not be the same, so that this could fail
    few = {one.id: one for one in generator.reference_likelihoods("letters", prompts[::2], references[::2], " ")}
    assert any(few[key] != whole[key] for key in few)


def test_batches_that_are_not_of_these_rows_are_a_bug_that_is_seen(generator, many):
    prompts, references = many
    batches = generator.reference_batches(prompts, references, " ")
    for some, of in (
        (MANY - 1, batches),  # a batch would lack one
        (MANY, batches.of(batches.ids[0])),  # most would not be scored
        (MANY, Batches(batches.ids, (1, *batches.prefix[1:]))),
    ):
        with pytest.raises(RuntimeError, match=r"are to be scored|does not begin with"):
            list(generator.reference_likelihoods("base", prompts[:some], references[:some], " ", None, of))


def words(texts, _special):
    """A tokenizer whose tokens are words: text without a space before it joins the word before."""
    return [tuple(sum(map(ord, word)) for word in text.split()) for text in texts]


def test_a_reference_is_tokenised_in_its_running_text():
    (pair,) = likelihood.encode_pairs(words, [Prompt("a", "one two", words(["one two"], False)[0])], ["three"], " ")
    assert pair.token_ids == words(["one two three"], False)[0]
    assert pair.reference == 1


def test_a_token_over_the_border_leaves_the_prompt_as_it_was():
    prompt = Prompt("a", "one two", words(["one two"], False)[0])
    (pair,) = likelihood.encode_pairs(words, [prompt], ["three four"], "")  # "twothree" would be one word
    assert pair.token_ids == prompt.token_ids + words(["three four"], False)[0]
    assert pair.reference == 2


def test_a_bos_before_the_prompt_stays():
    prompt = Prompt("a", "one two", (7, *words(["one two"], False)[0]))
    (pair,) = likelihood.encode_pairs(words, [prompt], ["three"], " ")
    assert pair.token_ids == (7, *words(["one two three"], False)[0])
    assert pair.reference == 1


def test_what_a_template_writes_before_an_answer_is_given_and_spaces_are_scored():
    def letters(texts, _special):
        return [tuple(map(ord, text)) for text in texts]

    asked = Prompt("a", "ask", (7, *map(ord, "ask")), "<t> ")
    bare = replace(asked, ahead="")
    for prompt, separator, scored in ((asked, "", " so"), (bare, " ", " so"), (replace(asked, ahead="\n"), "", "so")):
        (pair,) = likelihood.encode_pairs(letters, [prompt], ["so"], separator)
        whole = f"ask{prompt.ahead}{separator}so"
        assert (pair.token_ids, pair.reference) == ((7, *map(ord, whole)), len(scored))
    # beside a row without, and where a token spans the prompt's end: its ids are never changed
    prompts = [Prompt("a", "one", (9, 322), ":\n"), Prompt("b", "one", (9, 322))]
    pairs = likelihood.encode_pairs(words, prompts, ["two"] * 2, "")
    assert [pair.token_ids for pair in pairs] == [(9, 322, 58, 346), (9, 322, 346)]
    assert [pair.reference for pair in pairs] == [1, 1]


def test_a_prompt_of_other_tokens_than_its_text_is_kept():
    (pair,) = likelihood.encode_pairs(words, [Prompt("a", "one two", (3, 4, 5))], ["three"], " ")
    assert pair.token_ids == (3, 4, 5, *words(["three"], False)[0])


@pytest.mark.parametrize(
    ("keeps", "vocabulary", "expected"),
    # 2 GiB over 4 bytes x (reference of 9 tokens + 1, or all 99 tokens) x vocabulary
    [(True, 2**20, 51), (False, 2**20, 5), (True, 2**28, 1), (True, 1000, 60)],
)
def test_batches_keep_within_the_budget_of_logits(keeps, vocabulary, expected):
    pairs = [likelihood.Pair(str(n), (1,) * 99, 9) for n in range(60)]
    assert likelihood.rows_that_fit(pairs, vocabulary, keeps) == expected
