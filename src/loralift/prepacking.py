"""Linear layers whose weights lie in the order in which oneDNN multiplies with them, on a processor.

torch multiplies with float32 weights as they lie, and arranges each piece anew in every call; with few rows, as in a
decoding step, that is most of the time. One core, weights of 576 x 1,536 and 576 x 49,152, GFLOP/s:

======= ========== ========== ========== ==========
rows    float32    prepacked  bfloat16   prepacked
======= ========== ========== ========== ==========
12      39, 31     67, 67     54, 52     105, 131
48      61, 56     86, 94     124, 129   152, 173
300     68, 70     99, 90     180, 183   194, 191
======= ========== ========== ========== ==========

torch's compiler packs likewise when it freezes a model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

OPERATIONS = ("_reorder_linear_weight", "_linear_pointwise")


def can_prepack(dtype: Any) -> bool:
    """Whether this torch has what packs a weight of a dtype and multiplies with it, and this processor gains by it."""
    import torch

    there = torch.backends.mkldnn.is_available() and all(hasattr(torch.ops.mkldnn, name) for name in OPERATIONS)
    # elsewhere oneDNN turns bfloat16 into float32 and back
    multiplies = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return there and (dtype == torch.float32 or (dtype == torch.bfloat16 and multiplies))


def prepackable(model: Any, fewest: int = 0) -> Iterator[Any]:
    """The plain linear layers of a model that can be prepacked.

    Args:
        model: A torch module.
        fewest: Numbers in a weight below which it is left alone.
    """
    import torch

    linear = (layer for layer in model.modules() if type(layer) is torch.nn.Linear)
    for layer in linear:
        weight = layer.weight
        if weight.device.type == "cpu" and weight.numel() >= fewest and can_prepack(weight.dtype):
            yield layer


def prepack(layers: Sequence[Any]) -> None:
    """Give linear layers packed copies of their weights, which they multiply with until `unpack`.

    Args:
        layers: As `prepackable` yields them; nothing may change their weights meanwhile.
    """
    import torch

    for layer in layers:
        packed = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), None)
        layer.forward = partial(_forward, packed, layer.bias)


def unpack(layers: Sequence[Any]) -> None:
    """Let prepacked layers multiply with their weights as they lie."""
    for layer in layers:
        layer.__dict__.pop("forward", None)


def _forward(packed: Any, bias: Any, rows: Any) -> Any:
    """What ``torch.nn.Linear.forward`` computes."""
    import torch

    return torch.ops.mkldnn._linear_pointwise(rows, packed, bias, "none", [], "")
