"""A shard of a run: which questions it asks, where its number comes from, and what it keeps for the merge.

A shard is the whole run that asks a part of its questions: data, prompts, worked examples and proofs are the run's, and
so is the fingerprint. What is of the whole is therefore made by each shard alike, and only answers are merged.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loralift import arguments
from loralift.config import RunConfig
from loralift.errors import RunDirectoryError, UsageError, some, wrong_argument
from loralift.workflow.run_directory import RunDirectory, shard_of

MOST_SHARDS = 100_000

NONE = "none"
"""Asks for the whole run, whatever the environment says."""

ALLOWED = f"I/N with I from 0 to N - 1 and N up to {MOST_SHARDS:,}, or {NONE}"

NEL = ("NEL_SHARD_IDX", "NEL_TOTAL_SHARDS")
SLURM = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_MAX")


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several equal parts of a run.

    Attributes:
        index: Which, from 0 to ``of`` - 1.
        of: How many there are.
    """

    index: int
    of: int

    def __str__(self) -> str:
        return f"{self.index}/{self.of}"

    def part[Row](self, rows: Sequence[Row]) -> Sequence[Row]:
        """Its rows: every ``of``-th, so that data that are sorted by length or subject give equal work.

        >>> Shard(1, 3).part("abcdefg")
        'be'
        """
        return rows[self.index :: self.of]


def parse_shard(text: str) -> Shard | None:
    """What `--shard` says; None: the whole run.

    Raises:
        UsageError: It is no shard.
    """
    if text == NONE:
        return None
    found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    if found is None or not int(found[1]) < int(found[2]) <= MOST_SHARDS:
        raise UsageError(wrong_argument("--shard", ALLOWED, text))
    return Shard(int(found[1]), int(found[2]))


def shard_of_environment(environment: Mapping[str, str]) -> tuple[Shard, str] | None:
    """The shard that NeMo Evaluator's launcher or a Slurm array asks for, and the variables that say so.

    Args:
        environment: The process's variables.

    Returns:
        None where they ask for none.

    Raises:
        UsageError: They ask for one, and do not say which.
    """
    if any(name in environment for name in NEL):
        index, of = (_number(environment, name, name) for name in NEL)
        if index >= of:
            raise UsageError(wrong_argument(NEL[0], f"below {NEL[1]}, which is {of}", index))
        return Shard(index, of), " and ".join(NEL)
    if SLURM[0] not in environment:
        return None
    place, count, first, last = (_number(environment, name, "Slurm's array") for name in SLURM)
    if first > 1 or last - first + 1 != count or not first <= place <= last:
        raise UsageError(
            f"a Slurm array is taken for shards if its indices are 0 to N - 1 or 1 to N, got {count} from {first} to "
            f"{last}, index {place}: give each task --shard I/N, or --shard {NONE} if the array is for something else"
        )
    return Shard(place - first, count), " and ".join(SLURM[:2])


def _number(environment: Mapping[str, str], name: str, of: str) -> int:
    value = environment.get(name)
    if value is None:
        raise UsageError(f"{of} is set and {name} is not: set both, or give --shard I/N, or --shard {NONE}")
    return arguments.whole_number(name, value, 0, MOST_SHARDS)


def refuse_unshared(config: RunConfig, shard: Shard) -> None:
    """Refuse what a shard cannot do for its part of the questions.

    Raises:
        UsageError: Something is asked for that is of the whole run.
    """
    if config.output_dir is None:
        raise UsageError("`--shard` must be given with --output-dir, a folder of its own for each shard")
    if config.tasks:
        raise UsageError(
            f"`--shard` cannot part tasks of lm-evaluation-harness ({some(config.tasks)}): evaluate them in a run "
            f"without --shard, and leave them out of shard {shard}"
        )
    if config.stop_when_sure:
        raise UsageError(
            "`--shard` and `--stop-when-sure` exclude each other: a shard knows no verdict; leave one of them out"
        )
    if config.base_from is not None:
        raise UsageError("`--shard` and `--base-from` exclude each other: a shard asks the base its part of the data")


def refuse_none_left(shard: Shard | None, rows: int) -> None:
    """Refuse more shards than there are questions that decide.

    Raises:
        UsageError: There are.
    """
    if shard is not None and shard.of > rows:
        raise UsageError(f"`--shard` must be of {rows} shards at most, as there are {rows} questions, got {shard}")


def refuse_other_tokens(shard: Shard | None, candidates: Collection[str]) -> None:
    """Refuse a shard with candidates that have another tokenizer: its merge would take perplexity to be of tokens.

    Raises:
        UsageError: There are such candidates.
    """
    if shard is not None and candidates:
        raise UsageError(
            f"`--shard` must be left out with a candidate of another tokenizer ({some(sorted(candidates))}): evaluate "
            "it in a run of its own"
        )


def refuse_another_shard(directory: RunDirectory, shard: Shard | None) -> None:
    """Make sure that a resume goes on with the very shard, or the whole run, that began in a folder.

    Raises:
        RunDirectoryError: It is another.
    """
    before, now = shard_of(directory.read_run()), str(shard) if shard else None
    if before == now:
        return
    if before is None:
        raise RunDirectoryError(
            f"{directory.root} is a whole run, and no shard {now}: give --shard {NONE}, or another --output-dir"
        )
    raise RunDirectoryError(
        f"{directory.root} is shard {before} of a run, got {f'--shard {now}' if now else 'no --shard'}: go on with "
        f"--shard {before}, or give another --output-dir"
    )


def kept_of(
    shard: Shard, model: str, numbers: Mapping[str, Mapping[str, float]], training: Sequence[str]
) -> dict[str, Any]:
    """What run.json keeps of a shard: all that a comparison needs of the model and of files that are not in the run.

    Args:
        shard: Which it is.
        model: Base and tokenizer, as perplexity's signature names them.
        numbers: Adapter to the numbers by which it may differ from the others.
        training: The texts of the training data; empty where not given.
    """
    return {
        "index": shard.index,
        "of": shard.of,
        "perplexity_of": model,
        "numbers": {name: dict(found) for name, found in numbers.items()},
        "training": hash_of(training),
    }


def hash_of(training: Sequence[str]) -> str:
    """What the training data is known by when leaks are looked for again."""
    return hashlib.sha256(json.dumps(list(training)).encode()).hexdigest()
