"""A program that renders chat templates: a JSON request a line in, a JSON reply a line out.

A template is a stranger's program. The sandbox of transformers lets it touch nothing, but one may loop for ever or
grow beyond all memory: so it runs in this process, which ``chat.py`` ends. As a file, it imports nothing of LoraLift.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from queue import SimpleQueue
from typing import Any

from transformers.utils.chat_template_utils import render_jinja_template

MOST_CHARACTERS = 16 << 20
"""Longest text that is handed back; no context window holds as much."""


def reply_to(request: dict[str, Any]) -> dict[str, str]:
    """The text of a request's messages, or why there is none."""
    try:
        texts, _ = render_jinja_template(
            conversations=[request["messages"]],
            chat_template=request["template"],
            **{"add_generation_prompt": True, **request["variables"]},
        )
        if len(texts[0]) > MOST_CHARACTERS:
            return {"error": f"it makes a text of {len(texts[0]):,} characters"}
        return {"text": texts[0]}
    except Exception as error:  # noqa: BLE001  # a stranger's program may raise anything
        return {"error": f"{error}" or type(error).__name__}


def main() -> None:
    """Reply to each line until there are no more."""
    requests: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_read, args=(requests,), daemon=True).start()
    print("ready", flush=True)
    while True:
        print(json.dumps(reply_to(json.loads(requests.get()))), flush=True)


def _read(requests: SimpleQueue[str]) -> None:
    """Wait for requests in a thread of its own: when nobody asks any more, even a template that loops for ever ends."""
    for line in sys.stdin:
        requests.put(line)
    os._exit(0)


if __name__ == "__main__":
    main()
