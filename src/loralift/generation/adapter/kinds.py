"""Which types of adapter can be evaluated beside their base, and why the others cannot.

`docs/adapters.md` has the table, which `tests/generation/adapter/test_kinds.py` makes by asking one adapter of each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

LOOPED = ("LORA", "ADALORA", "LOHA", "LOKR")
"""Types that our decoding loop takes; the others are answered by transformers' ``generate``."""

TYPES = (
    *LOOPED,
    *("BEFT", "BOFT", "C3A", "DEFT", "DELORA", "FOURIERFT", "GLORA", "GRALORA", "HIRA", "HRA", "IA3", "LN_TUNING"),
    *("MISS", "OFT", "OSF", "PEANUT", "PSOFT", "PVERA", "RANDLORA", "ROAD", "SUPERTUNING", "TINYLORA"),
    *("TRAINABLE_TOKENS", "UNILORA", "VBLORA", "VERA", "WAVEFT"),
)
"""Types whose layers PEFT switches off, so that the model is exactly the base, and that answer as plain PEFT does."""

ONE_A_RUN: Mapping[str, str] = {
    **dict.fromkeys(
        ("PVERA", "RANDLORA", "VERA"), "PEFT lets all adapters of this type share the first one's projections"
    ),
    "TRAINABLE_TOKENS": "PEFT wraps the same embeddings once an adapter and refuses the second",
}
"""Types of which a run has a single adapter, and why."""

TIED, TOKENS = "ensure_weight_tying", "trainable_token_indices"

ENTANGLED: Mapping[str, str] = {
    TIED: "PEFT ties its layers only where no adapter was before, not when it is put into the model again",
    TOKENS: "the others have none, and PEFT puts none of them into the model while the embeddings are wrapped for it",
}
"""Settings with which an adapter cannot be taken out of the model and put in again, and why; see ``not_again``."""

MADE_ON_CPU = ("BOFT", "UNILORA")
"""Types whose layers PEFT cannot build without numbers; those that it computes are of the adapter, not of the base."""

INDICES = "supertuning_indices"
"""How the names of tensors end that hold places of weights: whole numbers that are not quantised."""

_PREPENDS = (
    "it prepends virtual tokens to each prompt or to its keys and values, so that lengths, windows and references' "
    "likelihoods would not be those of the prompts"
)
_COMPUTED = "PEFT builds its layers only from the base's own weights, before which its file could not be checked"

REFUSED: Mapping[str, str] = {
    **dict.fromkeys(
        ("CARTRIDGE", "CPT", "MULTITASK_PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "PROMPT_TUNING"), _PREPENDS
    ),
    **dict.fromkeys(("ADAMSS", "FROD", "SHIRA"), _COMPUTED),
    "ADAPTION_PROMPT": "PEFT takes its layers out when it is switched off, and fails to switch it on again",
    "LILY": "it weighs its experts by the mean over all tokens of a call, so that an answer depends on its batch and a "
    "reference's likelihood on the reference itself",
    "POLY": "it needs a task id with each prompt, which no question has",
    "SHADOW": "it runs a second model beside the base, with a cache of its own",
    "XLORA": "it mixes other adapters, which it names by their places",
}
"""Types that are not evaluated, and why."""

_SETTINGS: Mapping[str, str] = {
    "alora_invocation_tokens": "it acts only behind these tokens, for which PEFT looks in each call",
    "arrow_config": "it mixes other adapters, which it does not hold",
    "monteclora_config": "PEFT makes its sampler only when it runs, before which its file could not be checked",
    "sample_at_inference": "it samples its weights, so that no answer could be had twice",
    "save_only_topk_weights": "its file has not all of its weights; save it again with false",
}
"""Settings with which an adapter is not evaluated, and why; falsy is off."""


def refusal(kind: object) -> str | None:
    """Why an adapter of a type is not evaluated, to follow its name; None where it is.

    Args:
        kind: ``peft_type`` of its configuration, of whatever type.
    """
    if kind in TYPES:
        return None
    why = REFUSED.get(kind) if isinstance(kind, str) else None
    if why is None:
        return f"must be of a type that was tested ({', '.join(TYPES)}), got peft_type {kind!r}"
    return f"cannot be evaluated, got peft_type {kind!r}: {why}"


def entangled(config: Any, base_config: Any, keys: Iterable[str]) -> str | None:
    """Which setting of ENTANGLED acts in an adapter; None where none does.

    Args:
        config: The adapter's PEFT configuration.
        base_config: The base's transformers configuration.
        keys: Names of the tensors in its file.
    """
    embeddings = any(name in key for key in keys for name in ("embed_tokens", "lm_head"))
    configs = (base_config, base_config.get_text_config())
    tied = embeddings and any(getattr(one, "tie_word_embeddings", False) for one in configs)
    found = (setting for setting in ENTANGLED if getattr(config, setting, None) and (setting != TIED or tied))
    return next(found, None)


def not_again(setting: str | None, settings: Iterable[str | None]) -> str | None:
    """Why an adapter cannot be put into the model again among others; None where it can.

    Args:
        setting: Of ENTANGLED, the adapter's own.
        settings: Those of all adapters of the run.
    """
    return None if setting is None or set(settings) == {TOKENS} else ENTANGLED[setting]


def refused_setting(raw: Mapping[str, Any]) -> str | None:
    """Why an adapter of a type that is evaluated is not, for one of its settings; None where it is.

    Args:
        raw: Its configuration, a JSON object.
    """
    found = next((key for key in _SETTINGS if raw.get(key)), None)
    return None if found is None else f"cannot be evaluated with {found}: {_SETTINGS[found]}"
