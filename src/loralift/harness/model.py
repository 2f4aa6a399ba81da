"""lm_eval's own transformers model, over one that is loaded already; imports lm_eval, so it is imported late."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from lm_eval.models.huggingface import HFLM


class LoadedModel(HFLM):  # type: ignore[misc]
    """What lm_eval calls ``hf``, with its tokenisation, batches, log-likelihoods and stop strings as they are.

    Attributes:
        cut: Contexts that were longer than the model's window, of which lm_eval drops the beginning.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        batch_size: int,
        variables: Mapping[str, Any],
        answered: Callable[[], None],
    ) -> None:
        """Wrap a model.

        Args:
            model: Has ``device``, ``config``, ``generate``, and is called with token ids for logits.
            tokenizer: Its tokenizer; a copy is used, since lm_eval gives it a padding token.
            batch_size: Rows at once.
            variables: What the chat template is told besides the messages.
            answered: Called for each request that is answered.
        """
        # HFLM asks for a fast or a slow tokenizer's class, calls tie_weights() on what is a torch module, which would
        # touch an adapter's weights, and writes that it was given a model
        super().__init__(
            pretrained=model,
            tokenizer=deepcopy(tokenizer),
            batch_size=batch_size,
            chat_template_args=dict(variables),
        )
        self.cut: set[str] = set()
        self.set_cache_hook(_Hook(answered))

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = True) -> Any:
        """As lm_eval's, without its progress bar."""
        del disable_tqdm
        return super().loglikelihood(requests, disable_tqdm=True)

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = True) -> Any:
        """As lm_eval's, without its progress bar."""
        del disable_tqdm
        return super().generate_until(requests, disable_tqdm=True)

    def _loglikelihood_tokens(self, requests: Sequence[Any], *args: Any, **kwargs: Any) -> Any:
        """As lm_eval's; notes which contexts it cuts."""
        for text, context, continuation in requests:
            if text is not None and len(context) + len(continuation) > self.max_length + 1:
                self.cut.add(text[0])
        return super()._loglikelihood_tokens(requests, *args, **kwargs)

    def tok_batch_encode(self, strings: Sequence[str], *args: Any, **kwargs: Any) -> Any:
        """As lm_eval's; notes which contexts it cuts."""
        if most := kwargs.get("left_truncate_len"):
            self.cut.update(text for text in strings if len(self.tok_encode(text)) > most)
        return super().tok_batch_encode(strings, *args, **kwargs)


class _Hook:
    """What lm_eval tells each answer, to keep it; here it is counted."""

    def __init__(self, answered: Callable[[], None]) -> None:
        self._answered = answered

    def add_partial(self, kind: str, request: Any, answer: Any) -> None:
        """Count it."""
        del kind, request, answer
        self._answered()
