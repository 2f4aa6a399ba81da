"""How a run was made, for run.json: the fingerprint that a resume checks, versions, hardware, git commit."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from loralift.config import RunConfig
from loralift.data import dump_questions
from loralift.generation import Description
from loralift.generation.base import OF_CHATS
from loralift.records import Prompt
from loralift.version import VERSION
from loralift.workflow import base_from, files
from loralift.workflow.candidates import CANDIDATES, identities_of
from loralift.workflow.codec import plain
from loralift.workflow.datasets import DatasetRun, asked_for, dataset_config, notes_of
from loralift.workflow.prepare import Ready
from loralift.workflow.run_directory import RunDirectory
from loralift.workflow.tasks import way_of

PACKAGES = (
    *("loralift", "torch", "transformers", "peft", "accelerate", "nemo-evaluator", "sentence-transformers"),
    *("sacrebleu", "rouge-score", "numpy", "scipy"),
)


def begin_or_resume(
    ready: Ready,
    datasets: Sequence[DatasetRun],
    *,
    resume: bool,
    command: str,
    of_base: Mapping[str, Sequence[str]],
    kept: Mapping[str, Any] | None = None,
    rule: Mapping[str, Any] | None = None,
    say: Callable[[str], None],
) -> None:
    """Write dataset.jsonl and run.json of every data set, or check that existing ones are of this very run.

    What `base_from` spares is written too.

    Args:
        ready: The loaded model and the prompts.
        datasets: The parts of the run.
        resume: Whether there may be a run already.
        command: What was called.
        of_base: Part to the base's files that may come from another run.
        kept: Of a shard, what its merge must know.
        rule: When the run stops, of one that stops when it is sure.
        say: Told what is taken from there.

    Raises:
        RunDirectoryError: A resume would mix two runs, or another run's base was asked otherwise; the message names
            what differs.
    """
    model = ready.generator.describe()
    candidates = {**identities_of(ready.candidates), **({} if rule is None else {"stopping": plain(rule)})}
    made_of = {dataset.part: {**_made_of(ready, dataset, model), **candidates} for dataset in datasets}
    there = [dataset for dataset in datasets if resume and dataset.directory.run.exists()]
    for dataset in there:
        dataset.directory.refuse_another_run(made_of[dataset.part])
        if dataset.directory.dataset.exists():
            dataset.directory.read_questions()  # refuses those that are not the run's
    session = session_of(command, model.information)
    before = {dataset.part: dataset.directory.read_run() if dataset in there else {} for dataset in datasets}
    documents = {
        dataset.part: {
            **_document(ready, datasets, dataset, made_of[dataset.part], session, before[dataset.part]),
            **({} if kept is None else {"shard": {**kept, "notes": list(ready.asked[dataset.part].asking.notes)}}),
        }
        for dataset in datasets
    }
    taken = base_from.take(ready.config, datasets, documents, of_base, say)
    for dataset in datasets:
        part, directory = dataset.part, dataset.directory
        # lost files are made again: the data's hash is the same
        if not before[part] or not directory.dataset.exists():
            files.write_text(directory.dataset, dump_questions(dataset.data.questions))
        record = base_from.record_of(before[part], directory, taken.get(part))
        files.write_json(directory.run, {**documents[part], **record})
        if part in taken:
            base_from.write(directory, taken[part])


def _document(
    ready: Ready,
    datasets: Sequence[DatasetRun],
    dataset: DatasetRun,
    made_of: Mapping[str, Any],
    session: Mapping[str, Any],
    before: Mapping[str, Any],
) -> dict[str, Any]:
    """What run.json of one data set says, when a session begins."""
    config, sessions = ready.config, [*before.get("sessions", []), session]
    return {
        **session,
        # the first session's command and start time; all else is the last session's
        **{name: sessions[0][name] for name in ("command", "started")},
        "config": {**plain(config.model_dump(mode="json")), "repeats": dataset.repeats},  # 1 of a task
        "part": dataset.part,
        "also": [other.name for other in datasets if other.name] if dataset.decides else [],
        "protocol": plain(dataset.protocol),
        "protocols": [other.protocol.name for other in datasets if not other.name] if dataset.decides else [],
        "thinking": plain(replace(ready.asked[dataset.part].thinking, keep=config.thinking == "keep")),
        "fingerprint": made_of,
        "base_hash": _how_hashed(str(made_of.get("base", ""))),
        "variants": [*ready.generator.variants, *ready.candidates],
        CANDIDATES: before.get(CANDIDATES, {}),
        **({"stopping": before["stopping"]} if "stopping" in before else {}),
        "refused": dict(ready.refused),
        "data": _data_facts(config, dataset),
        # dataset.jsonl, which a resume reads, has no notes on rows that were left out
        "notes": before.get("notes", [*notes_of(dataset.data), *ready.asked[dataset.part].asking.notes]),
        "proofs": plain(ready.proofs),
        "sessions": sessions,
    }


def _how_hashed(base: str) -> str:
    """What the base's hash is of, in words."""
    if base.startswith("served:"):
        return "its name on the server, since its weights were not seen"
    if base.startswith("hub:"):
        return "the hub's commit"
    if base.startswith("sampled-"):
        return (
            "samples of its files, since they are large, and safetensors' whole headers; --full-hash reads all of them"
        )
    return "all of its files"


def session_of(command: str, information: Mapping[str, Any]) -> dict[str, Any]:
    """Facts about one session (call) of a run; a resumed run has several.

    Args:
        command: What was called.
        information: What the generator says of its device; empty where none is loaded.
    """
    return {
        "command": command,
        "started": datetime.now(UTC).isoformat(),
        "versions": versions(),
        "hardware": plain(hardware(information)),
        "git": git_revision(),
        "seconds": {},
    }


def finish(directory: RunDirectory, seconds: Mapping[str, float]) -> None:
    """Write into run.json the seconds of every stage, of this session and of all sessions together."""
    run = directory.read_run()
    *before, last = run["sessions"]
    sessions = [*before, {**last, "seconds": dict(seconds)}]
    total: Counter[str] = Counter()
    for session in sessions:
        total.update(session["seconds"])
    files.write_json(
        directory.run,
        {**run, "sessions": sessions, "seconds": dict(total), "finished": datetime.now(UTC).isoformat()},
    )


def fingerprint(
    config: RunConfig, dataset: DatasetRun, prompts: Sequence[Prompt], model: Description
) -> dict[str, Any]:
    """Everything that decides what the answers are: a resume reuses answers only if all of it is the same.

    The batch size is left out: it changes how fast the answers come, and a run that ran out of memory must be able to
    go on with a smaller one.

    Args:
        config: The run's configuration.
        dataset: The questions.
        prompts: The rendered prompts, whose token ids are hashed, and what stands between them and the references.
        model: What answers: the base, the adapters' hashes, the engine and its numerics.
    """
    digest, ahead = hashlib.sha256(), hashlib.sha256()
    for prompt in prompts:
        digest.update(f"{prompt.id}\0{','.join(map(str, prompt.token_ids))}\n".encode())
        ahead.update(json.dumps([prompt.id, prompt.ahead]).encode())
    said = dataset.protocol
    generation = {name: getattr(said, name) for name in ("max_new_tokens", "temperature", "top_p", "stop")}
    document = {
        "loralift": VERSION,
        **model.identity,
        "numerics": model.numerics,
        "data": {"sha256": dataset.data.sha256, "rows": len(dataset.data.questions)},
        "prompt": {
            "token_ids_sha256": digest.hexdigest(),
            "ahead_sha256": ahead.hexdigest(),
            "example": prompts[0].text,
        },
        "generation": {**generation, "seed": config.seed, "repeats": config.repeats},
    }
    made: dict[str, Any] = plain(document)
    return made


def _made_of(ready: Ready, dataset: DatasetRun, model: Description) -> dict[str, Any]:
    """The fingerprint of a data set, or of a task, which lm_eval asks: its prompts are in the task's identity."""
    asked = ready.asked[dataset.part]
    if not asked.asking.chat:  # whatever else is asked in the same run
        model = replace(model, numerics={key: of for key, of in model.numerics.items() if key != OF_CHATS})
    if dataset.task is None:
        return fingerprint(ready.config, dataset, asked.prompts, model)
    made: dict[str, Any] = plain(
        {
            "loralift": VERSION,
            **model.identity,
            "numerics": model.numerics,
            "data": {"sha256": dataset.data.sha256, "rows": len(dataset.data.questions)},
            "prompt": {"example": dataset.task.example, **plain(way_of(asked.asking))},
            "generation": dataset.task.identity,
        }
    )
    return made


def _data_facts(config: RunConfig, dataset: DatasetRun) -> dict[str, Any]:
    data = dataset.data
    return {
        "source": data.source,
        "selection": data.selection,
        "sha256": data.sha256,
        "columns": dict(data.columns),
        "asked": asked_for(dataset_config(config, dataset.name)),
    }


def versions() -> dict[str, str]:
    """The versions of the packages that a result depends on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def hardware(information: Mapping[str, Any]) -> dict[str, Any]:
    """The machine: processor, cores, and what the generator says of its device."""
    described: dict[str, Any] = {"system": platform.platform(), "cores": os.cpu_count() or 1}
    return described | dict(information)


def git_revision() -> str | None:
    """The commit of the working directory's repository, marked where it has changes; None outside of one.

    A repository's own configuration may name programs that look for changes (core.fsmonitor, filters), and it may have
    come in a stranger's archive: where it has filters nothing is looked for, and the commit stands alone.
    """
    commit = _git("rev-parse", "--short=12", "HEAD")
    settings = _git("config", "--list", "--name-only", "--show-scope") or ""
    if commit is None or any(line.startswith(_OWN_FILTER) for line in settings.lower().splitlines()):
        return commit
    return _git(
        "-c",
        "core.fsmonitor=false",
        "-c",
        f"core.hooksPath={os.devnull}",
        "describe",
        "--always",
        "--dirty",
        "--abbrev=12",
    )


_OWN_FILTER = tuple(f"{scope}\tfilter." for scope in ("local", "worktree"))


def _git(*arguments: str) -> str | None:
    """What git says about the working directory; None where it fails."""
    try:
        said = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, timeout=10, check=True, cwd=Path.cwd()
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return said.stdout.strip() or None
