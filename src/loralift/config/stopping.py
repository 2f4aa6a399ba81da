"""Stopping as soon as every verdict is sure, ``--stop-when-sure``, and what cannot be asked with it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pydantic import BaseModel, Field, StrictBool

from loralift.config.fields import whole_line

NOT_WITH = {
    "candidates": "it is loaded after the base was released; evaluate it in a run of its own",
    "also": "its rows have no verdict that could be sure; evaluate it in a run of its own",
    "repeats": "the answers to one question are not independent rows",
    "every_turn": "the turns of one conversation are not independent rows",
    "base_from": "the base is asked no further than the adapters",
    "train_data": "comparing again without the rows that leaked is a second look; take them out of the data before",
    "endpoint": "it is not tried with a server",
    "workers": "it is not tried with workers",
}
"""Fields that exclude it, and why."""


class StoppingFields(BaseModel):
    """What `loralift run` can be told of when to stop."""

    stop_when_sure: StrictBool = Field(
        False,
        title="Questions are asked in blocks, in an order drawn by --seed, until the primary metric's verdict on every "
        "adapter is sure, however often one has looked.",
        description="true or false",
    )


def refuse_unstoppable(config: Any, given: Collection[str], compared: Collection[str]) -> None:
    """Refuse what has no verdict that could be sure before the last row, or would look a second time.

    Args:
        config: The configuration.
        given: The fields that were given.
        compared: What is compared with the base.

    Raises:
        PydanticCustomError: Something excludes something else.
    """
    if not config.stop_when_sure:
        return
    for name, why in NOT_WITH.items():
        usual = type(config).model_fields[name].get_default(call_default_factory=True)
        if name in given and getattr(config, name) != usual:
            flag = {"candidates": "candidate"}.get(name, name).replace("_", "-")
            raise whole_line(f"`--{flag}` and `--stop-when-sure` exclude each other: {why}")
    if len(config.protocols) > 1:
        raise whole_line(
            "`--stop-when-sure` must be given with one --protocol: the verdict on one is sure before another"
        )
    if not compared:
        raise whole_line("`--stop-when-sure` waits for the verdict on an adapter, and there is none: give an --adapter")
