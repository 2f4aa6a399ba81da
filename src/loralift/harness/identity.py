"""What decides how a task is asked and scored, so that a resume can tell whether it is still the same."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from loralift.harness.spec import TaskSpec
from loralift.records import Plain

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def identity_of(spec: TaskSpec, tasks: Mapping[str, Any], limit: int | None) -> dict[str, Plain]:
    """The identity of tasks whose requests are built, in plain values.

    Args:
        spec: What was asked for.
        tasks: Name to lm_eval's task.
        limit: Most documents of each.
    """
    shots = sorted({int(task.get_config("num_fewshot") or 0) for task in tasks.values()})
    found: dict[str, Plain] = {
        "task": ", ".join(tasks),
        "num_fewshot": ", ".join(map(str, shots)),
        "limit": limit,
        "config_sha256": _digest([_settings(task) for task in tasks.values()]),
        "requests_sha256": _digest(
            [[name, i.doc_id, i.args, i.doc] for name, task in tasks.items() for i in task.instances]
        ),
    }
    if spec.path is not None:
        # functions that a task file names may call others of these files
        beside = sorted(path for path in spec.path.parent.iterdir() if path.suffix in (".py", ".yaml", ".yml"))
        found["files_sha256"] = _digest([[path.name, path.read_bytes().hex()] for path in beside])
    return found


def _settings(task: Any) -> Mapping[str, Any]:
    """A task's configuration without the place where it was found."""
    settings = dict(task.dump_config())
    metadata = settings.get("metadata")
    if isinstance(metadata, Mapping):
        settings["metadata"] = {key: value for key, value in metadata.items() if key != "config_source"}
    return settings


def _digest(value: Any) -> str:
    """SHA-256, in hex, of anything as JSON; a function is its name, without where it lies in memory."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(_ADDRESS.sub("", text).encode("utf-8", "backslashreplace")).hexdigest()
