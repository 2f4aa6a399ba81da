"""Data sets on the Hugging Face hub, always at one commit, which is recorded.

Some repositories hold no data but a Python script that fetches it (``explodinggradients/fiqa`` began as one).
``datasets`` 4 and later runs no scripts, so those are read from the parquet files that the hub itself made of them,
as https://huggingface.co/docs/dataset-viewer/parquet describes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loralift.data.files import arrow_rows
from loralift.data.saved import hash_pairs
from loralift.data.spec import HubDataset
from loralift.data.table import Row, Table
from loralift.errors import DataError, first_line, some
from loralift.reading import reading

PARQUET_EXPORT = "refs/convert/parquet"
"""The branch of every repository where the hub keeps its data as CONFIG/SPLIT/0000.parquet, without a README."""

_EXPORTED_FILE = re.compile(r"(?P<config>[^/]+)/(?P<split>[^/]+)/\d{4}\.parquet")


@dataclass(frozen=True, slots=True)
class HubRows:
    """One split, and the commit that it came from."""

    rows: Sequence[Mapping[str, object]]
    revision: str


@dataclass(frozen=True, slots=True)
class _Commit:
    sha: str
    files: tuple[str, ...]


def read_hub(source: HubDataset) -> Table:
    """Read one split of a data set on the hub.

    Raises:
        DataError: The hub cannot be reached; there is no such data set, configuration, split or revision; or it
            has another number of rows than it must.
    """
    split = read_split(source.dataset, source.config, source.split, source.revision)
    if source.rows is not None and len(split.rows) != source.rows:
        raise DataError(
            f"{source.name}: must have {source.rows} rows, got {len(split.rows)} at revision {split.revision}"
        )
    parts = [source.dataset, f"config {source.config}" if source.config else "", f"split {source.split}"]
    identity = ", ".join([*filter(None, parts), f"revision {split.revision}"])
    if source.content is not None:
        identity += f", content {_compared(split.rows, source.content)}"
    rows = [Row(f"row {number}", values) for number, values in enumerate(split.rows)]
    return Table(name=source.name, source=identity, rows=rows)


def _compared(rows: Sequence[Mapping[str, object]], pinned: str) -> str:
    """Whether the rows are those that LoraLift is tested with."""
    pairs = []
    for row in rows:
        truths = row.get("ground_truths")
        pairs.append((str(row.get("question")), str(truths[0]) if isinstance(truths, Sequence) and truths else ""))
    found = hash_pairs(pairs)
    return "as pinned" if found == pinned else f"not the pinned one (sha256 {found[:12]} instead of {pinned[:12]})"


def read_split(dataset: str, config: str | None, split: str, revision: str | None) -> HubRows:
    """Load one split with ``datasets``, at the commit that ``revision`` names now.

    Args:
        dataset: ``ORG/NAME``.
        config: The configuration; None: the only or default one.
        split: e.g. ``test``.
        revision: A commit, branch or tag; None: the head of ``main``, or, where that holds a script, the hub's
            parquet export of it.

    Raises:
        DataError: As for ``read_hub``.
    """
    commit = _resolve(dataset, revision)
    script = f"{dataset.rpartition('/')[2]}.py"
    if script in commit.files:
        if revision not in (None, "main"):
            raise DataError(
                f"hf://{dataset}: revision {revision} holds the script {script}, which is never run; "
                f"give a commit of {PARQUET_EXPORT}, or no revision"
            )
        commit = _resolve(dataset, PARQUET_EXPORT)
    if "README.md" not in commit.files and any(map(_EXPORTED_FILE.fullmatch, commit.files)):
        # without a README, datasets would take all configurations for one
        files = _exported_files(dataset, config, split, commit.files)
        return HubRows(_load(dataset, None, split, commit.sha, {split: files}), commit.sha)
    return HubRows(_load(dataset, config, split, commit.sha, None), commit.sha)


def _exported_files(dataset: str, config: str | None, split: str, files: Sequence[str]) -> list[str]:
    found: dict[tuple[str, str], list[str]] = {}
    for file in sorted(files):
        if match := _EXPORTED_FILE.fullmatch(file):
            found.setdefault((match["config"], match["split"]), []).append(file)
    wanted = [key for key in found if key[1] == split and config in (None, key[0])]
    if len(wanted) != 1:
        problem = "it must be one of several" if wanted else "there is no such"
        have = some((f"config={c}&split={s}" for c, s in found), 20)
        raise DataError(f"hf://{dataset}: config {config or 'unnamed'}, split {split}: {problem}; it has {have}")
    return found[wanted[0]]


def _resolve(dataset: str, revision: str | None) -> _Commit:
    from huggingface_hub import HfApi, errors

    try:
        info = HfApi().dataset_info(dataset, revision=revision)
    except errors.HFValidationError as error:
        raise DataError(f"hf://{dataset}: {first_line(error)}") from error
    except errors.GatedRepoError as error:
        page = f"https://huggingface.co/datasets/{dataset}"
        raise DataError(f"hf://{dataset}: gated; accept its terms on {page} and set HF_TOKEN") from error
    except errors.RevisionNotFoundError as error:
        raise DataError(f"hf://{dataset}: the hub has no revision {revision} of it") from error
    except errors.RepositoryNotFoundError as error:
        raise DataError(f"hf://{dataset}: not on the hub, or private: check the name, or set HF_TOKEN") from error
    except _unreachable_errors() as error:
        raise _unreachable(dataset, error) from error
    return _Commit(info.sha or "unknown", tuple(file.rfilename for file in info.siblings or ()))


def _load(
    dataset: str, config: str | None, split: str, sha: str, data_files: Mapping[str, Sequence[str]] | None
) -> list[dict[str, object]]:
    import datasets

    try:
        loaded = datasets.load_dataset(dataset, config, split=split, revision=sha, data_files=data_files)
    except _unreachable_errors() as error:
        raise _unreachable(dataset, error) from error
    except (ValueError, FileNotFoundError, datasets.exceptions.DatasetsError) as error:
        # of an unknown configuration or split, the library's own first line says which there are
        raise DataError(f"hf://{dataset}: {first_line(error)}") from error
    with reading(f"hf://{dataset}", DataError):
        return arrow_rows(f"hf://{dataset}", loaded.with_format("arrow")[:])


def _unreachable_errors() -> tuple[type[Exception], ...]:
    from huggingface_hub import errors

    # the root of whichever of httpx and httpx2 this huggingface_hub was built on
    return ConnectionError, errors.HTTPError  # type: ignore[attr-defined]


def _unreachable(dataset: str, error: Exception) -> DataError:
    return DataError(
        f"hf://{dataset}: the Hugging Face hub cannot be reached ({first_line(error)}); "
        "download the data elsewhere, and give a file or beir:DIR instead"
    )
