"""The generation room: prompts in, answers and reference likelihoods out, for a base model and its adapters.

Importing this room costs nothing: torch, transformers and peft are imported by the functions that need them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from loralift.errors import UsageError, about_adapter
from loralift.generation.base import Decoding, Description, GenerationSettings, Generator, OnProgress
from loralift.records import AdapterProof, Prompt, Tags

if TYPE_CHECKING:
    from loralift.generation.adapter.info import AdapterInfo
    from loralift.generation.endpoint.generator import EndpointGenerator
    from loralift.generation.endpoint.server import Given
    from loralift.generation.model.base_model import BaseModel
    from loralift.generation.model.build import Limit
    from loralift.generation.model.thinking import Switch
    from loralift.generation.transformers_engine.generator import TransformersGenerator
    from loralift.generation.transformers_engine.plain import PlainModel
    from loralift.generation.vllm.generator import VllmGenerator
    from loralift.generation.vllm.start import Work

__all__ = [
    "Decoding",
    "Description",
    "GenerationSettings",
    "Generator",
    "OnProgress",
    "choose_engine",
    "inspect_adapter",
    "inspect_adapters",
    "inspect_base",
    "load_endpoint",
    "load_generator",
    "load_transformers",
    "load_vllm",
    "plainly",
    "prove",
    "refuse_misread",
    "served_base",
    "spread",
    "thinking_tags",
]

# PEFT imports it where it is installed, and on some processors it then asks for a package of which nothing is used here
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)


def inspect_base(
    model: str,
    revision: str | None = None,
    *,
    full_hash: bool = False,
    quantization: str | None = None,
    trust_remote_code: bool = False,
) -> BaseModel:
    """Find a base model and what identifies it, without loading its weights.

    Args:
        model: A local folder, a GGUF file or a hub id.
        revision: A hub branch, tag or commit.
        full_hash: Whether local files of more than 2 GiB are read whole for their hash, rather than sampled.
        quantization: ``nf4``, ``nf4-double`` or ``int8``: the weights are quantised as they are loaded.
        trust_remote_code: Whether code in the model's own files is run.

    Raises:
        ModelError: There is no such model, it is not a complete causal language model, or is quantised already.
        MissingExtraError: What reads such a file, or quantises it, is not installed.
        VersionError: torch, transformers or PEFT is of a version that was not tested.
    """
    from loralift.versions import refuse_untested

    refuse_untested()
    from loralift.generation.model import base_model

    return base_model.inspect_base(
        model, revision, full_hash=full_hash, quantization=quantization, trust_remote_code=trust_remote_code
    )


def inspect_adapter(
    name: str,
    path: str,
    base_config: Any,
    revision: str | None = None,
    *,
    limit: Limit | None = None,
    trusts_code: bool = False,
) -> AdapterInfo:
    """Prove that an adapter fits a base model, from files alone: no base weights are loaded.

    Args:
        name: The adapter's name, which becomes its variant's and its folder's.
        path: A local folder, or ORG/NAME@REVISION:SUBFOLDER on the hub.
        base_config: The base model's transformers configuration, ``inspect_base(...).config``.
        revision: A hub branch, tag or commit.
        limit: How large a base its files can fill, ``inspect_base(...).limit``; None: the largest there is.
        trusts_code: Whether the base's own code may run, ``inspect_base(...).trusts_code``.

    Raises:
        AdapterError: There is no such adapter, or it does not fit the base.
        UsageError: The name cannot be a variant's.
    """
    from loralift.generation.adapter import info

    with about_adapter(name):
        return info.inspect_adapter(name, path, base_config, revision, limit, trusts_code=trusts_code)


def inspect_adapters(base: BaseModel, adapters: Mapping[str, str] | None) -> list[AdapterInfo]:
    """`inspect_adapter` of every adapter of a base.

    Args:
        base: As `inspect_base` found it.
        adapters: Name to local folder or hub id, in the order of the variants.

    Raises:
        AdapterError: One does not fit the base.
    """
    return [
        inspect_adapter(name, path, base.config, limit=base.limit, trusts_code=base.trusts_code)
        for name, path in (adapters or {}).items()
    ]


def load_transformers(
    model: str,
    adapters: Mapping[str, str] | None = None,
    *,
    revision: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
    decoding: Decoding = "auto",
    quantization: str | None = None,
) -> TransformersGenerator:
    """Inspect a base model and its adapters, then load them into one generator.

    Args:
        model: The base: a local folder, a GGUF file or a hub id.
        adapters: Name to local folder or hub id, in the order of the variants.
        revision: The base's hub branch, tag or commit.
        dtype: ``auto`` (bfloat16 on an accelerator, float32 on a CPU), ``bfloat16``, ``float16`` or ``float32``.
        device: ``auto`` (cuda, else mps, else cpu), or a torch device such as ``cuda:1``.
        decoding: ``auto`` (our loop where it was tested and its self-check agrees), ``loop`` or ``generate``.
        quantization: As of `inspect_base`.

    Raises:
        ModelError: The base cannot be found or loaded, or the loop was asked for and does not answer as ``generate``.
        AdapterError: An adapter does not fit, or does not act.
        UsageError: An argument is not what it must be.
    """
    from loralift.generation.transformers_engine import generator

    base = inspect_base(model, revision, quantization=quantization)
    infos = inspect_adapters(base, adapters)
    return generator.load(base, infos, dtype=dtype, device=device, decoding=decoding)


def load_vllm(
    model: str,
    adapters: Mapping[str, str] | None = None,
    *,
    revision: str | None = None,
    dtype: str = "auto",
    rows: Sequence[int] = (),
    tensor_parallel: int = 1,
) -> VllmGenerator:
    """Inspect a base model and its adapters, then start a vLLM engine with them.

    Args:
        model: The base: a local folder or a hub id.
        adapters: Name to local folder or hub id, in the order of the variants.
        revision: The base's hub branch, tag or commit.
        dtype: ``auto``, ``bfloat16`` or ``float16``.
        rows: How many prompts each later call of ``generate`` will have, so that memory and CUDA graphs are sized for
            them; empty: unknown.
        tensor_parallel: How many GPUs hold the base together, each a part of every layer.

    Raises:
        MissingExtraError: vLLM is not installed.
        ModelError: The base cannot be found, or vLLM cannot load it.
        AdapterError: An adapter does not fit, or vLLM cannot serve it.
        UsageError: An argument is not what it must be.
    """
    base = inspect_base(model, revision)
    from loralift.generation.vllm import start

    work = start.Work(tuple(rows), 1 + len(adapters or {}), tensor_parallel)
    return _start_vllm(base, inspect_adapters(base, adapters), dtype, work)


def load_generator(
    engine: str,
    base: BaseModel,
    infos: Sequence[AdapterInfo] = (),
    *,
    dtype: str = "auto",
    device: str = "auto",
    device_map: str | None = None,
    decoding: Decoding = "auto",
    rows: Sequence[int] = (),
    new_tokens: int = 0,
    tensor_parallel: int = 1,
    say: Callable[[str], None] = lambda line: None,
) -> Generator:
    """Load a base and its adapters into the engine that was asked for, or that fits.

    Args:
        engine: ``auto``, ``transformers`` or ``vllm``.
        base: As `inspect_base` found it.
        infos: As `inspect_adapter` proved them.
        dtype: As of `load_transformers`.
        device: Likewise; vLLM takes the first GPU.
        device_map: ``auto``: the base's layers are spread over all GPUs; chooses the transformers engine.
        decoding: As of `load_transformers`; anything but ``auto`` chooses the transformers engine.
        rows: As of `load_vllm`.
        new_tokens: Most tokens of an answer, by which ``auto`` chooses; 0: not known.
        tensor_parallel: As of `load_vllm`; above 1 chooses vLLM.
        say: Told why ``auto`` does not take vLLM, which could run it.

    Raises:
        MissingExtraError: vLLM was asked for and is not installed.
        ModelError: The base cannot be loaded.
        AdapterError: An adapter does not act, or cannot be served by the engine that was asked for.
        UsageError: An argument is not what it must be, or two of them exclude each other.
    """
    from loralift.generation.transformers_engine import generator
    from loralift.generation.vllm import start

    if tensor_parallel > 1:
        engine = _parallel(engine, device_map, decoding)
    if device_map is not None and engine == "vllm":
        raise UsageError("`--device-map` is for the transformers engine: with vLLM give --tensor-parallel N instead")
    if device_map is not None:
        if device not in ("auto", "cuda"):
            raise UsageError(f"`--device-map` spreads the base over all GPUs: leave out --device, got {device!r}")
        engine = "transformers"
    work = start.Work(tuple(rows), 1 + len(infos), tensor_parallel, new_tokens)
    if choose_engine(engine, base, infos, dtype=dtype, device=device, decoding=decoding, work=work, say=say) == "vllm":
        return _start_vllm(base, infos, dtype, work)
    return generator.load(base, infos, dtype=dtype, device=device, device_map=device_map, decoding=decoding)


def _parallel(engine: str, device_map: str | None, decoding: Decoding) -> str:
    if engine == "transformers" or device_map is not None or decoding != "auto":
        raise UsageError(
            "`--tensor-parallel` is for vLLM: leave out --engine transformers, --device-map and --decoding, or spread "
            "the base's layers over the GPUs with --device-map auto instead"
        )
    return "vllm"


def choose_engine(
    engine: str,
    base: BaseModel,
    infos: Sequence[AdapterInfo],
    *,
    dtype: str = "auto",
    device: str = "auto",
    decoding: Decoding = "auto",
    work: Work | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> str:
    """``transformers`` or ``vllm``: as asked, or for ``auto`` as `loralift.generation.vllm.choose` expects of the work.

    Raises:
        MissingExtraError: vLLM was asked for and is not installed.
        UsageError: vLLM was asked for on another device than the first GPU, with ``decoding``, or for a base that it is
            not given.
    """
    from loralift.generation.vllm import choose

    if decoding != "auto":
        if engine == "vllm":
            raise UsageError("`--decoding` is for the transformers engine: leave it out with --engine vllm")
        return "transformers"
    return choose.choose_engine(engine, base, infos, dtype, device, work, say)


def _start_vllm(base: BaseModel, infos: Sequence[AdapterInfo], dtype: str, work: Work) -> VllmGenerator:
    from loralift.generation.vllm import generator, load

    return generator.VllmGenerator(load.load_engine(base, infos, dtype, work))


def served_base(name: str) -> BaseModel:
    """A base on a server, of which only its name there is known."""
    from loralift.generation.endpoint import said

    return said.served_base(name)


def load_endpoint(base: BaseModel, adapters: Mapping[str, str], given: Given) -> EndpointGenerator:
    """Find out that a server has the base and every adapter, and what it can do.

    Args:
        base: As of `served_base`.
        adapters: Name to the model's name there, in the order of the variants.
        given: The server.

    Raises:
        UsageError: The URL is none, or one model is named twice.
        ModelError: The server cannot be reached, has no such base, or answers to any name.
        AdapterError: The server has no such adapter, or does not tell it from the base.
    """
    from loralift.generation.endpoint import load

    return load.load(base, adapters, given)


def prove(generator: Generator, prompts: Sequence[Prompt], *, chat_template: bool = False) -> tuple[AdapterProof, ...]:
    """Prove on real prompts that every adapter acts, and tell what of its training differs from this evaluation.

    Args:
        generator: A base with its adapters.
        prompts: All that will be asked; not empty.
        chat_template: Whether the base's chat template rendered them.

    Raises:
        ModelError: The prompts begin with two BOS tokens, or the base computes NaN.
        AdapterError: An adapter is dead, or makes the model compute NaN.
    """
    from loralift.generation.adapter import proof
    from loralift.generation.endpoint import proof as by_server
    from loralift.generation.endpoint.generator import EndpointGenerator

    if isinstance(generator, EndpointGenerator):
        return by_server.prove(generator, prompts, chat_template=chat_template)
    return proof.prove(generator, prompts, chat_template=chat_template)


def refuse_misread(generator: Generator, prompts: Sequence[Prompt], *, chat_template: bool = False) -> None:
    """Refuse prompts that begin with two BOS tokens or end with an EOS; `prove` does so too.

    Args:
        generator: The base.
        prompts: All that will be asked in one way.
        chat_template: Whether the base's chat template rendered them.

    Raises:
        ModelError: They do.
    """
    from loralift.generation.adapter import tokenizer_match

    tokenizer_match.refuse_misread(generator.tokenizer, prompts, chat_template=chat_template)


def reasoning_switch(generator: Generator, *, on: bool) -> Switch | None:
    """How the base is told through its chat template whether to think; None where no switch is known.

    Args:
        generator: The base.
        on: Whether it shall think.
    """
    from loralift.generation.model import thinking

    tokenizer, base = generator.tokenizer, generator.base_model
    templates = tokenizer.chat_template
    template = templates.get("default") if isinstance(templates, Mapping) else templates
    names = (base.source, getattr(base.config, "_name_or_path", ""))
    # what is no text is refused where it is rendered
    return thinking.switch_of(template if isinstance(template, str) else "", names, on=on)


def thinking_tags(generator: Generator) -> tuple[Tags, ...]:
    """What opens and closes the base's thinking: ``<think>``, and what its template or tokenizer names besides."""
    from loralift.generation.model import thinking

    return thinking.tags_of(generator.tokenizer)


def plainly(generator: Generator, variant: str) -> AbstractContextManager[PlainModel]:
    """A generator's model as any other tool would load it, with one variant switched on, until the context ends.

    Args:
        generator: Its other calls must wait until the context has ended.
        variant: ``base`` or an adapter's name.

    Raises:
        UsageError: There is no such variant, or vLLM runs the model.
    """
    from loralift.generation.transformers_engine.generator import TransformersGenerator

    if not isinstance(generator, TransformersGenerator):
        raise UsageError("`--engine` must be transformers for tasks of lm-evaluation-harness, got vllm")
    return generator.plainly(variant)


def spread(prompts: Sequence[Prompt]) -> list[Prompt]:
    """The prompts that `prove` evaluates: at most 16, evenly spaced."""
    from loralift.generation.adapter import proof

    return proof.spread(prompts)
