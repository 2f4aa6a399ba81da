"""What an adapter is, read from its files; one that cannot be compared with its base is refused here."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from peft import PEFT_TYPE_TO_CONFIG_MAPPING, PeftConfig

from loralift.errors import AdapterError, UsageError, wrong_argument
from loralift.generation.adapter import fields, fit, kinds, origin, training
from loralift.generation.adapter.place import checkpoints_in, find_adapter
from loralift.generation.adapter.precision import CARDS
from loralift.generation.model.base_model import ADAPTER_CONFIG
from loralift.generation.model.build import Limit
from loralift.generation.model.folder import refuse_irregular
from loralift.generation.model.hub import hash_files
from loralift.generation.model.loading import loading
from loralift.reading import read_json
from loralift.records import BASE, LARGEST

WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")

# also fetched from the hub: the adapter's own tokenizer, which tokenizer_match.py compares with the base's
TOKENIZER_FILES = (
    *("tokenizer*", "special_tokens_map.json", "added_tokens.json", "chat_template*"),
    *("vocab.json", "vocab.txt", "merges.txt", "*.model", "*.tiktoken", "tekken.json"),
)

FETCHED = (ADAPTER_CONFIG, *WEIGHTS, *TOKENIZER_FILES, training.STATE, *CARDS)
"""The files of an adapter that are looked at."""

TASK_TYPES = (None, "CAUSAL_LM")

# Values of init_lora_weights with which loading an adapter subtracts its initialisation from the base's own weights.
CHANGES_THE_BASE = ("pissa", "corda", "olora", "loftq", "lora_ga")


@dataclasses.dataclass(frozen=True, slots=True)
class AdapterInfo:
    """An adapter that fits its base.

    Attributes:
        name: The name that the user gave it, which is the name of its variant.
        path: The local folder with its files.
        source: What the user gave: a folder or a place on the hub.
        revision: The hub commit; None for a local folder.
        peft_type: e.g. ``LORA``.
        rank: r, or None where the type has none.
        alpha: lora_alpha, or None where the type has none.
        target_modules: The modules it updates: their names, or one regular expression.
        modules_to_save: Modules of which it brings a whole trained copy.
        base_model: The name of the base it was trained on, as its configuration says; may be a path elsewhere.
        use_rslora: Whether it scales by alpha / sqrt(r) and not alpha / r (rsLoRA).
        use_dora: Whether it is weight-decomposed (DoRA).
        parameters: How many numbers its file holds.
        sha256: Hash of its configuration and weights.
        base_revision: The base's revision that it was trained on, as its configuration says.
        tensors: How many tensors its file holds.
        largest_b: The largest absolute value of any lora_B; None where there is none.
        base_weights: Keys of its file that are weights of the base itself; they must equal the base's.
        ignored_settings: Settings of a newer PEFT that this one does not know.
        numbers: By which it may differ from others of its training: its step, and its configuration's numbers.
        drawn: Whether its file lacks its projections, so that PEFT draws them anew from a seed.
        entangled: Its setting, of ``kinds.ENTANGLED``, with which it cannot be taken out of the model and put in again.
    """

    name: str
    path: str
    source: str
    revision: str | None
    peft_type: str
    rank: int | None
    alpha: float | None
    target_modules: tuple[str, ...]
    modules_to_save: tuple[str, ...]
    base_model: str | None
    use_rslora: bool
    use_dora: bool
    parameters: int
    sha256: str
    base_revision: str | None = None
    tensors: int = 0
    largest_b: float | None = None
    base_weights: tuple[str, ...] = ()
    ignored_settings: tuple[str, ...] = ()
    numbers: Mapping[str, float] = dataclasses.field(default_factory=dict)
    drawn: bool = False
    entangled: str | None = None

    @property
    def argument(self) -> str:
        """What the user wrote, for messages."""
        return f"--adapter {self.name}={self.source}"

    @property
    def strength(self) -> str:
        """Its rank, alpha and largest lora_B value, for messages."""
        largest = "" if self.largest_b is None else f", largest lora_B value {self.largest_b:.2g}"
        numbers = f"{self.parameters:,} numbers" if self.rank is None else f"rank {self.rank}"
        return numbers if self.alpha is None else f"{numbers}, alpha {self.alpha:g}{largest}"


def inspect_adapter(
    name: str,
    path: str,
    base_config: Any,
    revision: str | None = None,
    limit: Limit | None = None,
    *,
    trusts_code: bool = False,
) -> AdapterInfo:
    """Prove that an adapter fits a base model, from files alone.

    PEFT puts it into the base without weights, and every key and shape is compared; PEFT itself would only warn.

    Raises:
        AdapterError: There is no such adapter, it does not fit, or its weights act on nothing.
        UsageError: The name cannot be a variant's.
    """
    argument = _argument(name, path)
    folder, commit = _find(argument, path, revision)
    raw, config = _read_config(argument, folder, base_config)
    tensors = _read_weights(argument, folder)
    with loading(f"`{argument}` does not fit the base", AdapterError, f"check its {ADAPTER_CONFIG}"):
        base_weights = fit.check_fit(argument, config, base_config, tensors, limit, trusts_code=trusts_code)
    fit.check_values(argument, tensors)
    return AdapterInfo(
        name=name,
        path=str(folder),
        source=path,
        revision=commit,
        peft_type=config.peft_type.value,
        rank=getattr(config, "r", None) or None,  # OFT's is 0 where its blocks' size is given
        alpha=getattr(config, "lora_alpha", getattr(config, "alpha", None)),
        target_modules=_names(getattr(config, "target_modules", None)),
        modules_to_save=_names(getattr(config, "modules_to_save", None)),
        base_model=config.base_model_name_or_path,
        use_rslora=bool(getattr(config, "use_rslora", False)),
        use_dora=bool(getattr(config, "use_dora", False)),
        parameters=sum(tensor.numel() for tensor in tensors.values()),
        sha256=hash_adapter(folder),
        base_revision=config.revision,
        tensors=len(tensors),
        largest_b=fit.largest_b(tensors),
        base_weights=base_weights,
        ignored_settings=_ignored_settings(raw),
        numbers=training.numbers_of(folder, raw),
        drawn=getattr(config, "save_projection", True) is False,
        entangled=kinds.entangled(config, base_config, tensors),
    )


def _find(argument: str, path: str, revision: str | None) -> tuple[Path, str | None]:
    """An adapter's folder, whose files are files, and its hub commit."""
    folder, commit = find_adapter(argument, path, revision, FETCHED)
    refuse_irregular(folder, (ADAPTER_CONFIG, *WEIGHTS), AdapterError)
    return folder, commit


def _argument(name: str, path: str) -> str:
    """What the user wrote, for messages; a name that cannot be a variant's is refused."""
    if name == BASE or re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) is None:
        allowed = f"NAME=PATH with a name of letters, digits and . _ - that is not {BASE!r}"
        raise UsageError(wrong_argument("--adapter", allowed, f"{name}={path}"))
    return f"--adapter {name}={path}"


def hash_adapter(folder: Path) -> str:
    """A hash of an adapter's configuration and weights, in hexadecimal.

    Raises:
        OSError: They cannot be read.
    """
    weights = next((folder / name for name in WEIGHTS if (folder / name).is_file()), folder / WEIGHTS[0])
    return hash_files([folder / ADAPTER_CONFIG, weights]).removeprefix("sha256:")


def _read_config(argument: str, folder: Path, base_config: Any) -> tuple[dict[str, Any], Any]:
    """The adapter's configuration: the file's JSON, and PEFT's object made from it."""
    path = folder / ADAPTER_CONFIG
    if not path.is_file():
        hint = (
            " (it is a whole model: give it as --model, or as --candidate NAME=MODEL beside a base)"
            if (folder / "config.json").is_file()
            else ""
        )
        if inside := checkpoints_in(folder):
            hint = f" (its checkpoints do: give one, {argument}/{inside[-1]}, or all of them, '{folder}/checkpoint-*')"
        raise AdapterError(
            f"`{argument}` must be a folder with an {ADAPTER_CONFIG}, as save_pretrained writes it, but there is "
            f"none{hint}"
        )
    try:
        raw = read_json(path, AdapterError)
    except AdapterError as cause:
        reason = f"has an {ADAPTER_CONFIG} that is not JSON, fetch or save it again: {cause}"
        raise AdapterError(f"`{argument}` {reason}") from cause
    kind = raw.get("peft_type") if isinstance(raw, dict) else None
    if why := kinds.refusal(kind) or kinds.refused_setting(raw):
        remedy = "evaluate it with a tool that runs it, and give its answers to `loralift compare`"
        raise AdapterError(f"`{argument}` {why}; {remedy}")
    fields.check_fields(argument, raw)
    with loading(f"`{argument}` has an {ADAPTER_CONFIG} that PEFT refuses", AdapterError):
        config = PeftConfig.from_pretrained(str(folder))
    _refuse_unsupported(argument, config)
    origin.check_class(argument, config, base_config)
    return raw, config


def _refuse_unsupported(argument: str, config: Any) -> None:
    """Refuse adapters that PEFT loads but with which the base cannot be evaluated unchanged."""
    if config.task_type not in TASK_TYPES:
        raise AdapterError(f"`{argument}` must be trained for CAUSAL_LM, got task_type {str(config.task_type)!r}")
    if getattr(config, "bias", "none") != "none":
        raise AdapterError(
            f"`{argument}` must have bias 'none', got {config.bias!r}: it overwrites the base's own biases, so the "
            "base could not be evaluated beside it; merge it into a copy of the base and evaluate that as --model"
        )
    if getattr(config, "layer_replication", None):
        raise AdapterError(
            f"`{argument}` must have no layer_replication, got {config.layer_replication}: it repeats the base's own "
            "layers, so the base could not be evaluated beside it; merge it and evaluate that as --model"
        )
    alpha = getattr(config, "lora_alpha", 1.0)
    if alpha is None and config.peft_type == "SUPERTUNING":
        return  # of its variants only one has it
    number = isinstance(alpha, int | float) and not isinstance(alpha, bool) and abs(alpha) <= LARGEST
    if not number or alpha < 0 or (alpha == 0 and not config.alpha_pattern):
        raise AdapterError(
            f"`{argument}` must have a lora_alpha that is a number above 0, got {alpha!r}: the update is scaled by "
            "lora_alpha / r; put back the value it was trained with"
        )
    init = getattr(config, "init_lora_weights", None)
    if isinstance(init, str) and init.lower().startswith(CHANGES_THE_BASE):
        raise AdapterError(
            f"`{argument}` was saved with init_lora_weights {init!r}, which changes the base's weights; save it again "
            "with save_pretrained(..., path_initial_model_for_weight_conversion=...), which makes it a plain LoRA"
        )


def _read_weights(argument: str, folder: Path) -> fit.Tensors:
    found = [folder / name for name in WEIGHTS if (folder / name).is_file()]
    if not found:
        raise AdapterError(
            f"`{argument}` must be a folder with {' or '.join(WEIGHTS)}, but there is none: save it again with "
            "save_pretrained, or fetch the file that is missing"
        )
    return fit.read_tensors(argument, found[0])


def _ignored_settings(raw: dict[str, Any]) -> tuple[str, ...]:
    """Settings that the installed PEFT does not know and that are switched on (not falsy)."""
    known = {field.name for field in dataclasses.fields(PEFT_TYPE_TO_CONFIG_MAPPING[raw["peft_type"]])}
    return tuple(sorted(key for key, value in raw.items() if value and key not in known | {"peft_version"}))


def _names(modules: Any) -> tuple[str, ...]:
    """Module names in a fixed order; PEFT keeps them as a set, a list, or one regular expression."""
    if modules is None:
        return ()
    return (modules,) if isinstance(modules, str) else tuple(sorted(modules))
