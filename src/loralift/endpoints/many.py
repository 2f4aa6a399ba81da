"""Many requests at a time; each reply is recorded before the next one is asked for."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Sequence

from loralift.endpoints.client import Pause, Stopped

GRACE = 3.0
"""Seconds in which replies that are under way are still recorded when nothing more is asked: they are paid for."""


def ask_all[Request, Reply](
    ask: Callable[[Request, Pause], Reply],
    asked: Sequence[Request],
    record: Callable[[Request, Reply], None],
    *,
    at_a_time: int,
    pause: Pause | None = None,
) -> None:
    """Ask every request.

    Args:
        ask: Asks one; stops where the pause says so.
        asked: In this order, as far as several at a time allow.
        record: Called with each reply as soon as it is there, by one thread at a time.
        at_a_time: How many are under way at most.
        pause: Whose ``stop`` another thread may set; None: nobody does.

    Raises:
        LoraLiftError: The endpoint cannot be reached or used; what was replied before is recorded.
        BaseException: What ``record`` raises.
        KeyboardInterrupt: The user gave up; likewise.
    """
    waiting = _queue(asked)
    pause = pause or Pause()
    lock, failed = threading.Lock(), list[BaseException]()
    closed, ended = threading.Event(), threading.Semaphore(0)

    def work() -> None:
        try:
            while True:
                request = waiting.get_nowait()
                reply = ask(request, pause)
                with lock:
                    if not closed.is_set():
                        record(request, reply)
        except (queue.Empty, Stopped):
            return
        except BaseException as error:  # noqa: BLE001 - the asking thread raises it
            failed.append(error)
            pause.stop.set()
        finally:
            ended.release()

    # daemons, which a process does not wait for when it ends: a request may take minutes
    workers = [threading.Thread(target=work, daemon=True) for _ in range(min(at_a_time, len(asked)))]
    for worker in workers:
        worker.start()
    try:
        _join(ended, len(workers), failed, pause)
    finally:
        with lock:
            closed.set()
    if failed:
        raise failed[0]


def replies[Request, Reply](
    ask: Callable[[Request, Pause], Reply], asked: Sequence[Request], *, at_a_time: int
) -> Generator[tuple[Request, Reply], None, None]:
    """Ask every request; yields each with its reply as it comes, and after a failure those that are still under way.

    Args:
        ask: Asks one; stops where the pause says so.
        asked: In this order, as far as several at a time allow.
        at_a_time: How many are under way at most.

    Raises:
        LoraLiftError: The endpoint cannot be reached or used; what was replied before is yielded first.
    """
    found: queue.SimpleQueue[tuple[Request, Reply] | None] = queue.SimpleQueue()
    pause, failed = Pause(), list[BaseException]()

    def work() -> None:
        try:
            ask_all(ask, asked, lambda request, reply: found.put((request, reply)), at_a_time=at_a_time, pause=pause)
        except BaseException as error:  # noqa: BLE001 - the asking thread raises it
            failed.append(error)
        finally:
            found.put(None)

    threading.Thread(target=work, daemon=True).start()
    try:
        while (one := _next(found, pause, failed)) is not None:
            yield one
    finally:
        pause.stop.set()
    if failed:
        raise failed[0]


def _next[Found](found: queue.SimpleQueue[Found | None], pause: Pause, failed: list[BaseException]) -> Found | None:
    """What is found next; after Ctrl-C only what comes within `GRACE`, since it is paid for; None: nothing more."""
    try:
        return found.get() if not failed else found.get(timeout=GRACE)
    except KeyboardInterrupt as error:
        pause.stop.set()
        failed.insert(0, error)
    except queue.Empty:
        return None
    return _next(found, pause, failed)


def _queue[Request](asked: Sequence[Request]) -> queue.SimpleQueue[Request]:
    waiting: queue.SimpleQueue[Request] = queue.SimpleQueue()
    for request in asked:
        waiting.put(request)
    return waiting


def _join(ended: threading.Semaphore, at_work: int, failed: Sequence[BaseException], pause: Pause) -> None:
    """Wait for threads at work, each of which releases `ended` once; after a failure or Ctrl-C at most `GRACE`."""
    try:
        while at_work and not failed:
            # not Thread.join: up to Python 3.12 one that Ctrl-C interrupts takes a thread at work for ended
            at_work -= ended.acquire(timeout=0.05)
    finally:
        pause.stop.set()
        deadline = time.monotonic() + GRACE
        while at_work and ended.acquire(timeout=max(0.0, deadline - time.monotonic())):
            at_work -= 1
