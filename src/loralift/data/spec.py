"""What ``--dataset`` may say.

::

    fiqa                                         explodinggradients/fiqa, its 648 test questions
    fiqa?revision=R
    FILE                                         .jsonl .json .csv .tsv .parquet
    beir:DIR?split=test                          corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv
    beir://NAME?split=test&revision=R&qrels-revision=R       BeIR/NAME and BeIR/NAME-qrels on the hub
    hf://ORG/NAME?config=C&split=test&revision=R
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote

from loralift.errors import UsageError, wrong_argument
from loralift.reading import reading

FORMS = "fiqa, a file, beir:DIR, beir://NAME or hf://ORG/NAME"


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file on this machine."""

    path: Path


@dataclass(frozen=True, slots=True)
class BeirDirectory:
    """BEIR's layout on this machine."""

    path: Path
    split: str = "test"

    @property
    def name(self) -> str:
        """As in ``--dataset``."""
        return f"beir:{self.path}"


@dataclass(frozen=True, slots=True)
class BeirHub:
    """BEIR's layout on the hub; a revision of None is the head of ``main``."""

    dataset: str
    split: str = "test"
    revision: str | None = None
    qrels_revision: str | None = None

    @property
    def name(self) -> str:
        """As in ``--dataset``."""
        return f"beir://{self.dataset}"


@dataclass(frozen=True, slots=True)
class HubDataset:
    """A data set on the hub; a revision of None is the head of ``main``.

    Attributes:
        dataset: ``ORG/NAME``.
        config: None: the only or default one.
        split: e.g. ``test``.
        revision: A commit, branch or tag.
        rows: How many rows it must have; None: any number.
        content: What ``hash_pairs`` gives of the rows that LoraLift is tested with; None: nothing is known.
    """

    dataset: str
    config: str | None = None
    split: str = "test"
    revision: str | None = None
    rows: int | None = None
    content: str | None = None

    @property
    def name(self) -> str:
        """As in ``--dataset``."""
        return f"hf://{self.dataset}"


Spec = LocalFile | BeirDirectory | BeirHub | HubDataset

FIQA = HubDataset(
    "explodinggradients/fiqa",
    config="main",
    split="test",
    rows=648,
    # The rows are pinned by their content: whatever commit the hub has now, its source says whether they are these.
    content="cae4f18ae2db4f702927c70b58a8fbba30726bcd4c568497482d0b2ad316c5f9",
)


def parse_spec(spec: str) -> Spec:
    """Read what ``--dataset`` says.

    Raises:
        UsageError: It is none of the forms, or has an option that the form does not know.
    """
    if spec == "fiqa" or spec.startswith("fiqa?"):
        options = _options(spec, spec[len("fiqa?") :], {"revision"})
        return replace(FIQA, revision=options.get("revision"))
    if spec.startswith("hf://"):
        name, _, query = spec.removeprefix("hf://").partition("?")
        _must_match(spec, name, r"[\w.-]+/[\w.-]+", "hf://ORG/NAME?config=&split=&revision=")
        options = _options(spec, query, {"config", "split", "revision"})
        return HubDataset(name, options.get("config"), options.get("split", "test"), options.get("revision"))
    if spec.startswith("beir://"):
        name, _, query = spec.removeprefix("beir://").partition("?")
        _must_match(spec, name, r"[\w.-]+", "beir://NAME?split=&revision=&qrels-revision=")
        options = _options(spec, query, {"split", "revision", "qrels-revision"})
        return BeirHub(name, **{key.replace("-", "_"): value for key, value in options.items()})
    if spec.startswith("beir:"):
        folder, _, query = spec.removeprefix("beir:").partition("?")
        _must_match(spec, folder, r".+", "beir:DIR?split=")
        return BeirDirectory(_local(folder), **_options(spec, query, {"split"}))
    if not spec or "://" in spec:
        raise UsageError(wrong_argument("--dataset", FORMS, spec))
    return LocalFile(_local(spec))


def _local(text: str) -> Path:
    with reading(f"--dataset {text}", UsageError, "write the folder in place of ~"):
        return Path(text).expanduser()


def _must_match(spec: str, name: str, pattern: str, form: str) -> None:
    if not re.fullmatch(pattern, name):
        raise UsageError(wrong_argument("--dataset", form, spec))


def _options(spec: str, query: str, known: set[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    for option in filter(None, query.split("&")):
        key, _, value = option.partition("=")
        if key not in known or key in options or not value:
            allowed = " and ".join(f"{name}=…" for name in sorted(known))
            raise UsageError(f"`--dataset` {spec}: after the ? only {allowed} may stand, each once, got {option!r}")
        options[key] = unquote(value)
    return options
