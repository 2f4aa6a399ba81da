"""What is tried: each trial disturbs a run in one way and says what went wrong with it, in sentences; none is good."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from benchmarks.chaos import runs, sessions
from benchmarks.chaos.faults import Fault, draw
from benchmarks.chaos.sessions import Ended

KILLED = -signal.SIGKILL
REFUSED = 2


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """The run that nobody disturbed: what all others must come to."""

    folder: Path
    ended: Ended

    @property
    def run(self) -> Path:
        """Its run directory."""
        return self.folder / "undisturbed"


def undisturbed(folder: Path) -> Undisturbed:
    """Make it.

    Raises:
        RuntimeError: It failed, so that nothing can be tried.
    """
    ended = sessions.start(runs.arguments(folder / "undisturbed"), folder / "undisturbed.err").wait()
    if ended.code != 0:
        raise RuntimeError(f"the undisturbed run ended with {ended.code}: {ended.last_line}")
    return Undisturbed(folder, ended)


def same_twice(of: Undisturbed) -> Iterator[str]:
    """The same run once more: the same bytes."""
    again = of.folder / "again"
    ended = sessions.start(runs.arguments(again), of.folder / "again.err").wait()
    yield from _finished(ended, again, of)


def disturbed(of: Undisturbed, random: Random, name: str, faults: list[Fault]) -> Iterator[str]:
    """A run with up to three faults, one a session, and then a session without any.

    Args:
        of: The run to come to.
        random: The source.
        name: Of the run.
        faults: Gets what was done.
    """
    run, notes = of.folder / name, of.folder / f"{name}.err"
    for session in range(random.randint(1, 3)):
        faults.append(draw(random, of.ended.seconds, of.ended.calls))
        ended = sessions.start(_resuming(run, session > 0), notes, faults[-1]).wait()
        if ended.code == 0:  # the fault's moment did not come
            break
        yield from _broken(ended, faults[-1])
    yield from _finished(sessions.start(_resuming(run, True), notes).wait(), run, of)


def full_disk(of: Undisturbed, kilobytes: int) -> Iterator[str]:
    """A run on a file system that becomes full, and then larger; needs the right to mount one."""
    place = of.folder / f"full-{kilobytes}"
    place.mkdir()
    with mounted(place, kilobytes):
        run, notes = place / "run", of.folder / f"full-{kilobytes}.err"
        ended = sessions.start(runs.arguments(run), notes).wait()
        if ended.code != 0:
            yield from _refused(ended, "No space left on device")
        subprocess.run(["mount", "-o", "remount,size=64m", str(place)], check=True)
        yield from _finished(sessions.start(_resuming(run, True), notes).wait(), run, of)


@contextlib.contextmanager
def mounted(place: Path, kilobytes: int) -> Iterator[None]:
    """A file system in memory.

    Raises:
        CalledProcessError: It may not be mounted.
    """
    options = ["-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(place)]
    subprocess.run(["mount", *options], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


def two_at_once(of: Undisturbed, name: str) -> Iterator[str]:
    """Two runs in one folder at one time: one is refused, the other is whole."""
    run = of.folder / name
    both = [sessions.start(runs.arguments(run), of.folder / f"{name}-{number}.err") for number in (1, 2)]
    ended = sorted((one.wait() for one in both), key=lambda one: one.code)
    yield from _refused(ended[1], "in use by another loralift", "is not empty")
    yield from _finished(ended[0], run, of)


def orphan(of: Undisturbed, name: str, at_most: float = 30.0) -> Iterator[str]:
    """A session is killed while a process beside it scores; the next one finishes with other metrics and stays so.

    The process is stopped until that one has finished, as if it took long over its work. Then it must end in so many
    seconds: it notices nothing before it has loaded its libraries, which takes long on a busy machine.
    """
    run, notes, metrics = of.folder / name, of.folder / f"{name}.err", "rougeL,perplexity"
    session = sessions.start(runs.arguments(run), notes, also=_share_soon)
    children = _children_of(session)
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGSTOP)
    os.kill(session.pid, signal.SIGKILL)
    session.wait()
    if not children:
        yield "no process scored beside the session"
    wanted = of.folder / f"{name}-wanted"
    sessions.start(runs.arguments(wanted, metrics=metrics), of.folder / f"{name}-wanted.err").wait()
    ended = sessions.start([*runs.arguments(run, metrics=metrics), "--resume"], notes).wait()
    if ended.code != 0:
        yield f"the next session ended with {ended.code}: {ended.last_line}"
    before = runs.content(run)
    for child in filter(_runs, children):
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGCONT)
    until = time.monotonic() + at_most
    while any(map(_runs, children)) and time.monotonic() < until:
        time.sleep(0.05)
    yield from (f"process {child} outlived the session that started it" for child in children if _runs(child))
    if runs.content(run) != before:
        yield "the finished run was changed afterwards"
    yield from runs.differences(run, wanted)


def _share_soon() -> None:
    """Share the scoring of few rows too."""
    process = importlib.import_module("loralift.workflow.scoring_process")
    process.MANY_ROWS = 1  # type: ignore[attr-defined]
    process.cores = lambda: 2  # type: ignore[attr-defined]


def _children_of(session: sessions.Session, at_most: float = 60.0) -> list[int]:
    """The processes that the session has started, once there is one; none where it ends before."""
    listed = Path(f"/proc/{session.pid}/task/{session.pid}/children")
    until = time.monotonic() + at_most
    while time.monotonic() < until:
        try:
            if children := [int(number) for number in listed.read_text(encoding="ascii").split()]:
                scoring = [child for child in children if b"scoring_process" in _command(child)]
                if scoring:
                    time.sleep(1.0)  # it is at work by then
                    return scoring
        except OSError:
            break
        time.sleep(0.01)
    return []


def _command(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def _runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _resuming(run: Path, resume: bool) -> list[str]:
    return [*runs.arguments(run), *(["--resume"] if resume else [])]


def _broken(ended: Ended, fault: Fault) -> Iterator[str]:
    """What is wrong with how a disturbed session ended."""
    if fault.error:
        yield from _refused(ended, os.strerror(fault.error))
    elif ended.code != KILLED:
        yield f"a session that was {fault} ended with {ended.code}: {ended.last_line}"


def _refused(ended: Ended, *reasons: str) -> Iterator[str]:
    if ended.code != REFUSED:
        yield f"exit code {ended.code}, not {REFUSED}: {ended.last_line}"
    if "Traceback" in ended.said:
        yield f"a traceback: {ended.last_line}"
    if not any(reason in ended.said for reason in reasons):
        yield f"nothing said {' or '.join(reasons)}: {ended.last_line}"


def _finished(ended: Ended, run: Path, of: Undisturbed) -> Iterator[str]:
    if ended.code != 0:
        yield f"the last session ended with {ended.code}: {ended.last_line}"
    yield from runs.differences(run, of.run)
