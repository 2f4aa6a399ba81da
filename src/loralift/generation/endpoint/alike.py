"""What a server said first, that its later replies must agree with."""

from __future__ import annotations

from dataclasses import dataclass, field

from loralift.errors import ModelError, shown
from loralift.generation.endpoint.reply import Reply


@dataclass(slots=True)
class Alike:
    """Whose replies they are and how long their prompts were read, for answers and likelihoods alike.

    Attributes:
        answers_as: By path and asked model, the model that replied, as the server calls it.
        counted: By a text's hash, which is enough to find it and keeps no text, its tokens as the server counted them.
    """

    answers_as: dict[tuple[str, str], str] = field(default_factory=dict)
    counted: dict[int, int] = field(default_factory=dict)

    def refuse(self, reply: Reply, path: str, model: str, question: str, text: str, tokens: int | None) -> None:
        """Refuse a reply by another model than before, or to a prompt of another length.

        Args:
            reply: It.
            path: What was asked.
            model: The model that was asked.
            question: The question's id.
            text: What it was asked.
            tokens: How many tokens --endpoint-tokenizer makes of that; None: it is as many as in the first reply.

        Raises:
            ModelError: It is such a reply.
        """
        first = self.answers_as.setdefault((path, model), reply.model) if reply.model is not None else None
        if first != reply.model:
            raise ModelError(
                f"the server answered for {model!r} as {shown(first)} before and as {shown(reply.model)} to "
                f"{question}: it has changed, or does not tell its models apart; begin anew with a server of its own"
            )
        if reply.prompt_tokens is None:
            return
        wanted, of = tokens, "--endpoint-tokenizer makes"
        if wanted is None:
            wanted, of = self.counted.setdefault(hash(text), reply.prompt_tokens), "another reply was to"
        if reply.prompt_tokens != wanted:
            raise ModelError(
                f"the server read the prompt of {question} as {reply.prompt_tokens} tokens, and {of} {wanted}: not "
                "all are asked the same; it truncates, adds a BOS, or has another tokenizer: serve base and adapters "
                "with one tokenizer, and give that as --endpoint-tokenizer or leave it out"
            )
