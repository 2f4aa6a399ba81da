"""`--shard` and `loralift merge`: the shards of a run, put together, are that run to the byte."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.chaos.runs import differences
from loralift.cli import main
from loralift.generation.transformers_engine import likelihood

SHARDS = 3


@pytest.fixture(scope="module")
def command(
    arguments: list[str], questions: Path, other_adapter: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[str]:
    """A run of two adapters, two protocols, worked examples, a further data set, leaks and a noise floor."""
    training = tmp_path_factory.mktemp("training") / "train.jsonl"
    lines = questions.read_text(encoding="utf-8").splitlines(keepends=True)
    more = [
        json.dumps({"id": f"t{n}", "question": f"Who is {name}?", "reference": f"{name} wrote it in {1900 + n}."})
        + "\n"
        for n, name in enumerate(("Ada", "Grace", "Edsger", "Barbara", "Donald", "Tony"))
    ]
    training.write_text("".join([*lines[3:6], *more]), encoding="utf-8")
    return [
        *(*arguments, "--adapter", f"other={other_adapter}", "--also", f"further={questions}"),
        *("--protocol", "training", "--protocol", "few-shot", "--num-shots", "1"),
        *("--train-data", str(training), "--noise-rows", "7"),
    ]


@pytest.fixture(scope="module")
def folder(command: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plain run, and its shards."""
    folder = tmp_path_factory.mktemp("shards")
    for name, more in [("plain", []), *((f"s{n}", ["--shard", f"{n}/{SHARDS}"]) for n in range(SHARDS))]:
        with pytest.raises(SystemExit) as done:
            main([*command, *more, "-o", str(folder / name)])
        assert not done.value.code
    return folder


def places(folder: Path) -> Sequence[Path]:
    """The shards, not in their order."""
    return [folder / f"s{n}" for n in (2, 0, 1)]


@pytest.fixture(scope="module")
def merged(folder: Path) -> Path:
    """The run of all shards."""
    with pytest.raises(SystemExit) as done:
        main(["merge", *map(str, places(folder)), "-o", str(folder / "merged")])
    assert not done.value.code
    return folder / "merged"


def test_all_shards_are_the_plain_run(folder: Path, merged: Path) -> None:
    assert differences(merged, folder / "plain") == []
    names = ("comparison.json", "protocols/few-shot/comparison.json", "also/further/comparison.json")
    assert [(merged / name).read_bytes() for name in names] == [
        (folder / "plain" / name).read_bytes() for name in names
    ]
    made = [json.loads((run / "report.json").read_text(encoding="utf-8")) for run in (merged, folder / "plain")]
    facts = [report.pop("facts") for report in made]
    assert made[0] == made[1]
    assert facts[0].pop("merged from") == " · ".join(str((folder / f"s{n}").resolve()) for n in range(SHARDS))
    assert {name for name in facts[1] if facts[0][name] != facts[1][name]} == {"began", "time"}
    # of the whole, and not of a shard alone
    whole = json.loads((merged / "comparison.json").read_text(encoding="utf-8"))
    assert {noise["n"] for noise in whole["confounds"]["noise"]} == {7}
    assert [leak["id"] for leak in whole["confounds"]["leaks"]["letters"]] == ["q3", "q4", "q5"]  # one a shard


@pytest.mark.parametrize(
    "most", [1, 4, 100], ids=["a row is a batch", "batches of rows of several shards", "one batch"]
)
def test_references_are_scored_in_the_batches_of_the_whole_run(
    arguments: list[str], cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Also what all prompts begin with, which is computed once, is that of all and not of a shard's, nor of a rest."""
    rows_that_fit = likelihood.rows_that_fit
    monkeypatch.setattr(likelihood, "rows_that_fit", lambda *given: min(rows_that_fit(*given), most))
    data = tmp_path / "data.jsonl"
    rows = [
        {
            "id": f"q{n}",
            "question": f"{('What are the', 'Are stocks or')[n % 2]} gold{' or bonds' * (n % 5)}?",
            "reference": f"gold {'rather ' * n}",
        }
        for n in range(12)
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    command = list(arguments)
    command[command.index("--dataset") + 1] = str(data)
    command[command.index("--system-prompt") + 1] = "Some say stocks are like bonds."
    for name, more in [("plain", []), ("s0", ["--shard", "0/2"]), ("s1", ["--shard", "1/2"])]:
        assert cli(*command, *more, "-o", tmp_path / name).code == 0
    assert cli("merge", tmp_path / "s0", tmp_path / "s1", "-o", tmp_path / "merged").code == 0
    assert differences(tmp_path / "merged", tmp_path / "plain") == []
    shares = [(tmp_path / name / "letters/references.jsonl").read_bytes().count(b"\n") for name in ("s0", "s1")]
    assert shares == {1: [6, 6], 4: [8, 4], 100: [12, 0]}[most]

    resumed = shutil.copytree(tmp_path / "plain", tmp_path / "resumed")
    path = resumed / "letters" / "references.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(line for line in lines if int(json.loads(line)["id"][1:]) % 2))
    assert cli(*command, "-o", resumed, "--resume").code == 0
    assert differences(resumed, tmp_path / "plain") == []


def test_a_shard_says_that_it_has_no_verdict_and_has_none(folder: Path, cli: Callable[..., Any]) -> None:
    shard = folder / "s1"
    assert not list(shard.rglob("comparison.json")) + list(shard.rglob("report.*")) + list(shard.rglob("scores.jsonl"))
    for command in (
        ("report", shard),
        ("compare", shard / "base", shard / "letters"),
        ("judge", shard, "--judge", "http://localhost:1/v1", "--judge-model", "j"),
    ):
        outcome = cli(*command)
        assert outcome.code == 2
        assert "is shard 1/3 of a run, a part of the data that has no verdict" in " ".join(outcome.err.split())
        assert outcome.out == ""


def test_a_shard_that_was_killed_goes_on(
    folder: Path, command: list[str], cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = [shutil.copytree(folder / f"s{n}", tmp_path / f"s{n}") for n in range(SHARDS)]
    answers = shards[1] / "letters" / "answers.jsonl"
    first, second, *_ = answers.read_bytes().splitlines(keepends=True)
    answers.write_bytes(first + second[:-9])
    (shards[1] / "other" / "references.jsonl").unlink()
    outcome = cli("merge", *shards, "-o", tmp_path / "run")
    assert outcome.code == 2
    assert "shard 1/3 in" in outcome.err
    assert "run it again with --resume" in " ".join(outcome.err.split())

    resumed = [*command, "-o", shards[1], "--resume"]
    outcome = cli(*resumed)
    assert outcome.code == 2
    assert "go on with --shard 1/3" in " ".join(outcome.err.split())
    monkeypatch.setenv("NEL_SHARD_IDX", "1")
    monkeypatch.setenv("NEL_TOTAL_SHARDS", str(SHARDS))
    outcome = cli(*resumed)
    assert outcome.code == 0, outcome.err
    said = "shard: 1/3 of the questions, as NEL_SHARD_IDX and NEL_TOTAL_SHARDS say; --shard none asks all of them"
    assert said in outcome.err
    assert "no verdict, as it is a part of the data; once all 3 are done: loralift merge" in outcome.out
    assert cli("merge", *shards, "-o", tmp_path / "run").code == 0
    assert differences(tmp_path / "run", folder / "plain") == []


def test_a_likelihood_in_no_shard_or_in_two_is_refused(folder: Path, cli: Callable[..., Any], tmp_path: Path) -> None:
    shards = [shutil.copytree(folder / f"s{n}", tmp_path / f"s{n}") for n in range(SHARDS)]
    paths = [shard / "other" / "references.jsonl" for shard in shards]
    whole = max(paths, key=lambda path: path.stat().st_size)
    content = whole.read_bytes()
    whole.write_bytes(content.split(b"\n", 1)[1])
    outcome = cli("merge", *shards, "-o", tmp_path / "run")
    assert outcome.code == 2
    said = " ".join(outcome.err.split())
    assert "not all shards are finished: 1 of 20 rows of other/references.jsonl are in none" in said
    assert "run each of them again with --resume" in said
    for path in paths:
        path.write_bytes(content)
    outcome = cli("merge", *shards, "-o", tmp_path / "run")
    assert outcome.code == 2
    assert "has rows that shard 1/3 does not ask" in " ".join(outcome.err.split())
    assert not (tmp_path / "run").exists()


def test_training_data_that_are_not_the_shards_are_refused(
    folder: Path, command: list[str], cli: Callable[..., Any], tmp_path: Path
) -> None:
    training = Path(command[command.index("--train-data") + 1])
    before = training.read_bytes()
    try:
        training.write_bytes(before.splitlines(keepends=True)[0])
        outcome = cli("merge", *places(folder), "-o", tmp_path / "run")
    finally:
        training.write_bytes(before)
    assert outcome.code == 2
    assert "`--train-data` of the shards was another" in outcome.err
    assert not (tmp_path / "run").exists()


def test_a_merged_run_is_a_run(
    folder: Path, merged: Path, command: list[str], cli: Callable[..., Any], tmp_path: Path
) -> None:
    run = shutil.copytree(merged, tmp_path / "run")
    outcome = cli(*command, "-o", run, "--resume")
    assert outcome.code == 0, outcome.err
    assert differences(run, folder / "plain") == []
    outcome = cli(*command, "-o", tmp_path / "other", "--base-from", folder / "s0")
    assert outcome.code == 2
    assert "is shard 0/3 of a run" in " ".join(outcome.err.split())
    assert cli(*command, "-o", tmp_path / "other", "--base-from", merged).code == 0
    assert differences(tmp_path / "other", folder / "plain") == []


def test_sampled_answers_and_their_repeats_are_those_of_the_plain_run(
    arguments: list[str], cli: Callable[..., Any], tmp_path: Path
) -> None:
    sampled = [*arguments, "--limit", "5", "--repeats", "2", "--temperature", "0.8", "--seed", "3"]
    for name, more in (("plain", []), ("s0", ["--shard", "0/2"]), ("s1", ["--shard", "1/2"])):
        assert cli(*sampled, *more, "-o", tmp_path / name).code == 0
    assert cli("merge", tmp_path / "s0", tmp_path / "s1", "-o", tmp_path / "run").code == 0
    assert differences(tmp_path / "run", tmp_path / "plain") == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--shard", "0/21", "-o", "s"], "of 20 shards at most, as there are 20 questions, got 0/21"),
        (["--shard", "0/2"], "`--shard` must be given with --output-dir"),
        (["--shard", "0/2", "--judge", "http://localhost:1/v1", "--judge-model", "j", "-o", "s"], "merge the shards"),
    ],
)
def test_what_no_shard_can_do_is_refused_before_a_model_is_loaded(
    arguments: list[str],
    cli: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    more: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = cli(*arguments, *more)
    assert outcome.code == 2
    assert said in " ".join(outcome.err.split())
    assert "model: loading" not in outcome.err
    assert not (tmp_path / "s").exists()


def test_merge_says_what_it_lacks(cli: Callable[..., Any], tmp_path: Path) -> None:
    assert "`SHARD` must be given, the folder of each shard" in cli("merge", "-o", tmp_path / "run").err
    assert "`--output-dir` must be given: the new folder of the whole run" in cli("merge", tmp_path).err
