"""The proof that the adapters act: at the start of every run, and all that `loralift check` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from loralift import demo
from loralift.config import RunConfig
from loralift.data import load_questions
from loralift.errors import UsageError, wrong_argument
from loralift.generation import GenerationSettings, Generator, prove, spread
from loralift.records import BASE, AdapterProof, Prompt, Question
from loralift.workflow.asking import Asked, ask, asking_of, generation_settings, protocols_of
from loralift.workflow.generating import load_generator
from loralift.workflow.progress import Watcher
from loralift.workflow.shots import load_shots

if TYPE_CHECKING:
    from loralift.generation.adapter.info import AdapterInfo

SHORT = 32
"""Most tokens of the short answers in which a change is looked for."""


@dataclass(frozen=True, slots=True)
class CheckedAdapter:
    """An adapter that is whole, fits, and acts.

    Attributes:
        adapter: The adapter as read from its files.
        proof: How far it shifts the next token's distribution, and what a reader must know.
        answers: How many short greedy answers were compared with the base's.
        answers_changed: Share of them whose text differs from the base's; in [0, 1].
        questions: Where the questions came from.
    """

    adapter: AdapterInfo
    proof: AdapterProof
    answers: int
    answers_changed: float
    questions: str


def check_adapters(
    generator: Generator, prompts: Sequence[Prompt], watcher: Watcher, *, chat_template: bool = False
) -> tuple[AdapterProof, ...]:
    """Prove that every adapter of a run acts, and tell the watcher how far.

    Args:
        generator: The base with its adapters.
        prompts: All prompts of the run; at most 16 of them are used.
        watcher: Gets one line for each adapter and each note.
        chat_template: Whether the base's chat template rendered the prompts.

    Raises:
        ModelError: The prompts begin with two BOS tokens, or the base computes NaN.
        AdapterError: An adapter does not act.
    """
    proofs = prove(generator, prompts, chat_template=chat_template)
    for proof in proofs:
        watcher.say(f"{proof.adapter}: acts on the base: {describe_shift(proof)}")
        for note in proof.notes:
            watcher.say(f"{proof.adapter}: {note}")
    return proofs


def describe_shift(proof: AdapterProof) -> str:
    """How far an adapter shifts the next token's distribution, for people."""
    if proof.kl_mean is None:
        return f"by its answers to {proof.prompts} prompts"
    return (
        f"KL divergence of the next token {proof.kl_mean:.3g} nats (mean; largest {proof.kl_max:.3g}), another most "
        f"likely token on {proof.top_token_changed:.0%} of {proof.prompts} prompts"
    )


def check(config: RunConfig, watcher: Watcher) -> tuple[CheckedAdapter, ...]:
    """Check a run's adapters without running it.

    The questions are the configuration's where it names a data set, else a few of LoraLift's own, so that the
    default data set need not be downloaded.

    Raises:
        UsageError: There is no adapter.
        LoraLiftError: One line on what is wrong with the model, an adapter or the data.
    """
    if config.candidates:
        raise UsageError(
            "`--candidate` is not looked at here: `loralift run` checks it before it loads weights; leave it out"
        )
    if config.endpoint is not None:
        raise UsageError("`--engine` endpoint has no files to check: `loralift run` proves served adapters itself")
    if not config.adapters:
        raise UsageError(wrong_argument("--adapter", "given at least once", "none"))
    questions, source = questions_to_check(config)
    generator = load_generator(config, watcher)
    asked = ask_first(generator, questions, config)
    proofs = prove(generator, asked.prompts, chat_template=asked.asking.chat)
    settings = generation_settings(asked.asking.protocol, config)
    answers = _short_answers(generator, spread(asked.prompts), settings, watcher)
    return tuple(
        CheckedAdapter(
            generator.adapters[proof.adapter],
            proof,
            len(answers[BASE]),
            sum(answers[proof.adapter][key] != text for key, text in answers[BASE].items()) / len(answers[BASE]),
            source,
        )
        for proof in proofs
    )


def questions_to_check(config: RunConfig) -> tuple[Sequence[Question], str]:
    """The questions of a check and where they came from.

    Raises:
        DataError: The data set cannot be read.
    """
    if "dataset" in config.model_fields_set:
        data = load_questions(
            config.dataset,
            columns=config.columns,
            limit=config.limit,
            strict=config.strict,
            wanted=config.format,
            every_turn=config.every_turn,
        )
        return data.questions, data.source
    return load_questions(str(demo.QUESTIONS), limit=config.limit).questions, "built-in questions"


def ask_first(generator: Generator, questions: Sequence[Question], config: RunConfig) -> Asked:
    """Questions asked by the protocol that decides."""
    first = protocols_of(config, questions)[0]
    return ask(generator, questions, asking_of(first, generator, load_shots(config, [first], questions), questions))


def _short_answers(
    generator: Generator, prompts: Sequence[Prompt], settings: GenerationSettings, watcher: Watcher
) -> dict[str, dict[str, str]]:
    """Each variant's short greedy answers by id."""
    settings = replace(settings, temperature=0.0, max_new_tokens=min(SHORT, settings.max_new_tokens))
    answers = {}
    for variant in generator.variants:
        with watcher.task(f"{variant}: short answers", len(prompts)) as advance:
            found = generator.generate(variant, prompts, settings, advance)
            answers[variant] = {answer.id: answer.text for answer in found}
    return answers
