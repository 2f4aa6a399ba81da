"""Start the workers, each with its model, and the generator in front of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from loralift.generation.adapter.info import AdapterInfo
from loralift.generation.base import Generator
from loralift.generation.model.base_model import BaseModel
from loralift.generation.ray import cluster
from loralift.generation.ray.generator import RayGenerator
from loralift.generation.ray.pool import Pool

type LoadIn = Callable[[cluster.Room, Callable[[str], None]], Generator]
"""Loads a worker's generator; told what the worker got, and whom to tell what a user must know."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a user says of the workers.

    Attributes:
        workers: How many, or ``auto``: one for ``gpus`` GPUs.
        address: Of a Ray cluster; None: Ray is started on this machine.
        device: ``cpu``, ``cuda`` or None: GPUs if there are some.
        gpus: How many each worker gets, if it runs on GPUs.
    """

    workers: int | str
    address: str | None = None
    device: str | None = None
    gpus: int = 1


def load(
    base: BaseModel, adapters: Sequence[AdapterInfo], given: Given, load_in: LoadIn, say: Callable[[str], None]
) -> RayGenerator:
    """Start the workers and make sure that they are the same, and that they have these files.

    Args:
        base: As it was found here.
        adapters: Likewise.
        given: Which workers.
        load_in: Loads a worker's generator; is pickled.
        say: Told what a user must know.

    Raises:
        MissingExtraError: Ray is not installed.
        UsageError: There is no room for so many workers.
        ModelError: There is no cluster, the workers are not the same or have other files, or all keep dying.
        LoraLiftError: What a worker raises as it loads.
    """
    joined = cluster.connect(given.workers, given.address, given.device, given.gpus)
    room = joined.room
    on = f"{room.gpus} GPU{'s' if room.gpus > 1 else ''}" if room.gpus else f"{room.cpus} CPU threads"
    say(f"{room.workers} Ray workers, each on {on}")
    return RayGenerator(base, adapters, Pool(joined, partial(load_in, room), say), joined.version)
