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


@pytest.mark.parametrize("name", ["base", "Baseline", "nemo", "charts", "a/b", "..", "", "-x"])
def test_an_adapters_name_must_be_usable_as_a_folder(name: str) -> None:
    with pytest.raises(UsageError, match=r"^`--adapter` must be NAME=PATH"):
        parse({"adapters": {name: "path"}})


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
