"""Many requests at a time; each reply is recorded before the next one is asked for."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence

from loralift.judge.client import Pause, Stopped, ask
from loralift.judge.contest import Request
from loralift.judge.endpoint import Endpoint
from loralift.judge.reply import Reply

GRACE = 3.0
"""Seconds in which replies that are under way are still recorded when nothing more is asked: they are paid for."""


def ask_all(
    endpoint: Endpoint, asked: Sequence[Request], record: Callable[[Request, Reply], None], *, at_a_time: int = 8
) -> None:
    """Ask every request.

    Args:
        endpoint: Who is asked.
        asked: In this order, as far as several at a time allow.
        record: Called with each reply as soon as it is there, by one thread at a time.
        at_a_time: How many are under way at most.

    Raises:
        JudgeError: The endpoint cannot be reached or used; what was replied before is recorded.
        LoraLiftError: What ``record`` raises.
        KeyboardInterrupt: The user gave up; likewise.
    """
    waiting = _queue(asked)
    pause, lock, failed = Pause(), threading.Lock(), list[BaseException]()
    closed, ended = threading.Event(), threading.Semaphore(0)

    def work() -> None:
        try:
            while True:
                request = waiting.get_nowait()
                reply = ask(endpoint, request.prompt, pause)
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
    at_work = len(workers)
    try:
        while at_work and not failed:
            # not Thread.join: up to Python 3.12 one that Ctrl-C interrupts takes a thread at work for ended
            at_work -= ended.acquire(timeout=0.05)
    finally:
        pause.stop.set()
        _wait(ended, at_work)
        with lock:
            closed.set()
    if failed:
        raise failed[0]


def _queue(asked: Sequence[Request]) -> queue.SimpleQueue[Request]:
    waiting: queue.SimpleQueue[Request] = queue.SimpleQueue()
    for request in asked:
        waiting.put(request)
    return waiting


def _wait(ended: threading.Semaphore, at_work: int) -> None:
    """Wait for threads at work, each of which releases `ended` once, but no longer than `GRACE`."""
    deadline = time.monotonic() + GRACE
    while at_work and ended.acquire(timeout=max(0.0, deadline - time.monotonic())):
        at_work -= 1
