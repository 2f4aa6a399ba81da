"""The files of a run directory, its lock, and the checks before a run is resumed or overwritten."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from loralift.comparison import drawn
from loralift.config.names import ADAPTER_NAME
from loralift.data import hash_questions, load_questions
from loralift.errors import ComparisonError, DataError, RunDirectoryError
from loralift.kept import chosen
from loralift.records import BASE, Prompt, Question, Stopping
from loralift.workflow import files
from loralift.workflow.codec import decode

LOCK = ".lock"

_KINDS = {
    **dict.fromkeys(
        (
            *("fingerprint", "config", "data", "hardware", "versions", "seconds", "refused", "base_from", "candidates"),
            *("shard", "stopping"),
        ),
        dict,
    ),
    **dict.fromkeys(("variants", "also", "protocols", "notes", "proofs", "sessions"), list),
}
"""What run.json's fields must be, wherever a reader relies on it."""

PARTS = ("also", "protocols")
"""The folders of a run that hold runs: of further data sets, and of protocols that do not decide."""

# The files of a run that was killed before its first answer.
LEFTOVERS = frozenset({"run.json", "dataset.jsonl", "also", "protocols"})


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """The files of one run; see `docs/run-directory.md`."""

    root: Path

    @property
    def run(self) -> Path:
        """Configuration, fingerprint, versions, seeds, hardware, hashes."""
        return self.root / "run.json"

    @property
    def dataset(self) -> Path:
        """The processed test data: id, question, reference, fields."""
        return self.root / "dataset.jsonl"

    @property
    def comparison(self) -> Path:
        """Every figure of the comparison and the verdicts."""
        return self.root / "comparison.json"

    @property
    def charts(self) -> Path:
        """The folder of the charts."""
        return self.root / "charts"

    def answers(self, variant: str) -> Path:
        """One line an answer, in the order in which they were given."""
        return self.root / variant / "answers.jsonl"

    def times(self, variant: str) -> Path:
        """One line an answer: its seconds; apart from the answers, so that equal runs have equal answers."""
        return self.root / variant / "times.jsonl"

    def references(self, variant: str) -> Path:
        """One line a reference: its log-likelihood under the variant."""
        return self.root / variant / "references.jsonl"

    def scores(self, variant: str) -> Path:
        """One line an answer: every metric's value."""
        return self.root / variant / "scores.jsonl"

    def results(self, variant: str) -> Path:
        """The variant's aggregates."""
        return self.root / f"{'baseline' if variant == BASE else variant}_results.json"

    def nemo(self, variant: str) -> Path:
        """The variant's NeMo Evaluator bundles."""
        return self.root / "nemo" / variant

    def report(self, suffix: str) -> Path:
        """The report as md, json or html."""
        return self.root / f"report.{suffix}"

    def read_run(self) -> dict[str, Any]:
        """What run.json says.

        Raises:
            RunDirectoryError: It is missing: the folder is no run.
        """
        if not self.run.is_file():
            other = "; it is a comparison, whose report is in it" if self.comparison.exists() else ""
            raise RunDirectoryError(f"{self.root} is not a run directory: it has no run.json{other}")
        content = files.read_json(self.run)
        if not isinstance(content, dict) or "fingerprint" not in content:
            raise RunDirectoryError(f"{self.run} was not written by loralift: it has no fingerprint")
        for key, kind in _KINDS.items():
            if key in content and not isinstance(content[key], kind):
                raise RunDirectoryError(
                    f"{self.run}: {key} must be a {'list' if kind is list else 'mapping'}, got {content[key]!r:.80}: "
                    "put the file back as the run wrote it"
                )
        if "shard" in content and not _is_shard(content["shard"]):
            raise RunDirectoryError(
                f"{self.run}: shard must say which of how many, got {content['shard']!r:.80}: put the file back as the "
                "run wrote it"
            )
        if not all(map(_is_session, content.get("sessions", ()))):
            raise RunDirectoryError(
                f"{self.run}: its sessions must have command, started and seconds each: put the file back as the run "
                "wrote it"
            )
        for name in (*content.get("variants", ()), *content.get("also", ()), *content.get("protocols", ())):
            if not isinstance(name, str) or ADAPTER_NAME.fullmatch(name) is None:
                raise RunDirectoryError(f"{self.run}: {name!r:.80} is no name of a variant, a data set or a protocol")
        return content

    def read_questions(self, *, unasked: bool = False) -> Sequence[Question]:
        """The questions that were asked, of dataset.jsonl, which must be as run.json says.

        Args:
            unasked: Whether those too that were not, as a run was sure before.

        Raises:
            RunDirectoryError: It is missing, damaged, or not as the run wrote it.
        """
        run = self.read_run()
        wanted = run["fingerprint"].get("data", {})
        if not self.dataset.is_file():
            raise RunDirectoryError(
                f"{self.dataset} is missing: put it back, or let `loralift run … --resume` make it again from the data"
            )
        try:
            questions = load_questions(str(self.dataset)).questions
        except DataError as error:
            raise RunDirectoryError(str(error)) from error
        if hash_questions(questions) != wanted.get("sha256"):
            raise RunDirectoryError(
                f"{self.dataset} is not as the run wrote it ({len(questions)} rows, the run had {wanted.get('rows')}): "
                "put it back, or remove it and let `loralift run … --resume` make it again from the data"
            )
        return questions if unasked else of_asked(questions, stopping_of(run))

    def made_with(self, variant: str) -> str:
        """What each line of a variant's answers says that it was made with: a digest of fingerprint and variant.

        So neither another run's answers nor another variant's can pass for these, whoever copied or renamed them.

        Raises:
            RunDirectoryError: There is no run.json, or it is damaged.
        """
        document = json.dumps([self.read_run()["fingerprint"], variant], sort_keys=True)
        return hashlib.sha256(document.encode("utf-8")).hexdigest()[:16]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder against other runs; the system releases the lock when the process ends, even if killed.

        What killed processes left of files that they were writing is removed.

        Raises:
            RunDirectoryError: Another process uses the folder, or it cannot be written.
        """
        lock = FileLock(self.root / LOCK)
        with files.disk_errors(self.root / LOCK):
            self.root.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                raise RunDirectoryError(
                    f"{self.root} is in use by another loralift: wait for it to end{self._holder()}, or give another "
                    "--output-dir"
                ) from None
        try:
            files.remove_leftovers([self.root, *self._folders()])
            yield
        finally:
            if not self.run.exists():  # no run was begun
                # while it is held: who has opened it meanwhile finds it gone when the lock is free, and makes a new one
                with suppress(OSError):  # something lies in it, perhaps another's lock since a moment
                    (self.root / LOCK).unlink(missing_ok=True)
                    self.root.rmdir()
            lock.release()

    def _holder(self) -> str:
        """What to do where a lock is a file with its holder's process and machine, as on file systems that lock none.

        Such a lock outlives a process of another machine, and nobody here can tell whether that one still runs.
        """
        try:
            process, machine, *_ = (self.root / LOCK).read_text(encoding="utf-8").split()
        except (OSError, ValueError):
            return ""
        return f" (process {process} on {machine}; if that has ended, remove {self.root / LOCK})"

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Keep other runs out of a folder that is only read; one that cannot be written is read as it is.

        Raises:
            RunDirectoryError: Another process uses the folder.
        """
        lock = FileLock(self.root / LOCK) if (self.root / LOCK).exists() else None
        try:
            if lock is not None:
                lock.acquire(timeout=0)
        except Timeout:
            raise RunDirectoryError(
                f"{self.root} is in use by another loralift: wait for it to end{self._holder()}"
            ) from None
        except OSError:  # who may not write there may not lock either
            lock = None
        try:
            yield
        finally:
            if lock is not None:
                lock.release()

    def _folders(self) -> list[Path]:
        """The folders in it, but those of runs of their own, which others may be writing."""
        own = [path for path in self.root.glob("*/") if not (path / LOCK).exists()]
        parts = [part for kind in PARTS for part in self.root.glob(f"{kind}/*/") if not (part / LOCK).exists()]
        return [*own, *parts, *(variant for part in parts for variant in part.glob("*/"))]

    def began(self) -> bool:
        """Whether a run in this folder has something to resume.

        Raises:
            RunDirectoryError: It has answers or likelihoods, but nothing that says what they were made with.
        """
        if self.run.exists():
            return True
        for name in ("answers.jsonl", "references.jsonl"):
            for found in self.root.glob(f"*/{name}"):
                raise RunDirectoryError(
                    f"{self.run} is missing, which says what {found} was made with, so that cannot be used: put "
                    "run.json back, or give another --output-dir for a new run"
                )
        return False

    def refuse_to_overwrite(self, but: Collection[str] = ()) -> None:
        """Make sure that a new run loses nothing of an old one.

        Args:
            but: Names of files that may exist.

        Raises:
            RunDirectoryError: The folder holds something else already.
        """
        allowed = {LOCK, *but}
        if self.root.exists() and (not self.root.is_dir() or any(p.name not in allowed for p in self.root.iterdir())):
            way = "add --resume to go on with the run there, or give" if self.run.exists() else "it holds no run; give"
            raise RunDirectoryError(f"{self.root} is not empty: {way} another --output-dir")

    def refuse_another_run(self, fingerprint: Mapping[str, Any]) -> None:
        """Make sure that a resume reuses answers only of the very same run.

        Raises:
            RunDirectoryError: Something differs; the message names what, and both values.
        """
        before = self.read_run()["fingerprint"]
        found = sorted(set(differences(before, fingerprint)))
        if found:
            raise RunDirectoryError(
                f"{self.root} cannot be resumed, it was made with something else: {'; '.join(found)}. "
                "Give another --output-dir for a new run"
            )


def shard_of(run: Mapping[str, Any]) -> str | None:
    """Which shard what `RunDirectory.read_run` read is of, as ``I/N``; None: it is of a whole run."""
    shard = run.get("shard")
    return f"{shard['index']}/{shard['of']}" if shard else None


def stopping_of(run: Mapping[str, Any]) -> Stopping | None:
    """How far what `RunDirectory.read_run` read was asked until it was sure; None: all at once.

    Raises:
        RunDirectoryError: It is damaged.
    """
    if run.get("stopping") is None:
        return None
    stopping = decode(Stopping, run["stopping"])
    if not 0 < stopping.rows <= stopping.of or not stopping.looks or stopping.looks[-1] != stopping.rows:
        raise RunDirectoryError(f"run.json: stopping must say how many of the rows were asked, got {stopping}")
    return stopping


def refuse_stopped(run: Mapping[str, Any], place: Path) -> None:
    """Refuse rows that were asked until a verdict was sure, where they would be judged otherwise.

    Raises:
        ComparisonError: They are such rows.
    """
    if run.get("stopping") is not None:
        raise ComparisonError(
            f"{place} is of a run with --stop-when-sure, which looked at these rows before, so no ordinary interval or "
            "test of them holds; its own report has what does: give a run without that flag"
        )


def of_asked[Row: (Question, Prompt)](rows: Sequence[Row], stopping: Stopping | None) -> Sequence[Row]:
    """Of all rows those that were asked, in their order."""
    if stopping is None:
        return rows
    asked = set(drawn((row.id for row in rows), stopping.seed)[: stopping.rows])
    return chosen(rows, [place for place, row in enumerate(rows) if row.id in asked])


def _is_shard(value: Mapping[str, Any]) -> bool:
    """Whether it says which shard of how many."""
    index, of = value.get("index"), value.get("of")
    return type(index) is int and type(of) is int and 0 <= index < of


def refuse_shard(directory: RunDirectory, run: Mapping[str, Any]) -> None:
    """Refuse a shard where a whole run is wanted.

    Raises:
        RunDirectoryError: It is one.
    """
    if (shard := shard_of(run)) is not None:
        raise RunDirectoryError(
            f"{directory.root} is shard {shard} of a run, a part of the data that has no verdict: make the run of all "
            "its shards by `loralift merge SHARD… -o RUN`"
        )


def _is_session(value: Any) -> bool:
    """Whether a resume can go on with it: a text for command and start time, a number for each stage's seconds."""
    if not isinstance(value, dict) or not isinstance(value.get("seconds"), dict):
        return False
    texts = (value.get("command"), value.get("started"))
    return all(isinstance(text, str) for text in texts) and all(
        isinstance(number, int | float) for number in value["seconds"].values()
    )


def differences(before: Any, now: Any, path: str = "") -> list[str]:
    """Where two fingerprints differ, as 'path: was A, is B'."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        keys = [*before, *(key for key in now if key not in before)]
        nested = [differences(before.get(key), now.get(key), f"{path}.{key}" if path else str(key)) for key in keys]
        return [difference for of_key in nested for difference in of_key]
    return [] if before == now else [f"{path}: was {_short(before)}, is {_short(now)}"]


def _short(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
