"""On the path of a process, writes down whatever it and its children ask of a network, and refuses it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

EVENTS = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.sendto")
HERE = ("127.0.0.1", "::1", "localhost")


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event not in EVENTS:
        return
    place = arguments[1] if event in ("socket.connect", "socket.sendto") else arguments[0]
    host = place[0] if isinstance(place, tuple) else place
    if event == "socket.connect" and not isinstance(place, tuple):  # a Unix socket's path
        return
    if host not in HERE:
        with Path(os.environ["SOCKETS_SEEN"]).open("a", encoding="utf-8") as file:
            file.write(f"{event} {place}\n")
        raise OSError(f"refused by the test: {event} {place}")


with Path(os.environ["SOCKETS_SEEN"] + ".processes").open("a", encoding="utf-8") as watched:
    watched.write(f"{os.getpid()}\n")
sys.addaudithook(_watch)
