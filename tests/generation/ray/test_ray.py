"""Real Ray workers on a real model: the same answers as in one process, and none lost when one is killed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from loralift import generation
from loralift.config import RunConfig
from loralift.generation import GenerationSettings, Generator
from loralift.generation.ray.generator import RayGenerator
from loralift.records import Prompt
from loralift.workflow.generating import loaded_in_worker
from tests.models import PROMPTS

pytest.importorskip("ray", reason="Ray is not installed: pip install 'loralift[ray]'")
from loralift.generation.ray import load

# Ray leaves its daemons' pipes and log files to the garbage collector
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SETTINGS = GenerationSettings(max_new_tokens=24)


@dataclass
class Both:
    """The model in this process and in two workers; what the workers say; the prompts."""

    plain: Generator
    spread: RayGenerator
    prompts: list[Prompt]
    said: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def both(tiny_base: Path, tiny_adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    import ray

    stranger = tmp_path_factory.mktemp("strangers")
    (stranger / "numpy.py").write_text("raise SystemExit('a stranger ran')")
    said: list[str] = []
    base = generation.inspect_base(str(tiny_base))
    infos = generation.inspect_adapters(base, {"letters": str(tiny_adapter)})
    config = RunConfig(model=str(tiny_base), adapters={"letters": str(tiny_adapter)}, workers=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(stranger)
        spread = load.load(
            base, infos, load.Given(2, device="cpu"), partial(loaded_in_worker, config, (), 0), said.append
        )
    plain = generation.load_transformers(str(tiny_base), {"letters": str(tiny_adapter)}, device="cpu")
    texts = [f"{prompt}{' Ask a banker!' * n}" for prompt in PROMPTS for n in range(4)]
    prompts = [
        Prompt(f"q{n}", text, ids) for n, (text, ids) in enumerate(zip(texts, plain.encode(texts, True), strict=True))
    ]
    yield Both(plain, spread, prompts, said)
    del spread
    ray.shutdown()


def by_id(records: Sequence[Any]) -> dict[str, Any]:
    """Without times; each id must be there once."""
    found = {one.id: (one.text, one.finish_reason, one.output_tokens) for one in records}
    assert len(found) == len(records)
    return found


@pytest.mark.parametrize("settings", [SETTINGS, GenerationSettings(max_new_tokens=12, temperature=1.0, seed=3)])
@pytest.mark.parametrize("variant", ["base", "letters"])
def test_the_answers_are_those_of_one_process(both: Both, variant: str, settings: GenerationSettings) -> None:
    ours, theirs = (by_id(list(one.generate(variant, both.prompts, settings))) for one in (both.spread, both.plain))
    assert ours == theirs
    assert len(set(ours.values())) > 5


def test_the_likelihoods_are_those_of_one_process(both: Both) -> None:
    references = [f"{n} are {n} letters." for n in range(len(both.prompts))]
    ours, theirs = (
        sorted(one.reference_likelihoods("letters", both.prompts, references, " "), key=lambda found: found.id)
        for one in (both.spread, both.plain)
    )
    assert ours == theirs


def test_the_description_is_that_of_one_process(both: Both) -> None:
    ours, theirs = both.spread.describe(), both.plain.describe()
    assert (ours.identity, ours.numerics, both.spread.notes) == (theirs.identity, theirs.numerics, both.plain.notes)
    assert ours.information["workers"] == 2
    assert both.spread.encode(["What?"], True) == both.plain.encode(["What?"], True)
    ours, theirs = (generation.prove(one, both.prompts) for one in (both.spread, both.plain))
    assert ours == theirs


def test_a_killed_worker_loses_and_repeats_nothing(both: Both) -> None:
    theirs = by_id(list(both.plain.generate("base", both.prompts, SETTINGS)))
    workers = [one for one in psutil.Process().children(recursive=True) if "ray::Worker" in one.name()]
    assert len(workers) == 2
    found = []
    for answer in both.spread.generate("base", both.prompts, SETTINGS):
        if not found:
            workers[0].kill()
        found.append(answer)
    assert by_id(found) == theirs
    # whether it had answered all before is chance; the next call cannot do without it
    assert by_id(list(both.spread.generate("base", both.prompts, SETTINGS))) == theirs
    died = [line for line in both.said if "died" in line]
    assert len(died) == 1
    assert died[0].endswith("it is started again")
