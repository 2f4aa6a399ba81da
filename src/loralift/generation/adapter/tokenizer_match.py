"""Would the tokenizer in an adapter's folder give the prompts other token ids than the base's?

A prompt is tokenised once, by the base's tokenizer, so base and adapters always see the same ids. An adapter's folder
may hold the tokenizer that the adapter was trained with; where it differs from the base's, the adapter is evaluated on
prompts unlike those of its training, and a note says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from loralift.errors import AdapterError, ModelError, some
from loralift.generation.adapter.info import TOKENIZER_FILES
from loralift.generation.model.base_model import TOKENIZERS
from loralift.generation.model.folder import refuse_irregular
from loralift.generation.model.loading import NO_CODE, loading
from loralift.generation.model.tokenization import Texts
from loralift.records import Prompt


def refuse_misread(tokenizer: Any, prompts: Sequence[Prompt], *, chat_template: bool) -> None:
    """Refuse prompts that the model would not take for the beginning of an answer.

    Args:
        tokenizer: The base's.
        prompts: All that are asked in one way.
        chat_template: Whether the base's chat template rendered them.

    Raises:
        ModelError: They begin with two BOS tokens or end with an EOS.
    """
    refuse_doubled_bos(tokenizer, prompts)
    if not chat_template:  # chat templates may end every turn with an EOS token
        refuse_ended(tokenizer, prompts)


def refuse_doubled_bos(tokenizer: Any, prompts: Sequence[Prompt]) -> None:
    """Refuse prompts that begin with two BOS tokens, which no model was trained on.

    Raises:
        ModelError: A prompt does.
    """
    bos = tokenizer.bos_token_id
    doubled = [prompt.id for prompt in prompts if bos is not None and prompt.token_ids[:2] == (bos, bos)]
    if doubled:
        raise ModelError(
            f"{len(doubled)} of {len(prompts)} prompts begin with two BOS tokens ({tokenizer.bos_token!r}; "
            f"{some(doubled, 3)}): the text has one and the tokenizer adds another; take it out of --system-prompt, "
            "of the chat template, or of the protocol's prompt"
        )


def refuse_ended(tokenizer: Any, prompts: Sequence[Prompt]) -> None:
    """Refuse prompts that end with an end-of-sequence (EOS) token: the model would begin a new text, not an answer.

    Raises:
        ModelError: A prompt does.
    """
    eos = tokenizer.eos_token_id
    ended = [prompt.id for prompt in prompts if eos is not None and prompt.token_ids[-1:] == (eos,)]
    if ended:
        raise ModelError(
            f"{len(ended)} of {len(prompts)} prompts end with the end-of-sequence token ({tokenizer.eos_token!r}; "
            f"{some(ended, 3)}), so their answers would be to nothing: set add_eos_token to false in the model's "
            "tokenizer_config.json, or take the token out of the questions, or of the protocol's prompt"
        )


def compare_tokenizers(folder: Path, base: Any, prompts: Sequence[Prompt], chat_template: bool) -> tuple[str, ...]:
    """How the tokenizer in an adapter's folder differs from the base's, one sentence each.

    Args:
        folder: The adapter's folder.
        base: The base's tokenizer.
        prompts: All prompts of the run.
        chat_template: Whether the base's chat template rendered them.
    """
    there = sorted({path.name for pattern in TOKENIZER_FILES for path in folder.glob(pattern)})
    if not there:
        return ()
    if not any(any(folder.glob(pattern)) for pattern in TOKENIZERS):
        return (f"Its folder has {some(there)} but no vocabulary: it could not be compared with the base's tokenizer.",)
    try:
        with loading("it cannot be read", AdapterError):
            refuse_irregular(folder, TOKENIZER_FILES, AdapterError)
            own = AutoTokenizer.from_pretrained(str(folder), **NO_CODE)
            differing = _differing_prompts(own, prompts, chat_template)
    except AdapterError as error:
        return (f"The tokenizer in its folder cannot be loaded, so it could not be compared with the base's: {error}.",)
    notes = (*_vocabularies(own, base), *_special_tokens(own, base), *_templates(own, base, chat_template))
    if differing:
        return (
            *notes,
            f"Its own tokenizer gives {len(differing)} of {len(prompts)} prompts other ids ({some(differing, 3)}): "
            "all variants are asked with the base's, so these are not the prompts that it was trained on.",
        )
    return (*notes, f"Its own tokenizer gives all {len(prompts)} prompts the same token ids.") if notes else ()


def _vocabularies(own: Any, base: Any) -> list[str]:
    mine, theirs = own.get_vocab(), base.get_vocab()
    notes = []
    if added := sorted(mine.keys() - theirs.keys(), key=mine.__getitem__):
        notes.append(f"Its tokenizer has {len(added)} tokens that the base's has not ({some(added, 3)}).")
    if lost := sorted(theirs.keys() - mine.keys(), key=theirs.__getitem__):
        notes.append(f"Its tokenizer lacks {len(lost)} tokens of the base's ({some(lost, 3)}).")
    if moved := sorted(token for token in mine.keys() & theirs.keys() if mine[token] != theirs[token]):
        notes.append(f"Its tokenizer gives {len(moved)} tokens other ids than the base's ({some(moved, 3)}).")
    return notes


def _special_tokens(own: Any, base: Any) -> list[str]:
    consequences = {
        "bos": "all variants are asked with the base's.",
        "eos": "an answer that it ends with its own runs on, unless the base's generation_config.json lists that too.",
        "pad": "harmless, since padding is masked.",
    }
    tokens = {kind: (getattr(own, f"{kind}_token"), getattr(base, f"{kind}_token")) for kind in consequences}
    return [
        f"Its {kind} token is {mine!r}, the base's {theirs!r}: {consequences[kind]}"
        for kind, (mine, theirs) in tokens.items()
        if mine != theirs
    ]


def _templates(own: Any, base: Any, used: bool) -> list[str]:
    if own.chat_template == base.chat_template:
        return []
    if not used:
        return ["Its chat template differs from the base's, which matters only with --chat-template."]
    return [
        "Its chat template differs from the base's, which rendered the prompts: it may have been trained on others."
    ]


def _differing_prompts(own: Any, prompts: Sequence[Prompt], chat_template: bool) -> list[str]:
    """Ids of the prompts that get other token ids from the adapter's tokenizer."""
    if not prompts:
        return []
    encoded = Texts(own, ()).encode([prompt.text for prompt in prompts], not chat_template)
    return [prompt.id for prompt, ids in zip(prompts, encoded, strict=True) if ids != prompt.token_ids]
