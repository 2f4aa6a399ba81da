"""All shards of a run become that run: what `loralift merge` does, without a model or a GPU.

Each shard holds the whole run but for the answers of the others, so a merge copies one of them, puts the answers of all
together, and scores and compares as the run does that was never parted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from loralift.config import RunConfig, parse
from loralift.config.protocols import ProtocolConfig
from loralift.data import LoadedData, read_training_texts
from loralift.errors import RunDirectoryError, UsageError, some
from loralift.records import BASE, AdapterProof, Answer, Protocol, ReferenceLikelihood
from loralift.workflow import files
from loralift.workflow.codec import decode, plain
from loralift.workflow.concluding import Known, RunResult, compare_all, report_all
from loralift.workflow.damage import REMEDY, within
from loralift.workflow.datasets import DatasetRun
from loralift.workflow.generating import AGAIN, answers_twice, asked_again
from loralift.workflow.progress import Clock, RunContext, Silent, Watcher
from loralift.workflow.provenance import session_of
from loralift.workflow.recorded import line_of, read_answers, read_records
from loralift.workflow.run_directory import LOCK, PARTS, RunDirectory
from loralift.workflow.scoring import PERPLEXITY, Scoring, rehearse, scoring_of, weights_of, with_model, with_settings
from loralift.workflow.scoring_process import Scorer
from loralift.workflow.sharding import hash_of
from loralift.workflow.uniting import Piece, asked_otherwise, pieces_of, refuse_different


@dataclass(frozen=True, slots=True)
class _File:
    """An append-only file of the merged run.

    Attributes:
        part: The part of the run whose file it is.
        variant: Whose it is.
        path: Of a variant's folder, the file.
        ids: What it must hold, in the order of the data.
        share: Which of the ids a shard asked; None: it took whole batches, which only its engine knows.
        read: Its records in one shard.
    """

    part: str
    variant: str
    path: Callable[[RunDirectory], Path]
    ids: Sequence[str]
    share: Callable[[Piece], Sequence[str]] | None
    read: Callable[[RunDirectory], Mapping[str, Answer | ReferenceLikelihood]]


def merge(
    places: Sequence[Path],
    output: Path,
    *,
    device: str | None = None,
    watcher: Watcher | None = None,
    command: str = "loralift merge",
) -> RunResult:
    """Make the run of all its shards, score it and compare.

    Args:
        places: The shards' folders, in any order.
        output: The run's folder; new or empty.
        device: Where embedding models run; None: as the shards' configuration says.
        watcher: Told what is being done; None: nobody.
        command: What was called, for run.json.

    Raises:
        RunDirectoryError: The shards are not all of one run, or not finished; or the folder is not empty.
        LoraLiftError: A metric cannot run, or the training data are not those of the shards.
    """
    watcher, clock = watcher or Silent(), Clock()
    with ExitStack() as held:
        pieces = pieces_of(places, held)
        refuse_different(pieces)
        config = _config(pieces[0], output)
        settings = config if device is None else config.model_copy(update={"device": device})
        scoring = with_model(scoring_of(settings), str(pieces[0].kept["perplexity_of"]))
        target = RunDirectory(output)
        datasets = _datasets(pieces[0], target, config)
        known = _known(pieces[0], datasets, config)
        for note in rehearse(scoring, [question for dataset in datasets for question in dataset.data.questions]):
            watcher.say(f"metrics: {note}")
        scoring = with_settings(scoring, weights=weights_of(scoring))
        with target.locked():
            _refuse_to_overwrite(target)
            with clock.stage("merge"):
                _write(pieces, datasets, config, scoring, command, watcher)
            context = RunContext(config, watcher, clock)
            with Scorer(scoring, watcher.say) as scorer:
                compare_all(context, datasets, scorer, known)
            return report_all(context, target, datasets)


def _refuse_to_overwrite(target: RunDirectory) -> None:
    if others := sorted(path.name for path in target.root.iterdir() if path.name != LOCK):
        raise RunDirectoryError(
            f"`--output-dir` must be a new or an empty folder, and {target.root} has {some(others, 3)}: give another, "
            "or remove it if it is of a merge that was killed"
        )


def _config(piece: Piece, output: Path) -> RunConfig:
    """The run's configuration, as the shards say it."""
    with within(piece.directory.run):
        said = _without_usual(piece.run["config"], RunConfig)
        if "protocols" in said:
            said["protocols"] = [_without_usual(each, ProtocolConfig) for each in said["protocols"]]
        return parse({**said, "output_dir": str(output)})


def _without_usual(values: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """What was said: of what was not, a configuration refuses some as said in vain."""
    fields = model.model_fields
    usual = {name: plain(field.get_default(call_default_factory=True)) for name, field in fields.items()}
    return {name: value for name, value in values.items() if name not in usual or value != usual[name]}


def _datasets(piece: Piece, target: RunDirectory, config: RunConfig) -> list[DatasetRun]:
    """The parts of the merged run, the one that decides first, with the data that a shard kept."""
    found = []
    for part in piece.parts:
        place = piece.of(part)
        run = place.read_run()
        with within(place.run):
            data, questions = run["data"], place.read_questions()
            loaded = LoadedData(questions, data["source"], data["selection"], data["sha256"], data["columns"])
            kind, _, name = part.partition("/")
            further, also = kind == PARTS[1], name if kind == PARTS[0] else ""
            protocol = decode(Protocol, run["protocol"])
            where = RunDirectory(target.root / part)
            found.append(DatasetRun(also, where, loaded, config.repeats, protocol, further=further))
    return found


def _known(piece: Piece, datasets: Sequence[DatasetRun], config: RunConfig) -> Known:
    """What a comparison must know besides the scores, as every shard knew it."""
    training = read_training_texts(config.train_data) if config.train_data else []
    if hash_of(training) != piece.kept["training"]:
        raise UsageError(
            f"`--train-data` of the shards was another {config.train_data} than lies there now: put back what they "
            "were run with"
        )
    with within(piece.directory.run):
        proofs = [decode(AdapterProof, proof) for proof in piece.run["proofs"]]
        notes = {dataset.part: piece.of(dataset.part).read_run()["shard"]["notes"] for dataset in datasets}
        return Known(training, proofs, notes, decode(dict[str, dict[str, float]], piece.kept["numbers"]))


def _write(
    pieces: Sequence[Piece],
    datasets: Sequence[DatasetRun],
    config: RunConfig,
    scoring: Scoring,
    command: str,
    watcher: Watcher,
) -> None:
    """Write the run as it would have been; run.json last, so that a merge that was killed is no run."""
    wanted = [file for dataset in datasets for file in _files(dataset, config, scoring)]
    rows = [_united(pieces, file) for file in wanted]  # all is read and refused before anything is written
    notes = asked_otherwise(pieces)
    for note in notes:
        watcher.say(note)
    session = {**session_of(command, {}), "merged": [str(piece.directory.root.resolve()) for piece in pieces]}
    for file, found in zip(wanted, rows, strict=True):
        watcher.say(f"{file.part or file.variant}: {len(found)} lines of {file.path(pieces[0].directory).name}")
        _write_file(pieces[0], RunDirectory(datasets[0].directory.root / file.part), file, found)
    for dataset in reversed(datasets):
        first = pieces[0].of(dataset.part)
        files.write_bytes(dataset.directory.dataset, first.dataset.read_bytes())
        files.write_json(dataset.directory.run, _document(pieces, dataset.part, session, notes, config))


def _document(
    pieces: Sequence[Piece], part: str, session: Mapping[str, Any], notes: Sequence[str], config: RunConfig
) -> dict[str, Any]:
    """What run.json says: all of the first shard, the sessions and notes of every one, and that of the merge."""
    runs = [piece.of(part).read_run() for piece in pieces]
    first = {key: value for key, value in runs[0].items() if key not in ("shard", "seconds", "finished")}
    known = dict.fromkeys([*(note for run in runs for note in run["notes"]), *notes])
    return {
        **first,
        **{name: session[name] for name in ("versions", "git")},  # with which it is scored
        "config": {**first["config"], "output_dir": str(config.output_dir)},
        "notes": list(known),
        "sessions": [*(one for run in runs for one in run["sessions"]), session],
    }


def _files(dataset: DatasetRun, config: RunConfig, scoring: Scoring) -> list[_File]:
    """The files of answers and likelihoods that a part of a finished run has."""
    questions = dataset.data.questions
    once, asked = [question.id for question in questions], [question.id for question in dataset.questions]
    again = [question.id for question in asked_again(questions, config)]

    def repeated(piece: Piece) -> list[str]:
        mine = set(piece.shard.part(range(len(once))))
        return [row for place, row in enumerate(asked) if place // dataset.repeats in mine]

    def answers(variant: str, ids: Sequence[str], share: Callable[[Piece], Sequence[str]]) -> _File:
        return _File(
            dataset.part,
            variant,
            lambda place: place.answers(variant),
            ids,
            share,
            lambda place: read_answers(place, variant, signed=True),
        )

    def references(variant: str) -> _File:
        return _File(
            dataset.part,
            variant,
            lambda place: place.references(variant),
            once,
            None,
            lambda place: read_records(place.references(variant), ReferenceLikelihood, signed=True),
        )

    variants = (BASE, *config.compared)
    found = [answers(variant, asked, repeated) for variant in variants]
    found += [references(variant) for variant in variants if PERPLEXITY in scoring.metrics]
    twice = answers_twice(config, dataset)
    return [*found, *([answers(AGAIN, again, lambda piece: piece.shard.part(again))] if twice else [])]


def _united(pieces: Sequence[Piece], file: _File) -> list[Answer | ReferenceLikelihood]:
    """The records of a file of all shards, in the order of the data.

    Raises:
        RunDirectoryError: A shard lacks some of its rows, or has rows of others.
    """
    found: dict[str, Answer | ReferenceLikelihood] = {}
    every = frozenset(file.ids)
    for piece in pieces:
        path = file.path(piece.of(file.part))
        rows = file.read(piece.of(file.part)) if path.exists() else {}
        own = every - found.keys() if file.share is None else file.share(piece)
        if file.share is not None and (missing := [row for row in own if row not in rows]):
            raise RunDirectoryError(
                f"shard {piece.shard} in {piece.directory.root} is not finished: {path} lacks {len(missing)} of "
                f"{len(own)} rows ({some(missing)}): run it again with --resume"
            )
        if strange := sorted(set(rows) - set(own)):
            raise RunDirectoryError(
                f"{path} has rows that shard {piece.shard} does not ask ({some(strange)}): {REMEDY}"
            )
        found.update(rows)
    if missing := [row for row in file.ids if row not in found]:
        where = f"{file.part}/{file.variant}".lstrip("/")
        raise RunDirectoryError(
            f"not all shards are finished: {len(missing)} of {len(file.ids)} rows of {where}/{path.name} are in none "
            f"({some(missing)}): run each of them again with --resume"
        )
    return [found[row] for row in file.ids]


def _write_file(piece: Piece, target: RunDirectory, file: _File, rows: Sequence[Answer | ReferenceLikelihood]) -> None:
    made = piece.of(file.part).made_with(file.variant)
    times = [{"id": row.id, "seconds": row.seconds} for row in rows if isinstance(row, Answer)]
    if times:
        files.write_jsonl(target.times(file.variant), (row for row in times if row["seconds"] is not None))
    files.write_jsonl(file.path(target), (line_of(row, made) for row in rows))
