"""A base asked once: a run takes the base's answers and likelihoods of another run that asked it the very same."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loralift.config import RunConfig
from loralift.errors import RunDirectoryError, UsageError, some
from loralift.reading import read_bytes, reading
from loralift.records import BASE, Answer, ReferenceLikelihood
from loralift.workflow import files
from loralift.workflow.damage import REMEDY, whole
from loralift.workflow.datasets import DatasetRun
from loralift.workflow.generating import AGAIN, asked_again
from loralift.workflow.recorded import line_of, read_answers, read_records
from loralift.workflow.run_directory import RunDirectory, differences, refuse_shard

ANSWERS = f"{BASE}/answers.jsonl"
REFERENCES = f"{BASE}/references.jsonl"
SECOND = f"{AGAIN}/answers.jsonl"
"""What of the base a run may take from another, by its place in the folder of a part."""

WORDS = {ANSWERS: "answers", REFERENCES: "likelihoods of the references", SECOND: "second answers"}

ASKED = "leave out --base-from, and the base is asked here"


@dataclass(frozen=True, slots=True)
class Taken:
    """What one part of a run takes from another run.

    Attributes:
        rows: File, as in WORDS, to its records; answers with their times.
        sources: File to what run.json says of it: the other ``run``, what its lines say that they were ``made_with``,
            and the ``sha256`` of its bytes.
    """

    rows: Mapping[str, Sequence[Answer | ReferenceLikelihood]]
    sources: Mapping[str, Mapping[str, str]]


def refuse_no_run(config: RunConfig, directory: RunDirectory, *, resume: bool) -> None:
    """Refuse, before weights are loaded, a folder that no base can be taken from; a resume may do without it.

    Raises:
        UsageError: It is the run itself, or a part of one.
        RunDirectoryError: It is no run.
    """
    place = _place(config)
    if place is None:
        return
    if place.root == Path(os.path.realpath(directory.root)):
        raise UsageError(f"`--base-from` must be another run, got {config.base_from}, the run itself: use --resume")
    if os.path.lexists(place.root) or not resume:
        with reading(place.root, RunDirectoryError, ASKED):
            run = place.read_run()
            refuse_shard(place, run)
            part = run.get("part")
        if part:
            raise UsageError(f"`--base-from` must be a whole run, got {config.base_from}, which is the {part} of one")


def files_of_base(dataset: DatasetRun, *, perplexity: bool, again: bool) -> tuple[str, ...]:
    """Which files of the base a part of a run has when it is finished; none of a task, which lm_eval asks."""
    if dataset.task is not None:
        return ()
    return (*([REFERENCES] if perplexity else []), *([SECOND] if again else []), ANSWERS)


def take(
    config: RunConfig,
    datasets: Sequence[DatasetRun],
    documents: Mapping[str, Mapping[str, Any]],
    wanted: Mapping[str, Sequence[str]],
    say: Callable[[str], None],
) -> dict[str, Taken]:
    """Read what a run takes from another one; writes nothing.

    Args:
        config: The configuration, which names the other run.
        datasets: The parts of this run.
        documents: Part to what its run.json is going to say.
        wanted: Part to the base's files that it needs.
        say: Told what is taken, and what is asked all the same.

    Returns:
        Part to what it takes; of a run that is resumed, only what it does not have.

    Raises:
        RunDirectoryError: The other run asked its base something else, or otherwise; it is in use, damaged, or lacks
            answers. The message names what differs, with both values.
    """
    place = _place(config)
    if place is None:
        return {}
    missing = {
        dataset.part: [name for name in wanted[dataset.part] if not (dataset.directory.root / name).exists()]
        for dataset in datasets
    }
    for dataset in datasets:
        if dataset.task is not None:
            say(f"base: {dataset.name} is a task of lm-evaluation-harness, which asks it here")
    if not any(missing.values()):
        return {}
    if not place.root.exists():  # only a resume comes as far without it
        say(f"base: {place.root} is not there any more, so what is missing is asked here")
        return {}
    with place.at_rest():
        found = {
            dataset.part: _part(place, dataset, documents[dataset.part], missing[dataset.part], config, say)
            for dataset in datasets
            if missing[dataset.part]
        }
    return {part: taken for part, taken in found.items() if taken is not None}


def _place(config: RunConfig) -> RunDirectory | None:
    return None if config.base_from is None else RunDirectory(Path(os.path.realpath(config.base_from)))


def _part(
    run: RunDirectory,
    dataset: DatasetRun,
    document: Mapping[str, Any],
    wanted: Sequence[str],
    config: RunConfig,
    say: Callable[[str], None],
) -> Taken | None:
    """What one part takes, or None where the other run does not have that part."""
    place, label = RunDirectory(run.root / dataset.part), f"{dataset.label}: " if dataset.label else ""
    if dataset.part and not (place.run.exists() and place.answers(BASE).exists()):
        say(f"base: {label}{run.root} did not ask it, so it is asked here")
        return None
    before = place.read_run()
    if not before.get("sessions"):
        raise RunDirectoryError(f"{place.run} has no sessions, so nothing says where the base was asked: {REMEDY}")
    with reading(place.run, RunDirectoryError, REMEDY):
        found = [difference for asked in _all_asked(before) for difference in differences(asked, _asked(document))]
    if found:
        raise RunDirectoryError(
            f"`--base-from` must be a run that asked the base the very same, and {place.root} was made with something "
            f"else: {'; '.join(dict.fromkeys(found))}: {ASKED}"
        )
    place.read_questions()  # refuses those that are not the run's
    rows = {name: of for name in wanted if (of := _read(place, name, dataset, config)) is not None}
    names = " and ".join(WORDS[name] for name in WORDS if name in rows)
    say(f"base: {label}{names or 'nothing'} taken from {run.root}")
    if lacking := [WORDS[name] for name in wanted if name not in rows]:
        say(f"base: {label}{run.root} has no such {some(lacking)}: asked here")
    return Taken(rows, {name: _source(run, place, name) for name in rows})


def _read(
    place: RunDirectory, name: str, dataset: DatasetRun, config: RunConfig
) -> list[Answer | ReferenceLikelihood] | None:
    """The records of a file, one for each row; None where the run made none of these rows.

    Raises:
        RunDirectoryError: It is damaged, of another run, or lacks rows.
    """
    path, questions = place.root / name, dataset.data.questions
    if not path.exists() and name != ANSWERS:
        return None
    found: Mapping[str, Answer | ReferenceLikelihood]
    if name == REFERENCES:
        found = read_records(path, ReferenceLikelihood, signed=True)
    elif not path.exists():
        raise RunDirectoryError(f"`--base-from` must be a run whose base has answered, and {path} is missing: {ASKED}")
    else:
        found = read_answers(place, BASE if name == ANSWERS else AGAIN, signed=True)
    if name == SECOND:  # of another number of rows, or of a run that was killed: they were not asked in these batches
        wanted = [question.id for question in asked_again(questions, config)]
        return list(found.values()) if set(found) == set(wanted) else None
    whole(found, [question.id for question in (dataset.questions if name == ANSWERS else questions)], path)
    return list(found.values())


def _source(run: RunDirectory, place: RunDirectory, name: str) -> dict[str, str]:
    sha256 = hashlib.sha256(read_bytes(place.root / name, RunDirectoryError)).hexdigest()
    return {"run": str(run.root), "made_with": place.made_with(Path(name).parent.name), "sha256": sha256}


def _all_asked(run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """How each session of a run asked its base: nothing says which of them a row is of; a merge asked nothing."""
    asking = [session for session in run["sessions"] if "merged" not in session]
    return [_asked({**run, "hardware": session["hardware"]}) for session in asking]


def _asked(run: Mapping[str, Any]) -> dict[str, Any]:
    """Everything in run.json that decides what the base answers, and nothing of the adapters.

    More than a resume looks at: one run may go on with smaller batches or on another GPU, and its noise floor covers
    what that moves, but an adapter must not be compared with a base that was asked on another machine. A chat template
    asked by one protocol lets every answer end at its end of turn, which only the machine's ids of ends say.
    """
    machine, made = run["hardware"], _without_adapters(json.loads(json.dumps(run["fingerprint"])))
    on_cpu = made.get("numerics", {}).get("device") == "cpu"
    asked = {
        **made,
        "protocol": {key: of for key, of in (run.get("protocol") or {}).items() if key not in made["generation"]},
        "batch_size": run["config"].get("batch_size"),
        "device_name": machine.get("device_name"),
        "threads": machine.get("threads") if on_cpu else None,
        "eos_token_ids": machine.get("eos_token_ids"),
        "cuda_graphs": machine.get("cuda_graphs"),
        "thinking": {key: value for key, value in (run.get("thinking") or {}).items() if key != "keep"},
    }
    plain: dict[str, Any] = json.loads(json.dumps(asked))
    return plain


def _without_adapters(made: dict[str, Any]) -> dict[str, Any]:
    """A fingerprint without what it says of adapters and candidates."""
    made.pop("adapters", None)
    made.pop("candidates", None)
    numerics = made.get("numerics", {})
    # by adapter in transformers, where the base is computed without any; in vLLM how the engine was started
    if isinstance(numerics.get("adapters_act"), dict):
        numerics.pop("adapters_act")
    base = str(made.get("base", "")).removeprefix("served:")
    for key in ("listed", "answers_as"):  # what a server says of each model that was asked
        if isinstance(numerics.get(key), dict):
            numerics[key] = {name: one for name, one in numerics[key].items() if name == base}
    return made


def record_of(before: Mapping[str, Any], directory: RunDirectory, taken: Taken | None) -> dict[str, Any]:
    """What run.json says of the base's files that were taken, by this session or by those before it.

    Returns:
        A mapping with ``base_from``, file to its source; an empty one where nothing was taken.
    """
    said = before.get("base_from", {})
    record = {name: source for name, source in said.items() if name in WORDS and (directory.root / name).exists()}
    record |= taken.sources if taken is not None else {}
    return {"base_from": record} if record else {}


def write(directory: RunDirectory, taken: Taken) -> None:
    """Write what was taken, each file whole, as this run would have: the answers last, with this run's mark."""
    for name in (REFERENCES, SECOND, ANSWERS):
        rows = taken.rows.get(name)
        if rows is None:
            continue
        path = directory.root / name
        made = directory.made_with(path.parent.name)
        times = [{"id": row.id, "seconds": row.seconds} for row in rows if isinstance(row, Answer)]
        if name != REFERENCES:
            files.write_jsonl(directory.times(path.parent.name), (row for row in times if row["seconds"] is not None))
        files.write_jsonl(path, (line_of(row, made) for row in rows))
