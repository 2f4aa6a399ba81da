"""Asking an OpenAI-compatible endpoint: where it is, one request until it has a whole reply, many at a time.

The judge and the engine for served models share it; what is asked and what a reply means they know themselves.
"""

from __future__ import annotations

from loralift.endpoints.address import Address, Words, key_of, url_of
from loralift.endpoints.client import OF_THIS_REQUEST, Pause, Refused, Stopped, count, safe, send
from loralift.endpoints.many import ask_all, replies

__all__ = [
    "OF_THIS_REQUEST",
    "Address",
    "Pause",
    "Refused",
    "Stopped",
    "Words",
    "ask_all",
    "count",
    "key_of",
    "replies",
    "safe",
    "send",
    "url_of",
]
