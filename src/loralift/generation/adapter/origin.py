"""Is the base the one that the adapter was trained on, as far as the adapter's configuration says?"""

from __future__ import annotations

import re
from pathlib import Path, PureWindowsPath
from typing import Any

from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from loralift.errors import AdapterError
from loralift.generation.model.base_model import BaseModel

_CACHED = re.compile(r"models--(?P<owner>[^/\\]+?)--(?P<name>[^/\\]+)[/\\]snapshots[/\\](?P<commit>[0-9a-f]{40})")
_COMMIT = re.compile(r"[0-9a-f]{7,40}")


def check_class(argument: str, config: Any, base_config: Any) -> None:
    """Refuse an adapter that was trained on another class of model; its keys and shapes may fit nevertheless.

    Args:
        argument: What the user wrote, for the message.
        config: The adapter's PEFT configuration.
        base_config: The base's transformers configuration.

    Raises:
        AdapterError: The adapter's configuration names another class than the base's.
    """
    trained = (config.auto_mapping or {}).get("base_model_class")
    own = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(base_config.model_type)
    if trained != own and trained in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values():
        raise AdapterError(
            f"`{argument}` was trained on a {trained} ({config.base_model_name_or_path!r}), and the base is a {own}: "
            "give --model the base it was trained on"
        )


def compare_base(trained_on: str | None, revision: str | None, base: BaseModel) -> tuple[str, ...]:
    """What differs between the base an adapter names and the base in use, one sentence each.

    A name proves nothing: the same weights are found under many names, and a folder may have moved. So a difference is
    a note and no error. Keys, shapes and class do prove another base, and are checked elsewhere with an error.

    Args:
        trained_on: The base's name or path in the adapter's configuration.
        revision: The base's revision there; None where it has none.
        base: The base in use.
    """
    if not trained_on:
        return ("It does not say which base it was trained on, so that could not be compared.",)
    trained, trained_commit = _identify(trained_on)
    used, used_commit = _identify(base.source)
    if not _same_name(trained, used):
        return (f"It was trained on {trained_on!r} and is evaluated on {base.source!r}: make sure both are one.",)
    return _compare_revisions(revision or trained_commit, base, base.revision or used_commit)


def _compare_revisions(trained: str | None, base: BaseModel, commit: str | None) -> tuple[str, ...]:
    if trained is None:
        return ()
    if commit is None:
        return (f"It was trained on revision {trained!r} of the base; a local folder has none to compare with.",)
    # a branch or tag cannot be compared with a commit, only with the revision that was asked for
    same = commit.startswith(trained) if _COMMIT.fullmatch(trained) else trained == (base.requested or "main")
    if same:
        return ()
    return (
        f"It was trained on revision {trained!r} of the base and is evaluated on {commit}: give --revision {trained}.",
    )


def _identify(source: str) -> tuple[str, str | None]:
    """A model's name, and its commit where the path is one of the hub's cache."""
    cached = _CACHED.search(source)
    if cached is None:
        return source, None
    return f"{cached['owner']}/{cached['name']}", cached["commit"]


def _same_name(first: str, second: str) -> bool:
    """Whether two names may mean one model: hub ids must be equal, of a path only the last part is compared."""
    if _is_hub_id(first) and _is_hub_id(second):
        return first.casefold() == second.casefold()
    return _last_part(first) == _last_part(second)


def _is_hub_id(source: str) -> bool:
    return source.count("/") == 1 and not source.startswith((".", "/", "~")) and not Path(source).is_dir()


def _last_part(source: str) -> str:
    # PureWindowsPath splits at / and at \
    return PureWindowsPath(source).name.casefold()
