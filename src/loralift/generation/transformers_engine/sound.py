"""Is a base model in memory what its files hold? Every weight found its place, none is made up, all are numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from loralift.errors import ModelError, some

# Parts of a checkpoint that no text model needs: towers for pictures and sound, the heads of other tasks.
_OTHER_PARTS = re.compile(
    r"(^|[._])(vision|visual|image|audio|speech|talker|code2wav|mm|multi_modal|multimodal|v_head|score|classifier|"
    r"pooler|seq_relationship|cls)(_?\w*)\."
)
_LAYER = re.compile(r"\.(?:layers|layer|h|blocks)\.(\d+)\.")


def refuse_unlike_files(source: str, report: Mapping[str, Iterable[Any]], config: Any) -> int:
    """Refuse a base whose files hold other weights than its configuration describes.

    transformers fills a missing weight with random numbers, and drops one that has no place.

    Args:
        source: The model, for messages.
        report: transformers' ``output_loading_info``.
        config: The model's configuration.

    Returns:
        How many tensors of the files are not used, being parts of the model that answer no text.

    Raises:
        ModelError: A weight is missing, has another shape, or has no place.
    """
    missing = sorted(report.get("missing_keys", ()))
    if missing:
        raise ModelError(
            f"the weights of {source} are incomplete or not those of a causal language model, missing: "
            f"{len(missing)} ({some(missing, 2)}); fetch or save the model again"
        )
    wrong = [*report.get("mismatched_keys", ()), *report.get("error_msgs", ())]
    if wrong:
        raise ModelError(f"the weights of {source} do not fit its config.json: {len(wrong)} ({some(wrong, 2)})")
    unexpected = set(report.get("unexpected_keys", ()))
    stray = sorted(key for key in unexpected if not _OTHER_PARTS.search(key) and not _predicts_further(key, config))
    if stray:
        raise ModelError(
            f"the weights of {source} do not fit its config.json, with no place in the model it describes: "
            f"{len(stray)} ({some(stray, 2)}); fetch config.json and the weights again, from one place"
        )
    return len(unexpected)


def refuse_off_the_gpus(source: str, model: Any) -> None:
    """Refuse a base of which ``--device-map auto`` left parts in the CPU's memory or on the disk, for want of GPUs.

    Raises:
        ModelError: It did.
    """
    away = {
        str(name): str(device)
        for name, device in (getattr(model, "hf_device_map", None) or {}).items()
        if str(device) in ("cpu", "disk") and model.device.type == "cuda"
    }
    if away:
        raise ModelError(
            f"`--device-map auto` finds no room on the GPUs for {len(away)} parts of {source} "
            f"({some(sorted(away), 2)}): use more GPUs, --dtype bfloat16, or --quantization nf4"
        )


def refuse_no_numbers(source: str, model: Any) -> None:
    """Refuse weights that are NaN or infinite, or that no file filled.

    Raises:
        ModelError: One is.
    """
    tensors = [*model.named_parameters(), *model.named_buffers()]
    if empty := [name for name, tensor in tensors if tensor.is_meta]:
        raise ModelError(f"{len(empty)} weights of {source} have no values ({some(empty, 2)}); save the model again")
    broken = [name for name, tensor in model.named_parameters() if not _finite(tensor)]
    if broken:
        raise ModelError(
            f"the weights of {source} have NaN or infinity in {len(broken)} tensors ({some(broken, 2)}); fetch or save "
            "the model again, or evaluate it with --dtype bfloat16 or float32 if float16 is too narrow for it"
        )


def _finite(tensor: torch.Tensor) -> bool:
    if not tensor.is_floating_point() or tensor.element_size() < 2 or not tensor.numel():
        return True
    # one pass over the memory and no copy; both are NaN where any number is
    least, most = torch.aminmax(tensor.detach())
    return bool(torch.isfinite(least) & torch.isfinite(most))


def _predicts_further(key: str, config: Any) -> bool:
    """Whether a weight is of the layers behind the last, which predict tokens further on and only speed up serving."""
    text = config.get_text_config()
    more = getattr(text, "num_nextn_predict_layers", None) or getattr(text, "num_mtp_modules", None) or 0
    layers = getattr(text, "num_hidden_layers", None)
    if not isinstance(more, int) or not isinstance(layers, int):
        return False
    return any(layers <= int(number) < layers + more for number in _LAYER.findall(key))
