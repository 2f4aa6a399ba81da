"""Tiny models, made in seconds: a Llama-architecture base from nothing but texts, and LoRA adapters for it.

What ``loralift demo`` evaluates was made with this, and what the tests load is. Everything is real
but the size: a trained byte-level BPE tokenizer, transformers' Llama, PEFT's LoRA.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

_BOS, _EOS, _PAD = "<s>", "</s>", "<pad>"
_IGNORED = -100  # what transformers' loss leaves out


def train_base(
    texts: Sequence[str],
    out_dir: Path,
    *,
    hidden_size: int = 128,
    layers: int = 2,
    heads: int = 4,
    vocab_size: int = 2048,
    context: int = 512,
    steps: int = 100,
    batch_size: int = 8,
    block: int = 128,
    learning_rate: float = 3e-3,
    dtype: str = "float32",
    seed: int = 0,
) -> Path:
    """Train a tokenizer and a small causal language model on texts, and save both.

    Args:
        texts: What it learns, in no order; at least one block of tokens together.
        out_dir: Where the model is saved.
        hidden_size: Width of the model.
        layers: Its depth.
        heads: Attention heads; must divide ``hidden_size``.
        vocab_size: Most tokens of the tokenizer, at least 259 (256 bytes and 3 special ones).
        context: The context window, in tokens.
        steps: Of AdamW; 0 leaves random weights.
        batch_size: Blocks a step.
        block: Tokens a block; the texts are packed into blocks, a BOS before and an end-of-sequence token after each.
        learning_rate: The highest, after a warm-up; it falls to zero along a line.
        dtype: In which the weights are saved; they are trained in float32.
        seed: Of the weights and of the order.

    Returns:
        ``out_dir``.
    """
    import torch

    from loralift.generation.model.quiet import quiet_loading

    tokenizer = _train_tokenizer(texts, vocab_size, context)
    torch.manual_seed(seed)
    model = _new_llama(tokenizer, hidden_size, layers, heads, context)
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    ids = tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
    stream = torch.tensor([token for text in ids for token in (bos, *text, eos)])
    order = random.Random(seed)

    def batch() -> Any:
        starts = [order.randrange(max(len(stream) - block, 1)) for _ in range(batch_size)]
        rows = torch.stack([stream[start : start + block] for start in starts])
        return {"input_ids": rows, "labels": rows}

    _train(model, batch, steps, learning_rate)
    with quiet_loading():
        model.to(getattr(torch, dtype)).save_pretrained(out_dir)
    tokenizer.save_pretrained(out_dir)
    return out_dir


def train_lora(
    base_dir: Path,
    pairs: Sequence[tuple[str, str]],
    out_dir: Path,
    *,
    rank: int = 8,
    alpha: int | None = None,
    target_modules: Sequence[str] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    steps: int = 60,
    batch_size: int = 8,
    learning_rate: float = 5e-3,
    seed: int = 0,
    **options: Any,
) -> Path:
    """Train a LoRA adapter on prompts and answers, the loss on the answers only, and save it.

    Args:
        base_dir: A base model, e.g. of ``train_base``.
        pairs: Prompt and answer; the answer's tokens follow the prompt's, then an end-of-sequence token. What does not
            fit the context window is left out.
        out_dir: Where the adapter is saved.
        rank: Of the update.
        alpha: The update is scaled by alpha / rank; None for twice the rank.
        target_modules: Which modules it adapts.
        steps: Of AdamW; 0 leaves an adapter that acts on nothing.
        batch_size: Pairs a step.
        learning_rate: The highest, after a warm-up; it falls to zero along a line.
        seed: Of the weights and of the order.
        **options: Further settings of peft's LoraConfig, e.g. ``use_dora=True``.

    Returns:
        ``out_dir``.
    """
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoTokenizer, LlamaForCausalLM

    from loralift.generation.model.quiet import quiet_loading

    tokenizer = AutoTokenizer.from_pretrained(base_dir)
    torch.manual_seed(seed)
    alpha = 2 * rank if alpha is None else alpha
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=list(target_modules), task_type="CAUSAL_LM", **options)
    with quiet_loading():
        base = LlamaForCausalLM.from_pretrained(base_dir, dtype=torch.float32)
        model = get_peft_model(base, config)
    rows = _masked_rows(tokenizer, pairs, base.config.max_position_embeddings)
    order = random.Random(seed)
    _train(
        model,
        lambda: _pad_right(order.choices(rows, k=batch_size), tokenizer.pad_token_id),
        steps,
        learning_rate,
    )
    with quiet_loading():
        model.save_pretrained(out_dir)
    return out_dir


def _train_tokenizer(texts: Sequence[str], vocab_size: int, context: int) -> Any:
    """A byte-level BPE, which can write any text, as a transformers tokenizer that begins texts with a BOS."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[_BOS, _EOS, _PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    bpe.post_processor = processors.TemplateProcessing(
        single=f"{_BOS} $A", special_tokens=[(_BOS, bpe.token_to_id(_BOS))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token=_BOS, eos_token=_EOS, pad_token=_PAD, model_max_length=context
    )


def _new_llama(tokenizer: Any, hidden_size: int, layers: int, heads: int, context: int) -> Any:
    """A Llama with random weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=hidden_size,
            intermediate_size=hidden_size * 3,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            num_key_value_heads=heads,
            max_position_embeddings=context,
            tie_word_embeddings=True,
            # Llama's 0.02 is for wide layers: a narrow one starts too quiet to learn in a hundred steps
            initializer_range=hidden_size**-0.5,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def _masked_rows(tokenizer: Any, pairs: Sequence[tuple[str, str]], context: int) -> list[tuple[list[int], list[int]]]:
    """Token ids and labels of each pair that fits; the prompt's labels are left out of the loss."""
    prompts = tokenizer([prompt for prompt, _ in pairs], verbose=False)["input_ids"]
    answers = tokenizer([answer for _, answer in pairs], add_special_tokens=False, verbose=False)["input_ids"]
    rows = []
    for prompt, answer in zip(prompts, answers, strict=True):
        ids = [*prompt, *answer, tokenizer.eos_token_id]
        if len(ids) <= context:
            rows.append((ids, [_IGNORED] * len(prompt) + ids[len(prompt) :]))
    return rows


def _pad_right(rows: Sequence[tuple[list[int], list[int]]], pad: int) -> Any:
    """One batch of training: padding on the right, left out of attention and loss."""
    import torch

    width = max(len(ids) for ids, _ in rows)
    return {
        "input_ids": torch.tensor([ids + [pad] * (width - len(ids)) for ids, _ in rows]),
        "attention_mask": torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids, _ in rows]),
        "labels": torch.tensor([labels + [_IGNORED] * (width - len(labels)) for _, labels in rows]),
    }


def _train(model: Any, batch: Callable[[], Any], steps: int, learning_rate: float) -> None:
    """AdamW with a warm-up of a tenth and a linear decay; gradients clipped at 1.

    On one thread: sums come in the same order on any number of cores, and matrices this small gain nothing from more
    (measured: 80 steps took 0.7 s on one thread and 55 s on two of two busy cores).
    """
    import torch

    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=learning_rate, weight_decay=0.01)
    warm_up = max(steps // 10, 1)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    model.train()
    try:
        for step in range(steps):
            rate = learning_rate * min((step + 1) / warm_up, (steps - step) / max(steps - warm_up, 1))
            for group in optimizer.param_groups:
                group["lr"] = rate
            model(**batch()).loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            optimizer.zero_grad()
    finally:
        torch.set_num_threads(threads)
    model.eval()
