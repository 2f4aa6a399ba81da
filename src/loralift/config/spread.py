"""Workers, ``--workers N``: how many there are, on which cluster, and what cannot be spread over them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

from loralift.config.fields import Name, whole, whole_line
from loralift.config.served import ServedFields
from loralift.errors import some

MOST_WORKERS = 4_096

ADDRESS = re.compile(r"auto|[A-Za-z0-9._-]+:[0-9]{1,5}|\[[0-9A-Fa-f:.]+\]:[0-9]{1,5}")


class SpreadFields(ServedFields):
    """What `loralift run` can be told of workers, and of a served model."""

    workers: Literal["auto"] | Annotated[int, whole(1, MOST_WORKERS)] | None = Field(
        None,
        title="Spread prompts over N processes by Ray, each with the model: auto is one a GPU (of --tensor-parallel K: "
        "one for K GPUs) [default: this process has the model].",
        description=f"auto or an integer from 1 to {MOST_WORKERS:,}",
    )
    ray_address: Name | None = Field(
        None,
        title="The Ray cluster of the workers: HOST:PORT, or auto for the one that this machine is of [default: Ray is "
        "started on this machine, and ended].",
        description="HOST:PORT or auto",
    )


def refuse_unspread(
    config: SpreadFields, device: str | None, device_map: str | None, candidates: Iterable[str], tasks: Iterable[str]
) -> None:
    """Refuse a cluster without workers, and what is not spread over workers.

    Args:
        config: The configuration.
        device: Where its models run.
        device_map: How the base's layers are spread.
        candidates: Whole models.
        tasks: Further data sets that lm-evaluation-harness asks.

    Raises:
        PydanticCustomError: Something excludes something else.
    """
    if config.ray_address is not None and ADDRESS.fullmatch(config.ray_address) is None:
        raise whole_line(
            f"`--ray-address` must be HOST:PORT or auto, got {config.ray_address!r}: run on a machine of the cluster"
        )
    if config.workers is None:
        if config.ray_address is not None:
            raise whole_line("`--ray-address` must be given with --workers N, the workers to start there")
        return
    if device not in (None, "auto", "cpu", "cuda"):
        raise whole_line(f"`--device` must be cpu or cuda with --workers, which Ray places, got {device!r}")
    if device_map is not None:
        raise whole_line("`--device-map` and `--workers` exclude each other: give --tensor-parallel K for large bases")
    if named := list(candidates):
        raise whole_line(
            f"`--candidate` is not spread over workers ({some(named)}): evaluate it in a run without --workers, "
            "or in shards"
        )
    if named := list(tasks):
        raise whole_line(
            f"`--workers` cannot ask tasks of lm-evaluation-harness ({some(named)}): evaluate them in a run without it"
        )
