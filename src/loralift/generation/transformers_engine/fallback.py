"""Answers by transformers' own ``generate``, a batch at a time: for models that the loop does not take."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch
from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

from loralift.generation.base import GenerationSettings
from loralift.generation.transformers_engine.load import Loaded
from loralift.generation.transformers_engine.sampling import CommonRandomNumbers
from loralift.generation.transformers_engine.stopping import RowWatch, finish_row, left_pad
from loralift.records import Answer, Prompt


def answer_batch(
    loaded: Loaded, batch: Sequence[Prompt], settings: GenerationSettings, report: Callable[[int], None]
) -> list[Answer]:
    """Answer one batch with the model as it is switched.

    Args:
        loaded: The model.
        batch: Not empty.
        settings: How they are answered.
        report: Told the tokens made so far, every few steps.
    """
    started = time.perf_counter()
    ids, mask = left_pad([prompt.token_ids for prompt in batch], loaded.pad, loaded.base.device)
    watch = RowWatch(len(batch), loaded.eos, settings.stop, loaded.text.decode, report)
    sampler = CommonRandomNumbers(
        [prompt.id for prompt in batch],
        settings.seed,
        settings.temperature or 1.0,
        settings.top_p,
        settings.max_new_tokens,
    )
    # complete in itself: load_model has emptied the model's own generation_config, whose sampling, penalties and
    # lengths transformers would fill in here
    config = GenerationConfig(
        max_new_tokens=settings.max_new_tokens,
        do_sample=False,
        eos_token_id=list(loaded.eos) or None,
        pad_token_id=loaded.pad,
    )
    with torch.inference_mode():
        output = loaded.model.generate(
            input_ids=ids,
            attention_mask=mask,
            generation_config=config,
            stopping_criteria=StoppingCriteriaList([watch]),
            logits_processor=LogitsProcessorList([sampler] if settings.temperature > 0 else []),
        )
    made = output[:, ids.shape[1] :].tolist()
    seconds = (time.perf_counter() - started) / len(batch)
    answers = []
    for prompt, tokens, length in zip(batch, made, watch.lengths, strict=True):
        text, count, reason = finish_row(tokens, length, loaded.eos, settings.stop, loaded.text.decode)
        answers.append(Answer(prompt.id, text, reason, len(prompt.token_ids), count, seconds))
    return answers


def step_logits(loaded: Loaded, prompts: Sequence[Prompt], steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What ``generate`` chooses at the first steps of one batch, and from which logits.

    Args:
        loaded: The model, switched.
        prompts: The batch.
        steps: How many; fewer are made where all rows end before.

    Returns:
        Tokens, rows x steps, and logits, rows x steps x vocabulary, in float32.
    """
    ids, mask = left_pad([prompt.token_ids for prompt in prompts], loaded.pad, loaded.base.device)
    config = GenerationConfig(
        max_new_tokens=steps,
        do_sample=False,
        pad_token_id=loaded.pad,
        return_dict_in_generate=True,
        output_logits=True,
    )
    with torch.inference_mode():
        made = loaded.model.generate(input_ids=ids, attention_mask=mask, generation_config=config)
    return made.sequences[:, ids.shape[1] :], torch.stack(made.logits, dim=1).float()
