"""Does an adapter fit its base? Its files are checked before loading, the tensors in memory after."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from peft.tuners.lora.layer import ParamWrapper
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from loralift.errors import AdapterError, ModelError, some
from loralift.generation.adapter import fields, kinds
from loralift.generation.adapter.mismatch import Expected, explain_keys, explain_shapes
from loralift.generation.model.build import Limit, bounded
from loralift.generation.model.held import LFS
from loralift.generation.model.loading import loading
from loralift.generation.model.quiet import quiet_loading

ALONE = "evaluate each in a run of its own, the second with --base-from the first, and pair them by `loralift compare`"
"""What to do with adapters that PEFT cannot hold in one model."""

_PROOF = "loralift_proof"

_DOWN = (".lora_A", ".lora_embedding_A")
_UP = (".lora_B", ".lora_embedding_B")

type Tensors = Mapping[str, torch.Tensor]


def read_tensors(argument: str, weights: Path) -> dict[str, torch.Tensor]:
    """An adapter's tensors by their keys in the file, on the CPU.

    Raises:
        AdapterError: The file is corrupt, empty, a Git LFS pointer, or holds something else than tensors.
    """
    with loading(f"`{argument}` has a corrupt {weights.name}, fetch or save it again", AdapterError):
        with weights.open("rb") as file:
            if file.read(len(LFS)) == LFS:
                raise AdapterError(
                    f"`{argument}` has a Git LFS pointer for its {weights.name}, not the weights: run `git lfs pull` "
                    "there"
                )
        if weights.suffix == ".safetensors":
            tensors = load_file(weights)
        else:
            tensors = torch.load(weights, map_location="cpu", weights_only=True)
    if not isinstance(tensors, dict) or not all(map(_plain_tensor, tensors.items())):
        raise AdapterError(
            f"`{argument}` has a {weights.name} that holds more than named tensors, save it again with save_pretrained"
        )
    if not tensors:
        raise AdapterError(f"`{argument}` has an empty {weights.name}, save it again with save_pretrained")
    return tensors


def check_fit(
    argument: str,
    config: Any,
    base_config: Any,
    tensors: Tensors,
    limit: Limit | None = None,
    *,
    trusts_code: bool = False,
) -> tuple[str, ...]:
    """Compare an adapter's keys and shapes with those that PEFT makes for the base.

    Args:
        argument: What the user wrote, for the messages.
        config: The adapter's PEFT configuration.
        base_config: The base's transformers configuration.
        tensors: The adapter's tensors, as the file names them.
        limit: How large a base its files can fill; None: the largest there is.
        trusts_code: Whether the base's own code may run.

    Returns:
        The keys that are weights of the base itself: PEFT saves the embeddings with an adapter that targets them.

    Raises:
        AdapterError: A key is missing or unexpected, or a shape differs.
    """
    model = _inject_on_meta(argument, config, base_config, limit or Limit(), trusts_code=trusts_code)
    state, own_weights = _adapter_state(model, _PROOF), model.state_dict()
    carried = {key for key in tensors.keys() - state.keys() if key in own_weights}
    text = base_config.get_text_config()
    expected = Expected(
        shapes={key: tuple(state[key].shape) for key in state}
        | {key: tuple(own_weights[key].shape) for key in carried},
        trained_on=config.base_model_name_or_path,
        rank=getattr(config, "r", None),
        vocabulary=text.vocab_size,
        layers=getattr(text, "num_hidden_layers", None),
    )
    shapes = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    shared = expected.shapes.keys() & shapes.keys()
    wrong = {key: shapes[key] for key in sorted(shared) if shapes[key] != expected.shapes[key]}
    if wrong:
        raise AdapterError(f"`{argument}` {explain_shapes(wrong, expected, len(tensors))}")
    missing = sorted(expected.shapes.keys() - tensors.keys())
    unexpected = sorted(tensors.keys() - expected.shapes.keys())
    if (missing or unexpected) and not _peft_converts(model, tensors):
        raise AdapterError(f"`{argument}` {explain_keys(missing, unexpected, tensors.keys(), expected)}")
    return tuple(sorted(carried))


def check_values(argument: str, tensors: Tensors) -> None:
    """Refuse weights that are not finite floating-point numbers, and adapters whose update is zero.

    Raises:
        AdapterError: A tensor is quantised or holds NaN or infinity, or every lora_B (or every lora_A) is zero and the
            file has no other tensors.
    """
    whole = sorted(
        key for key, tensor in tensors.items() if not _plain_floats(tensor) and not key.endswith(kinds.INDICES)
    )
    if whole:
        found = some(sorted({str(tensors[key].dtype).removeprefix("torch.") for key in whole}))
        raise AdapterError(
            f"`{argument}` has {found} numbers in {len(whole)} of {len(tensors)} tensors ({some(whole, 2)}): quantised "
            "weights, whose scales PEFT does not apply; save it again in float32, float16 or bfloat16"
        )
    broken = sorted(key for key, tensor in tensors.items() if not torch.isfinite(tensor).all())
    if broken:
        raise AdapterError(
            f"`{argument}` has NaN or infinity in {len(broken)} of {len(tensors)} tensors: {some(broken, 2)}; its "
            "training diverged: take an earlier checkpoint, or train with a lower learning rate"
        )
    # the update is B·A, so it is 0 if either is; other tensors (modules_to_save, DoRA's magnitude) act by themselves
    others = [key for key in tensors if not any(part in key for part in (*_DOWN, *_UP))]
    for letter, parts in (("B", _UP), ("A", _DOWN)):
        half = _half(tensors, parts)
        if half and not others and not any(tensor.any() for tensor in half):
            raise AdapterError(
                f"`{argument}` acts on nothing: all {len(half)} lora_{letter} tensors are zero"
                f"{', as before any training step' if letter == 'B' else ''}; evaluate a checkpoint that was trained, "
                "and check that the training saved what it trained"
            )


def largest_b(tensors: Tensors) -> float | None:
    """The largest absolute value of any lora_B; None where there is none."""
    return max((float(tensor.abs().max()) for tensor in _half(tensors, _UP)), default=None)


def verify_loaded(
    argument: str, model: Any, adapter_name: str, tensors: Tensors, skip: Iterable[str], unplaced: Iterable[str] = ()
) -> None:
    """Check that the adapter's tensors in memory are those of its file, cast to the dtype that they have in memory.

    An adapter before it may have changed the layers into which PEFT would put it, and PEFT leaves out what finds no
    place, or computes it otherwise.

    Args:
        argument: For the message.
        model: The PeftModel.
        adapter_name: Its name in PEFT.
        tensors: The adapter's file.
        skip: Keys of the file that are weights of the base.
        unplaced: Keys of the file that PEFT says it did not load.

    Raises:
        AdapterError: One differs, has no place, or is in memory alone; or a layer is not of the adapter's own kind.
    """
    loaded = _adapter_state(model, adapter_name)
    own = tensors.keys() - set(skip)
    missing, unfilled = own - loaded.keys(), loaded.keys() - tensors.keys()
    # both: PEFT converted the keys, as check_fit proved, and says itself what found no place
    lost = sorted(own & {*unplaced} or (() if missing and unfilled else missing | unfilled))
    if lost:
        raise AdapterError(
            f"`{argument}` was not loaded as it is: {len(lost)} tensors found no place beside the adapters before it "
            f"({some(lost, 2)}): {ALONE}"
        )
    if wrapped := _foreign_layers(model, adapter_name):
        raise AdapterError(
            f"`{argument}` would not be computed as it is: another adapter's target_parameters changed {len(wrapped)} "
            f"of its layers ({some(wrapped, 2)}): {ALONE}"
        )
    differ = sorted(
        key
        for key in loaded.keys() & own
        if not torch.equal(loaded[key], tensors[key].to(loaded[key].device, loaded[key].dtype))
    )
    if differ:
        raise AdapterError(
            f"`{argument}` was not loaded as it is: {len(differ)} of {len(tensors)} tensors differ "
            f"({some(differ, 2)}): check that nothing writes to its folder, and run again"
        )


def verify_base_weights(argument: str, state: Tensors, tensors: Tensors, keys: Iterable[str]) -> None:
    """Check that weights of the base in an adapter's file (e.g. embeddings) equal the base's own.

    PEFT copies them over the base's, so other values would change the base that the adapter is compared with.

    Args:
        argument: For the message.
        state: The base's weights, under the names that the adapter's file uses.
        tensors: The adapter's file.
        keys: Which of its keys are weights of the base.

    Raises:
        AdapterError: One differs.
    """
    for key in keys:
        own = state[_plain_name(key)]
        if not torch.equal(own, tensors[key].to(own.device, own.dtype)):
            raise AdapterError(
                f"`{argument}` carries other weights of the base itself ({key}), e.g. embeddings that were trained; "
                "merge it into a copy of its base and evaluate that as --model in a run of its own"
            )


def _plain_tensor(item: tuple[object, object]) -> bool:
    """Whether a key and its value are a name and a tensor with numbers of its own, not sparse and not empty of them."""
    key, value = item
    return (
        isinstance(key, str)
        and isinstance(value, torch.Tensor)
        and value.layout == torch.strided
        and not value.is_meta
        and not value.is_quantized
    )


def _plain_floats(tensor: torch.Tensor) -> bool:
    """Whether a tensor is not quantised; float8 and integers need scales, which are kept elsewhere."""
    return bool(tensor.is_floating_point()) and tensor.element_size() > 1


def _foreign_layers(model: Any, adapter_name: str) -> list[str]:
    """Layers of an adapter that PEFT made for the ``target_parameters`` of another one.

    They add the update to a copy of the weight, which rounds otherwise, and leave out a ``lora_bias``.
    """
    own = getattr(model.peft_config[adapter_name], "target_parameters", None) or ()
    found = []
    for name, module in model.named_modules():
        if isinstance(module, ParamWrapper) and adapter_name in module.lora_A:
            parameter = f"{name.replace('.base_layer', '')}.{module.parameter_name}"
            if not parameter.endswith(tuple(f".{one}" for one in own)):
                found.append(name)
    return found


def _half(tensors: Tensors, parts: tuple[str, ...]) -> list[torch.Tensor]:
    return [tensor for key, tensor in tensors.items() if any(part in key for part in parts)]


def _plain_name(key: str) -> str:
    """The base's own name of one of its weights, from the key in an adapter's file."""
    return key.removeprefix("base_model.model.").replace(".base_layer.", ".")


def _inject_on_meta(argument: str, config: Any, base_config: Any, limit: Limit, *, trusts_code: bool) -> Any:
    """The base with the adapter injected by PEFT, on the meta device: shapes without memory."""
    kind, trained_on = base_config.model_type, config.base_model_name_or_path
    what = f"the base's config.json describes no {kind} that can be built"
    remedy = "put back the config.json of its training"
    named = base_config.name_or_path or f"the base, a {kind},"
    with loading(what, ModelError, remedy), bounded(limit, named), torch.device("meta"):
        base = AutoModelForCausalLM.from_config(base_config, trust_remote_code=trusts_code)
    fields.check_patterns(argument, vars(config), (name for name, _ in base.named_modules()))
    what = f"`{argument}` does not fit the base, a {kind}; it was trained on {trained_on!r}: give that as --model"
    place = nullcontext() if config.peft_type.value in kinds.MADE_ON_CPU else torch.device("meta")
    with loading(what, AdapterError), place:
        return PeftModel(base, config, adapter_name=_PROOF, low_cpu_mem_usage=True)


def _adapter_state(model: Any, adapter_name: str) -> dict[str, torch.Tensor]:
    """An adapter's tensors under the keys that its file uses, without embeddings of the base."""
    with quiet_loading():
        state: dict[str, torch.Tensor] = get_peft_model_state_dict(
            model, adapter_name=adapter_name, save_embedding_layers=False
        )
    return state


def _peft_converts(model: Any, tensors: Tensors) -> bool:
    """Whether PEFT's conversion of keys (fused experts, renamed modules) finds a place for every tensor of the file."""
    empty = {key: tensor.to("meta") for key, tensor in tensors.items()}
    try:
        result = set_peft_model_state_dict(model, empty, adapter_name=_PROOF)
    except (KeyError, RuntimeError, ValueError):
        return False
    return not result.unexpected_keys and not any(_PROOF in key for key in result.missing_keys)
