"""All that is Ray's: the connection, where workers find room, and how they are asked."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from loralift.cores import cores
from loralift.errors import LoraLiftError, MissingExtraError, ModelError, UsageError, first_line, wrong_argument
from loralift.generation.ray.worker import Load, Where, Worker
from loralift.versions import refuse_untested

OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK")
"""Variables that a worker on another machine must have as this process has them."""

STORE_BYTES = 128 << 20
"""Of Ray's object store, which would else take a third of the memory; what passes through it is a few megabytes."""

SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # leaves CUDA_VISIBLE_DEVICES as it is; Ray warns where that is not said
}
"""Variables that Ray reads when it is imported."""

type Node = Mapping[str, float]
"""What a machine of a cluster has: ``CPU``, ``GPU`` and more."""


@dataclass(frozen=True, slots=True)
class Room:
    """What each worker gets.

    Attributes:
        workers: How many there are.
        cpus: Cores of each.
        gpus: GPUs of each; 0: it runs on the CPU.
    """

    workers: int
    cpus: int
    gpus: int

    @property
    def device(self) -> str:
        """Where its model runs: ``cuda`` or ``cpu``."""
        return "cuda" if self.gpus else "cpu"


@dataclass(frozen=True, slots=True)
class Died:
    """A worker's process ended.

    Attributes:
        why: As Ray says it, one line.
    """

    why: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A call has given all that it gives."""


@dataclass(eq=False)
class Call:
    """A call under way.

    Attributes:
        stream: Ray's generator of references to what it yields.
    """

    stream: Any


@dataclass
class Cluster:
    """A connection to Ray.

    Attributes:
        room: What each worker gets.
        version: Ray's.
        owned: The folder of the session that this process began, and ends; None: the cluster was there before.
    """

    room: Room
    version: str
    owned: str | None
    _ray: Any = field(repr=False)

    def begin(self, load: Load, ends: Sequence[int]) -> tuple[Any, Call]:
        """Start a worker, which loads its model.

        Args:
            load: Loads it.
            ends: As of `Worker.load`.

        Returns:
            The worker, and the call that gives a `worker.Loaded` and ends.
        """
        room = self.room
        options = {"num_cpus": room.cpus, "num_gpus": room.gpus, "max_restarts": 0, "scheduling_strategy": "SPREAD"}
        actor = self._ray.remote(Worker).options(**options).remote()
        environment = {name: os.environ[name] for name in OFFLINE if name in os.environ}
        where = Where(str(Path.cwd()), environment, room.cpus)
        return actor, Call(actor.load.options(num_returns="streaming").remote(where, load, tuple(ends)))

    def call(self, actor: Any, method: str, arguments: Sequence[Any]) -> Call:
        """Call a method of a worker's generator; gives `worker.Part`."""
        return Call(actor.do.options(num_returns="streaming").remote(method, *arguments))

    def wait(self, calls: Sequence[Call], seconds: float) -> tuple[Call, Any] | None:
        """The next that one of some calls gives: what it yields, `Ended` or `Died`; None after so many seconds.

        Raises:
            LoraLiftError: A worker raised it.
            ray.exceptions.RayTaskError: A worker raised another error, with its traceback there.
        """
        by_stream = {call.stream: call for call in calls}
        ready, _ = self._ray.wait(list(by_stream), num_returns=1, timeout=seconds)
        return (by_stream[ready[0]], self._next(ready[0])) if ready else None

    def _next(self, stream: Any) -> Any:
        exceptions = self._ray.exceptions
        try:
            return self._ray.get(next(stream))
        except StopIteration:
            return Ended()
        except exceptions.RayTaskError as error:
            if isinstance(error.cause, LoraLiftError):
                raise error.cause from None
            if isinstance(error.cause, exceptions.RaySystemError):
                raise ModelError(
                    f"a worker lacks what this process has ({str(error.cause).splitlines()[0]}): install the same "
                    "packages, LoraLift too, on all machines of the cluster"
                ) from error
            raise
        except exceptions.RayError as error:
            return Died(why(str(error)))

    def end(self, actor: Any) -> None:
        """Kill a worker, even while it works."""
        self._ray.kill(actor)

    def close(self) -> None:
        """Leave the cluster; one that this process began ends, with all its processes."""
        if self.owned is not None:
            self._ray.shutdown()
            shutil.rmtree(self.owned, ignore_errors=True)


def why(said: str) -> str:
    r"""What Ray says of a death, without its advice.

    >>> why("The actor died.\n\tpid: 7\nThe actor is dead because its worker process has died. Some common causes")
    'its worker process has died'
    """
    _, _, cause = said.partition("The actor is dead because ")
    return (cause or said).strip().split("\n")[0].split(" Some common causes")[0].strip().rstrip(".")


def connect(workers: int | str, address: str | None, device: str | None, gpus: int) -> Cluster:
    """Connect to Ray and find room for the workers.

    Args:
        workers: How many, or ``auto``: as many as the GPUs suffice for.
        address: ``HOST:PORT`` or ``auto``: of a cluster that is there; None: Ray is started on this machine.
        device: ``cpu``, ``cuda``, or None: GPUs if there are some.
        gpus: How many each worker gets where it runs on GPUs.

    Raises:
        MissingExtraError: Ray is not installed.
        VersionError: It is of a version that was not tested.
        ModelError: There is no cluster at the address, or Ray does not start.
        UsageError: There is no room for so many workers.
    """
    if find_spec("ray") is None:
        raise MissingExtraError("`--workers`", "ray")
    refuse_untested(("ray",))
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    import ray

    gc.collect()  # an earlier generator of an adapter that was refused, whose end ends its session
    owned = _start(ray, address) if not ray.is_initialized() else None
    try:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        return Cluster(room_for(workers, nodes, device, gpus), ray.__version__, owned, ray)
    except BaseException:
        if owned is not None:
            ray.shutdown()
        raise


def _start(ray: Any, address: str | None) -> str:
    """Connect; returns the session's folder, which is this machine's if it began the session here."""
    from ray.job_config import JobConfig

    job = JobConfig()
    # else Ray puts the working folder before all others on its workers' path, and a stranger's numpy.py there would run
    job._client_job = True
    here: dict[str, Any] = {
        "num_cpus": cores(),
        "include_dashboard": False,
        "object_store_memory": STORE_BYTES,
        "_node_ip_address": "127.0.0.1",  # reachable by no other machine
    }
    options = {"address": "local", **here} if address is None else {"address": address}
    _listen_to_nothing(ray)
    try:
        context = ray.init(**options, log_to_driver=False, logging_level="ERROR", job_config=job)
    except Exception as error:  # what Ray raises when it does not start is of no class of its own
        if address is None:
            raise ModelError(
                f"`--workers`: Ray does not start here: {first_line(error)}; on a busy machine start "
                "it before by `ray start --head`, and give --ray-address auto"
            ) from error
        raise ModelError(
            f"`--ray-address`: no Ray cluster of this version answers at {address}: {first_line(error)}; start one "
            "with `ray start --head`, or leave the flag out for workers on this machine"
        ) from error
    return str(context.address_info["session_dir"]) if address is None else ""


def _listen_to_nothing(ray: Any) -> None:
    """Keep Ray from printing its daemons' messages on standard output; deaths are said in LoraLift's own words."""
    module = ray._private.worker
    if hasattr(module, "print_to_stdstream"):
        module.print_to_stdstream = lambda *data, **more: None


def room_for(workers: int | str, nodes: Sequence[Node], device: str | None, gpus: int) -> Room:
    """What each worker gets: an equal share of the cores, and its GPUs, all of one machine.

    Args:
        workers: As of `connect`.
        nodes: The machines.
        device: As of `connect`.
        gpus: Likewise.

    Raises:
        UsageError: There is no room for so many, or none for one.
    """
    there = int(sum(node.get("GPU", 0) for node in nodes))
    on_gpus = device == "cuda" or (device is None and there > 0)
    each = gpus if on_gpus else 0
    most = places(nodes, 1, each)
    if not on_gpus and workers == "auto":
        raise UsageError(
            f"`--workers` auto is one a GPU, and Ray finds none: give a number, at most {most} for as many cores"
        )
    count = most if workers == "auto" else int(workers)
    if not 1 <= count <= most:
        of = f"{gpus} of {there} GPUs" if on_gpus else "a core"
        raise UsageError(wrong_argument("--workers", f"at most {most}, each with {of} of one machine", workers))
    share = int(sum(node.get("CPU", 0) for node in nodes)) // count
    return Room(count, next(cpus for cpus in range(max(share, 1), 0, -1) if places(nodes, cpus, each) >= count), each)


def places(nodes: Sequence[Node], cpus: int, gpus: int) -> int:
    """How many workers of so many cores and GPUs have room.

    >>> places([{"CPU": 8.0, "GPU": 2.0}, {"CPU": 3.0}], 2, 0), places([{"CPU": 8.0, "GPU": 2.0}], 1, 2)
    (5, 1)
    """
    fits = [(node.get("CPU", 0) // cpus, node.get("GPU", 0) // gpus if gpus else float("inf")) for node in nodes]
    return int(sum(min(fit) for fit in fits))
