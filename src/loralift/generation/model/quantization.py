"""Bases whose weights are held in fewer bits: quantised by their makers, or by bitsandbytes while they are loaded."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from loralift.errors import MissingExtraError, ModelError
from loralift.generation.model.loading import loading

ON_LOAD: Mapping[str, Mapping[str, Any]] = {
    "nf4": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": False},
    "nf4-double": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True},
    "int8": {"load_in_8bit": True},
}
"""``--quantization`` to the settings of transformers' ``BitsAndBytesConfig``: those of QLoRA (Dettmers et al. 2023),
without and with its double quantisation, and LLM.int8() (Dettmers et al. 2022)."""

BITSANDBYTES = "bitsandbytes"
INT8 = "int8"


@dataclass(frozen=True, slots=True)
class Quantization:
    """How a base's weights are held in fewer bits.

    Attributes:
        settings: The method (``quant_method``) and its settings, as transformers' ``quantization_config`` has them.
        on_load: Whether they are quantised as they are loaded; else they lie so in the model's files.
    """

    settings: Mapping[str, Any]
    on_load: bool = False

    @property
    def method(self) -> str:
        """E.g. ``bitsandbytes``, ``gptq``, ``awq``, ``compressed-tensors``, ``fp8``."""
        return str(self.settings.get("quant_method", BITSANDBYTES))

    @property
    def bits(self) -> int | None:
        """Bits of a weight, without its scales; None where the settings do not say."""
        if self.method == BITSANDBYTES:
            return 4 if self.settings.get("load_in_4bit") else 8
        if self.method in ("fp8", "fbgemm_fp8"):
            return 8
        bits = self.settings.get("bits", self.settings.get("w_bit"))
        return bits if isinstance(bits, int) and not isinstance(bits, bool) else None

    @property
    def name(self) -> str:
        """What messages and ``run.json`` call it, e.g. ``nf4-double`` or ``4-bit gptq``.

        >>> Quantization({"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}).name
        'nf4'
        >>> Quantization({"quant_method": "gptq", "bits": 4}).name
        '4-bit gptq'
        """
        if self.method != BITSANDBYTES:
            return f"{self.bits}-bit {self.method}" if self.bits and str(self.bits) not in self.method else self.method
        if self.bits == 8:
            return INT8
        double = "-double" if self.settings.get("bnb_4bit_use_double_quant") else ""
        return f"{self.settings.get('bnb_4bit_quant_type', 'fp4')}{double}"

    @property
    def follows_the_batch(self) -> bool:
        """Whether what a row is answered depends on the rows beside it, by more than rounding.

        LLM.int8() keeps those columns in 16 bits that are large in any row of the batch.
        """
        return self.name == INT8

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of it, one sentence each."""
        said = "as they are loaded" if self.on_load else "in its files"
        rows = (
            "; its 8-bit columns depend on the rows of a batch, so each is asked alone, and on a GPU bitsandbytes "
            "rounds what goes into a product to float16, whatever the dtype"
        )
        return (f"Its weights are quantised {said}: {self.name}{rows * self.follows_the_batch}.",)


def asked_for(name: str | None, config: Any, model: str) -> Quantization | None:
    """How the weights of a base are held: quantised as asked for, or as they lie in its files.

    Args:
        name: ``--quantization``: one of ``ON_LOAD``; None: as the files are.
        config: The model's transformers configuration.
        model: The model, for messages.

    Returns:
        None where its weights are plain numbers.

    Raises:
        ModelError: It is quantised already.
        MissingExtraError: bitsandbytes is not installed.
    """
    with loading(f"the quantization_config of {model} cannot be read", ModelError, "fetch its config.json again"):
        own = of_config(config)
    if name is not None and own is not None:
        raise ModelError(
            f"`--quantization` must be left out for {model}: its files are quantised already ({own.name}), and "
            "quantising them twice would make another model"
        )
    found = own if name is None else Quantization({"quant_method": BITSANDBYTES, **ON_LOAD[name]}, on_load=True)
    if found is not None and found.method == BITSANDBYTES and find_spec(BITSANDBYTES) is None:
        feature = f"`--quantization {name}`" if name else f"`--model` {model}, quantised by {BITSANDBYTES},"
        raise MissingExtraError(feature, BITSANDBYTES)
    return found


def of_config(config: Any) -> Quantization | None:
    """How the weights lie in a model's files; None: as plain numbers.

    Args:
        config: Its transformers configuration.
    """
    found = getattr(config, "quantization_config", None)
    if not found:
        return None
    settings = found if isinstance(found, Mapping) else found.to_dict()
    return Quantization({str(key): value for key, value in settings.items()})


def loading_options(quantization: Quantization | None, dtype: Any) -> dict[str, Any]:
    """What ``from_pretrained`` is given for it.

    Args:
        quantization: How the weights shall be held.
        dtype: torch's dtype in which products are computed.
    """
    if quantization is None or not quantization.on_load:
        return {}
    from transformers import BitsAndBytesConfig

    settings = {key: value for key, value in quantization.settings.items() if key != "quant_method"}
    computed = {"bnb_4bit_compute_dtype": dtype} if settings.get("load_in_4bit") else {}
    # it says at every product of every layer what `notes` says once
    logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
    return {"quantization_config": BitsAndBytesConfig(**settings, **computed)}


def compute_in_its_dtype(base: Any) -> None:
    """Let bitsandbytes compute 4-bit products on a processor in the dtype that was asked for.

    Where a processor multiplies bfloat16 by itself (AVX-512 BF16) bitsandbytes packs the weights anew at the first
    product and rounds what goes into each to bfloat16, float32 or not: the same run would give other answers there.

    Args:
        base: The transformers model, before its first forward pass.
    """
    for module in base.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
