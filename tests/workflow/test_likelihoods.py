"""Which references a shard scores: whole batches of the whole run, each in one shard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from loralift.config import RunConfig
from loralift.generation.base import Batches, OnProgress
from loralift.records import Prompt, Question, ReferenceLikelihood
from loralift.workflow import files, likelihoods
from loralift.workflow.likelihoods import score_references
from loralift.workflow.progress import Clock, RunContext, Silent
from loralift.workflow.run_directory import RunDirectory
from loralift.workflow.sharding import Shard

ROWS = 23
LONG = ("q4", "q5", "q17")
"""Rows that are too long to be scored, and so are in no batch."""


class Engine:
    """Scores in batches of a size, by all that is in the batch; refuses one that is not whole."""

    def __init__(self, size: int | None) -> None:
        self.size = size
        self.scored: list[str] = []

    def reference_batches(self, prompts: Sequence[Prompt], references: Sequence[str], separator: str) -> Batches | None:
        if self.size is None:
            return None
        ids = [prompt.id for prompt in reversed(prompts) if prompt.id not in LONG]
        return Batches(tuple(tuple(ids[first : first + self.size]) for first in range(0, len(ids), self.size)))

    def reference_likelihoods(
        self,
        variant: str,
        prompts: Sequence[Prompt],
        references: Sequence[str],
        separator: str,
        on_progress: OnProgress | None,
        batches: Batches | None = None,
    ) -> Iterator[ReferenceLikelihood]:
        texts = {prompt.id: reference for prompt, reference in zip(prompts, references, strict=True)}
        self.scored += texts
        batches = batches or self.reference_batches(prompts, references, separator)
        together = [(key,) for key in texts] if batches is None else batches.ids
        for batch in together:
            yield from (ReferenceLikelihood(key, -float(sum(map(hash, batch)) % 997), len(texts[key])) for key in batch)
        alone = texts.keys() - {key for batch in together for key in batch}
        yield from (ReferenceLikelihood(key, None, len(texts[key])) for key in alone)


def run(folder: Path, engine: Engine, shard: Shard | None = None, nowhere: Sequence[str] = ()) -> dict[str, Any]:
    """Score what is not scored in a folder; returns the likelihoods by id, in the order of the file."""
    directory = RunDirectory(folder)
    if not directory.run.exists():
        files.write_json(directory.run, {"fingerprint": {}})
    questions = tuple(Question(f"q{n}", f"What is {n}?", f"It is {n}.") for n in range(ROWS))
    prompts = tuple(Prompt(one.id, one.question, (1, 2), None if one.id in nowhere else "") for one in questions)
    dataset: Any = SimpleNamespace(directory=directory, data=SimpleNamespace(questions=questions))
    asked: Any = SimpleNamespace(prompts=prompts, asking=SimpleNamespace(separator=" "))
    context = RunContext(RunConfig(adapters={"a": "a"}), Silent(), Clock(), shard)
    score_references(context, dataset, "base", engine, asked, "", of="base")  # type: ignore[arg-type]
    return {row["id"]: row["log_likelihood"] for row in files.read_jsonl(directory.references("base"))}


@pytest.fixture(params=[10_000, 7], ids=["one part", "four parts"])
def parts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(likelihoods, "AT_ONCE", request.param)


@pytest.mark.usefixtures("parts")
@pytest.mark.parametrize("of", [1, 2, 3, 40])
@pytest.mark.parametrize("size", [None, 1, 3, 100])
def test_each_reference_is_scored_in_one_shard_as_in_the_whole_run(tmp_path: Path, size: int | None, of: int) -> None:
    whole = run(tmp_path / "whole", Engine(size))
    assert list(whole) == [f"q{n}" for n in range(ROWS)]
    assert [key for key, value in whole.items() if value is None] == ([] if size is None else list(LONG))
    engines = [Engine(size) for _ in range(of)]
    shards = [run(tmp_path / f"s{n}", engine, Shard(n, of)) for n, engine in enumerate(engines)]
    assert sum(map(len, shards)) == ROWS
    assert {key: value for shard in shards for key, value in shard.items()} == whole
    # nothing is scored for another shard, and each lies in the order of the data
    assert [sorted(engine.scored) for engine in engines] == [sorted(shard) for shard in shards]
    assert all(list(shard) == sorted(shard, key=list(whole).index) for shard in shards)
    if size != 100 and of == 3:
        assert min(map(len, shards)) >= ROWS // of - 2 * (size or 1)


@pytest.mark.usefixtures("parts")
@pytest.mark.parametrize("shard", [None, Shard(1, 2)])
def test_a_resume_scores_the_rest_of_a_batch_in_the_whole_batch(tmp_path: Path, shard: Shard | None) -> None:
    wanted = run(tmp_path / "run", Engine(3), shard)
    path = RunDirectory(tmp_path / "run").references("base")
    before = path.read_bytes()
    rows = [*files.read_jsonl(path)]
    lost = [key for key in wanted if key not in LONG][2]
    files.write_jsonl(path, [row for row in rows if row["id"] != lost])
    engine = Engine(3)
    assert run(tmp_path / "run", engine, shard) == wanted
    assert path.read_bytes() == before
    assert len(engine.scored) <= 3


@pytest.mark.usefixtures("parts")
@pytest.mark.parametrize("size", [None, 3])
def test_a_reference_whose_place_nobody_knows_has_no_likelihood_and_is_not_scored(
    tmp_path: Path, size: int | None
) -> None:
    nowhere = [f"q{n}" for n in (0, 5, *range(7, 14))]
    engine = Engine(size)
    whole = run(tmp_path / "whole", engine, nowhere=nowhere)
    assert list(whole) == [f"q{n}" for n in range(ROWS)]
    assert {key for key, value in whole.items() if value is None} == {*nowhere, *(() if size is None else LONG)}
    assert not {*engine.scored} & {*nowhere}
    shards = [run(tmp_path / f"s{n}", Engine(size), Shard(n, 2), nowhere) for n in range(2)]
    assert {key: value for shard in shards for key, value in shard.items()} == whole
    lost = RunDirectory(tmp_path / "whole").references("base")
    files.write_jsonl(lost, [row for row in files.read_jsonl(lost) if row["id"] not in ("q5", "q6")])
    assert run(tmp_path / "whole", Engine(size), nowhere=nowhere) == whole
