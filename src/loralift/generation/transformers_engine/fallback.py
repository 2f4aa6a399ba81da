"""Answers by transformers' own ``generate``, one left-padded batch at a time: for models that the loop cannot run."""

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
    """Answer one batch with the variant that is switched on.

    Args:
        loaded: The model.
        batch: Not empty.
        settings: How answers are generated.
        report: Called every few steps with the number of tokens generated so far.
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
    # transformers fills in what is missing here from the model's generation_config, so load_model has removed the
    # sampling, penalties and lengths from that
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
        row = finish_row(tokens, length, loaded.eos, settings, loaded.text.decode)
        answers.append(row.answer(prompt.id, len(prompt.token_ids), seconds))
    return answers


def step_logits(loaded: Loaded, prompts: Sequence[Prompt], steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The tokens that ``generate`` chooses greedily at the first steps of one batch, and the logits.

    Args:
        loaded: The model, with the variant switched on.
        prompts: The batch.
        steps: How many; fewer where all rows end earlier.

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
