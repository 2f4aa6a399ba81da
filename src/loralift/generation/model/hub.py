"""Find a model or an adapter: a local folder, or a repository of the Hugging Face hub, which is downloaded."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from loralift.errors import LoraLiftError, first_line

_BLOCK = 1 << 20


def find_folder(
    argument: str, source: str, revision: str | None, patterns: Sequence[str], error: type[LoraLiftError]
) -> tuple[Path, str | None]:
    """The local folder of a model or an adapter, fetched from the hub if it is not one already.

    Args:
        argument: What the user wrote, for the message, e.g. ``--model``.
        source: A local folder or a hub id.
        revision: A hub branch, tag or commit; None for the default branch.
        patterns: Which files of a hub repository are wanted.
        error: The class to raise.

    Returns:
        The folder, and the commit if it came from the hub.

    Raises:
        LoraLiftError: ``error``; there is neither such a folder nor such a repository, or the hub refuses it.
    """
    local = Path(source).expanduser()
    if local.is_dir():
        return local, None
    if local.exists():
        raise error(f"`{argument}` must be a folder or a hub id, but {source} is a file")
    if source.startswith((".", "/", "~")) or source.count("/") > 1 or source.endswith("/"):
        raise error(f"`{argument}` must be an existing folder or a hub id: there is no folder {source}")
    try:
        # a snapshot's folder is named after its commit
        folder = Path(snapshot_download(source, revision=revision, allow_patterns=list(patterns)))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError) as cause:
        reason = _why_not(cause, source, revision)
        raise error(f"`{argument}` must be an existing folder or a hub id: {reason}") from cause
    return folder, folder.name


def _why_not(cause: Exception, source: str, revision: str | None) -> str:
    """Why the hub did not give a repository, and what to do."""
    if isinstance(cause, HFValidationError):
        return f"there is no folder {source!r}, and it cannot be a hub id either"
    if isinstance(cause, GatedRepoError):
        return f"{source} is gated: ask for access on its page, then run `hf auth login`"
    if isinstance(cause, RepositoryNotFoundError):
        return f"there is no folder and no hub repository {source} (a private one needs `hf auth login`)"
    if isinstance(cause, RevisionNotFoundError):
        return f"{source} has no revision {revision!r}"
    if isinstance(cause, LocalEntryNotFoundError):
        wanted = source if revision is None else f"{source} at {revision}"
        if constants.HF_HUB_OFFLINE:
            remedy = "HF_HUB_OFFLINE is set: unset it, or give a local folder"
        else:
            remedy = "the hub cannot be reached: check the connection, or give a local folder"
        return f"there is no folder {source}, {wanted} is not in the local cache, and {remedy}"
    return f"the hub refused {source}: {first_line(cause)}"


def hash_files(files: Sequence[Path], sample_from: int | None = None) -> str:
    """A hash over names, sizes and contents.

    Args:
        files: In any order; their names are hashed, their folders are not.
        sample_from: Total bytes from which on files are sampled rather than read whole: their first and last
            mebibyte, 62 evenly between, and all of a safetensors file's header. None: never.

    Returns:
        ``sha256:…``, or ``sampled-sha256:…`` where files were sampled.
    """
    sizes = {path: path.stat().st_size for path in sorted(files, key=lambda path: path.name)}
    sampled = sample_from is not None and sum(sizes.values()) > sample_from
    digest = hashlib.sha256()
    for path, size in sizes.items():
        digest.update(f"{path.name}\0{size}\0".encode())
        with path.open("rb") as file:
            if sampled and size > 64 * _BLOCK:
                if path.suffix == ".safetensors":
                    digest.update(file.read(int.from_bytes(file.read(8), "little")))
                for part in range(64):
                    file.seek((size - _BLOCK) * part // 63)
                    digest.update(file.read(_BLOCK))
            else:
                while block := file.read(_BLOCK):
                    digest.update(block)
    return f"{'sampled-sha256' if sampled else 'sha256'}:{digest.hexdigest()}"
