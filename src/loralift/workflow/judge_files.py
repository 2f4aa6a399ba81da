"""The files of a run's judges: who each is, what it was told, and every reply of it as it came."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loralift.errors import RunDirectoryError
from loralift.judge import Endpoint, Reply, Request, Rubric, read_verdict
from loralift.version import VERSION
from loralift.workflow import files
from loralift.workflow.codec import decode, plain
from loralift.workflow.damage import within
from loralift.workflow.run_directory import RunDirectory

FOLDER = "judge"

REMEDY = "put it back, or remove the folder and ask the judge again with loralift judge"


@dataclass(frozen=True, slots=True)
class JudgeFolder:
    """The folder of one judge."""

    root: Path

    @property
    def about(self) -> Path:
        """Who it is and how many questions it is asked."""
        return self.root / "judge.json"

    @property
    def rubric(self) -> Path:
        """What it is told."""
        return self.root / "rubric.txt"

    @property
    def replies(self) -> Path:
        """One line a reply, as they came."""
        return self.root / "replies.jsonl"


@dataclass(frozen=True, slots=True)
class KnownJudge:
    """A judge as its folder knows it.

    Attributes:
        folder: Its folder.
        endpoint: Who is asked; without a key where it was read from the disk.
        rubric: What it is told.
        questions: How many questions it is asked at most.
    """

    folder: JudgeFolder
    endpoint: Endpoint
    rubric: Rubric
    questions: int

    @property
    def digest(self) -> str:
        """What its replies are filed by."""
        return self.endpoint.digest(self.rubric.sha256)

    @property
    def name(self) -> str:
        """The folder's name: the model's, and eight digits of the digest."""
        return self.folder.root.name


def new_judge(directory: RunDirectory, endpoint: Endpoint, rubric: Rubric, questions: int) -> KnownJudge:
    """The judge that is to be asked; the same one as before has the same folder."""
    plain_name = re.sub(r"[^A-Za-z0-9._-]+", "-", endpoint.model).strip("-._")[-60:].strip("-._") or "judge"
    name = f"{plain_name}-{endpoint.digest(rubric.sha256)[:8]}"
    return KnownJudge(JudgeFolder(directory.root / FOLDER / name), endpoint, rubric, questions)


def write_judge(judge: KnownJudge) -> None:
    """Write who it is and what it is told, before anything is asked."""
    files.write_text(judge.folder.rubric, judge.rubric.text)
    about = {**judge.endpoint.identity, "rubric_sha256": judge.rubric.sha256, "questions": judge.questions}
    files.write_json(judge.folder.about, {**about, "loralift": VERSION})


def known_judges(directory: RunDirectory) -> list[KnownJudge]:
    """The judges of a run, in the order of their names.

    Raises:
        RunDirectoryError: A file of one is missing or damaged.
    """
    found = sorted(path.parent for path in (directory.root / FOLDER).glob("*/judge.json"))
    return [_read_judge(JudgeFolder(folder)) for folder in found]


@dataclass(frozen=True, slots=True)
class _About:
    url: str
    model: str
    options: Mapping[str, Any]
    rubric_sha256: str
    questions: int
    loralift: str


def _read_judge(folder: JudgeFolder) -> KnownJudge:
    with within(folder.about, REMEDY):
        about = decode(_About, files.read_json(folder.about))
    # not by `read_text`, which leaves out a byte order mark: the hash is of what was sent
    with within(folder.rubric, REMEDY):
        rubric = Rubric(folder.rubric.read_bytes().decode("utf-8"))
    judge = KnownJudge(folder, Endpoint(about.url, model=about.model, options=about.options), rubric, about.questions)
    if rubric.sha256 != about.rubric_sha256:
        raise RunDirectoryError(f"{folder.rubric} is not what {folder.about.name} says the judge was told: {REMEDY}")
    return judge


@dataclass(frozen=True, slots=True)
class _Line:
    key: str
    reply: Reply


def read_replies(judge: KnownJudge) -> dict[str, Reply]:
    """Key to reply, of all that is there; a last line that a killed process left incomplete is none.

    Raises:
        RunDirectoryError: A line is damaged; it names the line.
    """
    place, found = judge.folder.replies, dict[str, Reply]()
    if not place.exists():
        return found
    for row in files.read_jsonl(place, torn=True):
        with within(place, REMEDY):
            line = decode(_Line, {name: row.get(name) for name in ("key", "reply")})
        found.setdefault(line.key, line.reply)
    return found


@contextmanager
def recording(judge: KnownJudge) -> Iterator[Any]:
    """A function of a request and its reply that adds a line to the file, on the system's side before it returns."""
    with files.appending(judge.folder.replies) as file:

        def record(request: Request, reply: Reply) -> None:
            files.append_line(file, _line(request, reply), sync=False)

        yield record


def _line(request: Request, reply: Reply) -> dict[str, Any]:
    contest = request.contest
    verdict, why = read_verdict(reply)
    return {
        "key": request.key,
        "about": contest.about,
        "id": contest.id,
        "one_first": request.one_first,
        "one": _hash(contest.one),
        "other": _hash(contest.other),
        "verdict": verdict,
        **({"why": why} if why else {}),
        "reply": plain(reply),
    }


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:16]
