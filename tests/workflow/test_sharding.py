"""Which shard a run is, and that all shards together are all rows, each once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loralift.config import RunConfig
from loralift.errors import RunDirectoryError, UsageError
from loralift.workflow import files
from loralift.workflow.run_directory import RunDirectory
from loralift.workflow.sharding import (
    Shard,
    parse_shard,
    refuse_another_shard,
    refuse_none_left,
    refuse_unshared,
    shard_of_environment,
)


@pytest.mark.parametrize("rows", [1, 7, 8, 64, 101])
@pytest.mark.parametrize("of", [1, 2, 3, 8])
def test_shards_are_all_rows_once_and_of_equal_size(rows: int, of: int) -> None:
    parts = [Shard(index, of).part(range(rows)) for index in range(of)]
    assert sorted(row for part in parts for row in part) == list(range(rows))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_what_the_flag_says() -> None:
    assert parse_shard("2/8") == Shard(2, 8)
    assert parse_shard("0/1") == Shard(0, 1)
    assert parse_shard("none") is None


@pytest.mark.parametrize(
    "text", ["", "2", "8/8", "9/8", "-1/8", "0/0", "1/2/3", "٢/٨", " 1/2", "1/ 2", "0/100001", "None"]
)
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"`--shard` must be I/N with I from 0 to N - 1"):
        parse_shard(text)


def slurm(index: object, count: object, first: object, last: object) -> dict[str, str]:
    names = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_MAX")
    return dict(zip(names, map(str, (index, count, first, last)), strict=True))


NEL = {"NEL_SHARD_IDX": "1", "NEL_TOTAL_SHARDS": "4"}


@pytest.mark.parametrize(
    ("environment", "shard", "said"),
    [
        ({}, None, ""),
        ({"SLURM_JOB_ID": "7"}, None, ""),
        (NEL, Shard(1, 4), "NEL_SHARD_IDX and NEL_TOTAL_SHARDS"),
        (slurm(2, 8, 0, 7), Shard(2, 8), "SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT"),
        (slurm(8, 8, 1, 8), Shard(7, 8), "SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT"),
        ({**slurm(2, 8, 0, 7), **NEL}, Shard(1, 4), "NEL_SHARD_IDX and NEL_TOTAL_SHARDS"),
    ],
)
def test_what_the_environment_says(environment: dict[str, str], shard: Shard | None, said: str) -> None:
    found = shard_of_environment(environment)
    assert found == (None if shard is None else (shard, said))


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"NEL_SHARD_IDX": "1"}, "NEL_TOTAL_SHARDS is not: set both, or give --shard I/N"),
        ({"NEL_TOTAL_SHARDS": "4"}, "NEL_SHARD_IDX is not"),
        ({**NEL, "NEL_SHARD_IDX": "4"}, "`NEL_SHARD_IDX` must be below NEL_TOTAL_SHARDS, which is 4, got 4"),
        ({**NEL, "NEL_SHARD_IDX": ""}, "`NEL_SHARD_IDX` must be an integer"),
        ({"SLURM_ARRAY_TASK_ID": "1"}, "SLURM_ARRAY_TASK_COUNT is not"),
        # as a real slurmctld sets them: --array=0-4:2, --array=1,3,5, one task again (--array=3), two of them again
        (slurm(2, 3, 0, 4), "indices are 0 to N - 1 or 1 to N, got 3 from 0 to 4, index 2"),
        (slurm(3, 3, 1, 5), "got 3 from 1 to 5"),
        (slurm(3, 1, 3, 3), "got 1 from 3 to 3"),
        (slurm(4, 2, 3, 4), "give each task --shard I/N, or --shard none if the array is for something else"),
    ],
)
def test_an_environment_that_does_not_say_which_is_refused(environment: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        shard_of_environment(environment)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"output_dir": None}, "a folder of its own for each shard"),
        ({"also": {"mmlu": "lm-eval:mmlu"}}, r"cannot part tasks of lm-evaluation-harness \(mmlu\)"),
        ({"base_from": Path("runs/a")}, "`--shard` and `--base-from` exclude each other"),
    ],
)
def test_what_only_a_whole_run_can_do_is_refused(more: dict[str, Any], said: str) -> None:
    config = RunConfig(adapters={"a": "a"}, **{"output_dir": Path("runs/s"), **more})
    with pytest.raises(UsageError, match=said):
        refuse_unshared(config, Shard(0, 2))


def test_more_shards_than_questions_are_refused() -> None:
    refuse_none_left(Shard(0, 3), 3)
    refuse_none_left(None, 3)
    with pytest.raises(UsageError, match="of 3 shards at most, as there are 3 questions, got 0/4"):
        refuse_none_left(Shard(0, 4), 3)


@pytest.mark.parametrize(
    ("there", "now", "said"),
    [
        ({"index": 1, "of": 3}, None, "is shard 1/3 of a run, got no --shard: go on with --shard 1/3"),
        ({"index": 1, "of": 3}, Shard(2, 3), "is shard 1/3 of a run, got --shard 2/3"),
        (None, Shard(0, 1), "is a whole run, and no shard 0/1: give --shard none, or another --output-dir"),
    ],
)
def test_a_resume_goes_on_with_the_very_shard(tmp_path: Path, there: Any, now: Shard | None, said: str) -> None:
    directory = RunDirectory(tmp_path)
    files.write_json(directory.run, {"fingerprint": {}, **({"shard": there} if there else {})})
    with pytest.raises(RunDirectoryError) as refused:
        refuse_another_shard(directory, now)
    assert said in str(refused.value)
    refuse_another_shard(directory, Shard(**there) if there else None)
