"""A run is resumed by the very same run alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loralift.config import parse
from loralift.data import LoadedData, hash_questions
from loralift.errors import RunDirectoryError
from loralift.generation import Description
from loralift.records import Prompt, Question
from loralift.workflow import files
from loralift.workflow.asking import protocols_of
from loralift.workflow.datasets import DatasetRun
from loralift.workflow.provenance import fingerprint
from loralift.workflow.run_directory import RunDirectory
from tests.properties.given import names, questions, said

configs = st.fixed_dictionaries(
    {
        "max_new_tokens": st.integers(1, 512),
        "temperature": st.floats(0.125, 2),
        "top_p": st.floats(0.125, 1),
        "seed": st.integers(0, 1000),
        "repeats": st.integers(1, 5),
        "stop": st.lists(said, max_size=3, unique=True),
    }
)
identities = st.fixed_dictionaries({"base": names, "adapters": st.dictionaries(names, names, max_size=3)})
numerics = st.dictionaries(names, said, min_size=1, max_size=3)


def taken(config: dict[str, Any], asked: list[Question], identity: dict[str, Any], how: dict[str, Any]) -> Any:
    data = LoadedData(tuple(asked), "here", "all", hash_questions(asked), {})
    settings = parse(config)
    dataset = DatasetRun("", RunDirectory(Path()), data, 1, protocols_of(settings)[0])
    prompts = [Prompt(one.id, one.question, tuple(one.question.encode())) for one in asked]
    return fingerprint(settings, dataset, prompts, Description(identity=identity, numerics=how, information={}))


def turned(value: Any) -> Any:
    """The same, with the keys of every map in another order."""
    return {key: turned(inside) for key, inside in reversed(value.items())} if isinstance(value, dict) else value


@given(configs, questions(), identities, numerics)
def test_the_same_run_has_the_same_whatever_the_order_of_keys(
    config: dict[str, Any], asked: list[Question], identity: dict[str, Any], how: dict[str, Any]
) -> None:
    assert taken(config, asked, identity, how) == taken(turned(config), asked, turned(identity), turned(how))


@given(configs, configs, questions(), identities, numerics, st.data())
def test_any_change_of_a_setting_changes_it(
    config: dict[str, Any],
    other: dict[str, Any],
    asked: list[Question],
    identity: dict[str, Any],
    how: dict[str, Any],
    data: st.DataObject,
) -> None:
    name = data.draw(st.sampled_from(sorted(config)))
    changed = taken({**config, name: other[name]}, asked, identity, how)
    assert (changed == taken(config, asked, identity, how)) == (config[name] == other[name])


@given(configs, questions(), identities, numerics, st.data())
def test_any_change_of_data_model_or_prompt_changes_it(
    config: dict[str, Any], asked: list[Question], identity: dict[str, Any], how: dict[str, Any], data: st.DataObject
) -> None:
    before = taken(config, asked, identity, how)
    longer = replace(asked[-1], question=asked[-1].question + data.draw(said))
    assert taken(config, [*asked[:-1], longer], identity, how) != before
    assert taken(config, asked, {**identity, "base": identity["base"] + "x"}, how) != before
    assert taken(config, asked, {**identity, "adapters": {**identity["adapters"], "new adapter": "x"}}, how) != before
    assert taken(config, asked, identity, {**how, "further": "x"}) != before


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@given(configs, configs, questions(), identities, numerics)
def test_a_run_is_resumed_by_the_same_alone(
    root: Path,
    config: dict[str, Any],
    other: dict[str, Any],
    asked: list[Question],
    identity: dict[str, Any],
    how: dict[str, Any],
) -> None:
    directory = RunDirectory(root)
    mine, its = (taken(each, asked, identity, how) for each in (config, other))
    files.write_json(directory.run, {"fingerprint": mine})
    directory.refuse_another_run(mine)
    if mine != its:
        with pytest.raises(RunDirectoryError, match="cannot be resumed"):
            directory.refuse_another_run(its)
