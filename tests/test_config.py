from __future__ import annotations

from pathlib import Path

import pytest

from loralift.config import DEFAULT_MODEL, RunConfig, flag_of, load, parse
from loralift.errors import UsageError


def test_the_defaults_are_fiqa_and_nemotron() -> None:
    config = parse({})
    assert (config.model, config.dataset, config.primary) == (DEFAULT_MODEL, "fiqa", None)
    assert DEFAULT_MODEL == "nvidia/Llama-3.1-Nemotron-Nano-8B-v1"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"limit": -3}, "`--limit` must be a positive integer, got -3"),
        ({"limit": "x"}, "`--limit` must be a positive integer, got 'x'"),
        ({"batch_size": "0"}, "`--batch-size` must be auto or a positive integer, got '0'"),
        ({"temperature": "nan"}, "`--temperature` must be a non-negative number (0 is greedy), got 'nan'"),
        ({"stop": [""]}, "`--stop` must be a list of non-empty strings, got ''"),
        ({"margins": {"f1": "0"}}, "`--margin` must be METRIC=X with X a positive number, got '0'"),
        ({"margins": {"f1": "inf"}}, "`--margin` must be METRIC=X with X a positive number, got 'inf'"),
        ({"temperature": "inf"}, "`--temperature` must be a non-negative number (0 is greedy), got 'inf'"),
        ({"adaptors": {}}, "'adaptors' is not a key of the configuration; did you mean 'adapters'?"),
        ({"zzz": 1}, "'zzz' is not a key of the configuration"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_argument_allowed_and_came(values: dict, message: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(values)
    assert str(error.value) == message


@pytest.mark.parametrize("name", ["base", "Baseline", "nemo", "charts", "a/b", "..", "", "-x", "base.", "Nemo.."])
def test_an_adapters_name_must_be_usable_as_a_folder(name: str) -> None:
    with pytest.raises(UsageError, match=r"^`--adapter` must be NAME=PATH"):
        parse({"adapters": {name: "path"}})


@pytest.mark.parametrize(("field", "flag"), [("adapters", "--adapter"), ("also", "--also")])
@pytest.mark.parametrize(("first", "second"), [("Mine", "mine"), ("v1.A", "V1.a"), ("v1", "V1."), ("v1.", "v1")])
def test_names_that_share_a_folder_on_other_systems_are_refused(field: str, flag: str, first: str, second: str) -> None:
    with pytest.raises(UsageError) as error:
        parse({field: {"other": "x", first: "a", second: "b"}})
    assert str(error.value) == (
        f"`{flag}` must name each differently, got {first!r} and {second!r}, which would share a folder on macOS and "
        "Windows: rename one, as NAME=PATH"
    )


def test_such_names_are_refused_from_a_file_and_from_both(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("adapters: {Mine: a, mine: b}\n", encoding="utf-8")
    with pytest.raises(UsageError, match="got 'Mine' and 'mine'"):
        load(path, {})
    assert load(path, {"adapters": {"mine": "c"}}).adapters == {"mine": "c"}


@pytest.mark.parametrize(
    "content",
    ["adapters: {mine: a, mine: b}", "limit: 3\nlimit: 5", "margins:\n  f1: 1\n  f1: 2", "also: {a: x, 'a': y}"],
)
def test_a_key_that_is_there_twice_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(content + "\n", encoding="utf-8")
    with pytest.raises(
        UsageError, match=r"^`CONFIG` must be a readable YAML file, got '.*': '.*' is there twice in "
    ) as error:
        load(path, {})
    assert "\n" not in str(error.value)


def test_an_anchor_may_be_overridden(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("adapters: &all {a: x, b: y}\nalso: {<<: *all, b: z}\n", encoding="utf-8")
    assert load(path, {}).also == {"a": "x", "b": "z"}


def test_texts_are_read_as_numbers_where_numbers_are_wanted() -> None:
    config = parse({"limit": "5", "batch_size": "8", "temperature": "0.5"})
    assert (config.limit, config.batch_size, config.temperature) == (5, 8, 0.5)
    assert parse({"batch_size": "auto"}).batch_size == "auto"


def test_a_flag_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("limit: 7\nseed: 3\nadapters: {mine: ./lora}\n", encoding="utf-8")
    config = load(path, {"limit": "9"})
    assert (config.limit, config.seed, config.adapters, config.max_new_tokens) == (9, 3, {"mine": "./lora"}, 256)


@pytest.mark.parametrize("content", ["- a list", "just text", "a: [unclosed", ""])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match="`CONFIG` must be a"):
        load(path, {})


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing\.yaml"):
        load(tmp_path / "nothing.yaml", {})


def test_every_field_says_what_it_is_and_what_is_allowed() -> None:
    assert all(field.title and field.description for field in RunConfig.model_fields.values())
    assert flag_of("max_new_tokens") == "--max-new-tokens"
    assert flag_of("adapters") == "--adapter"
