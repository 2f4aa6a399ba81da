from __future__ import annotations

from pathlib import Path

import pytest

from loralift.config import DEFAULT_MODEL, RunConfig, flag_of, load, parse
from loralift.errors import UsageError, shown

BOTH = "`--eval-indices` and `--eval-fraction` exclude each other, got both"


def test_the_defaults_are_fiqa_and_nemotron() -> None:
    config = parse({})
    assert (config.model, config.dataset, config.primary) == (DEFAULT_MODEL, "fiqa", None)
    assert DEFAULT_MODEL == "nvidia/Llama-3.1-Nemotron-Nano-8B-v1"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"limit": -3}, "`--limit` must be an integer from 1 to 1,000,000,000, got -3"),
        ({"limit": "x"}, "`--limit` must be an integer from 1 to 1,000,000,000, got 'x'"),
        ({"batch_size": "0"}, "`--batch-size` must be auto or an integer from 1 to 100,000, got '0'"),
        ({"temperature": "nan"}, "`--temperature` must be 0 (greedy) or a number from 0.001 to 100, got 'nan'"),
        ({"stop": [""]}, "`--stop` must be a list of non-empty strings, got ''"),
        ({"margins": {"f1": "0"}}, "`--margin` must be METRIC=X with X a positive number, got '0'"),
        ({"margins": {"f1": "inf"}}, "`--margin` must be METRIC=X with X a positive number, got 'inf'"),
        ({"temperature": "inf"}, "`--temperature` must be 0 (greedy) or a number from 0.001 to 100, got 'inf'"),
        ({"adaptors": {}}, "'adaptors' is not a key of the configuration; did you mean 'adapters'?"),
        ({"zzz": 1}, "'zzz' is not a key of the configuration"),
        ({"metrics": []}, "`--metrics` must be a list of metric names, each once, got []"),
        ({"metrics": ["f1", "f1"]}, "`--metrics` names 'f1' twice; name it once"),
        ({"columns": {"id": ""}}, "`--column` must be question|reference|id=COLUMN, got 'id='"),
        ({"columns": {"name": "x"}}, "`--column` must be question|reference|id=COLUMN, got 'name=x'"),
        ({"temperature": "1e-9"}, "`--temperature` must be 0 (greedy) or a number from 0.001 to 100, got '1e-9'"),
        (
            {"eval_indices": "a", "eval_fraction": 0.1},
            BOTH,
        ),
        ({"repeats": 2}, "`--repeats` above 1 needs --temperature above 0: greedy answers are all the same"),
        ({"top_p": 0.9}, "`--top-p` below 1 needs --temperature above 0: greedy decoding does not look at it"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_argument_allowed_and_came(values: dict, message: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(values)
    assert str(error.value) == message


@pytest.mark.parametrize("stop", ["\\nQuestion:", "\\n\\n", "a\\t", "\\r\n"])
def test_an_escape_that_a_shell_left_as_it_is_never_stops_anything(stop: str) -> None:
    said = r"`--stop` must be the very characters, got .* in a shell write \$'\\[nrt]', in"
    with pytest.raises(UsageError, match=said):
        parse({"stop": ["x", stop]})


@pytest.mark.parametrize("stop", ["\n\n", "\\neq", "\\text{", "\\", "C:\\new"])
def test_a_backslash_may_stop_answers(stop: str) -> None:
    assert parse({"stop": [stop]}).stop == (stop,)


WHOLE_NUMBERS = ("limit", "batch_size", "max_new_tokens", "repeats", "noise_rows", "seed", "split_seed", "resamples")
NUMBERS = ("temperature", "top_p", "eval_fraction")


@pytest.mark.parametrize("field", [*WHOLE_NUMBERS, *NUMBERS])
@pytest.mark.parametrize(
    "value",
    [
        *(True, None, [], {}, b"1", -1, object(), float("nan"), float("inf"), 10**18, 10**400),
        *("1_000", "\u0663", "\uff11", " 5 ", "", "hot", "0x10", "9" * 5_000),
    ],
)
def test_what_is_no_sensible_number_is_none(field: str, value: object) -> None:
    if value is None and RunConfig.model_fields[field].default is None:
        return
    with pytest.raises(UsageError, match=f"^`{flag_of(field)}` must be "):
        parse({"temperature": 1.0, field: value})


@pytest.mark.parametrize("field", WHOLE_NUMBERS)
def test_a_float_is_no_whole_number(field: str) -> None:
    with pytest.raises(UsageError, match=f"^`{flag_of(field)}` must be "):
        parse({"temperature": 1.0, field: 200.0})


@pytest.mark.parametrize("field", ["model", "dataset", "primary", "device", "revision", "output_dir", "train_data"])
@pytest.mark.parametrize("value", ["", "  ", "a\0b", "a\nb", b"x", 3, True, ["x"], "x" * 5_000])
def test_what_is_no_name_is_refused(field: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"^`{flag_of(field)}` must be "):
        parse({field: value})


@pytest.mark.parametrize(
    "field", ["strict", "rouge_stemmer", "skip_refused", "chat_template", "full_hash", "trust_remote_code"]
)
@pytest.mark.parametrize("value", [1, "true", "yes", None])
def test_what_is_no_truth_value_is_refused(field: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"^`{flag_of(field)}` must be true or false"):
        parse({field: value})


@pytest.mark.parametrize("values", [None, 1, "x", ["limit"], {1: 2}, {None: 1}])
def test_a_configuration_is_a_mapping_of_texts(values: object) -> None:
    with pytest.raises(UsageError, match="`CONFIG` must be a mapping of field to value"):
        parse(values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    [
        *("report.html", "report.md", "Report.JSON", "run.json", "dataset.jsonl", "comparison.json", "x_results.json"),
        *("con", "NUL", "aux.", "com1", "lpt9.txt", ".lock", "x" * 101),
    ],
)
def test_no_name_hides_a_file_of_the_run_or_is_beyond_a_file_system(name: str) -> None:
    for field in ("adapters", "also"):
        with pytest.raises(UsageError, match="must be NAME="):
            parse({field: {name: "path"}})
    assert parse({"adapters": {"x" * 100: "path", "console": "p", "my_results.v2": "q"}})


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


LAUGHS = "a: &a [x, x, x, x, x, x, x, x]\n" + "".join(
    f"{two}: &{two} [*{one}, *{one}, *{one}, *{one}, *{one}, *{one}, *{one}, *{one}]\n"
    for one, two in zip("abcdefghi", "bcdefghij", strict=True)
)
MERGED = "a: &m0 {x: 1}\n" + "".join(f"m{n}: &m{n + 1} {{<<: [*m{n}, *m{n}]}}\n" for n in range(40))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("model: 2001-99-99", "month must be in 1..12"),
        ("limit: 010", "no plain decimal number"),
        ("limit: 1_000", "no plain decimal number"),
        ("limit: 1:30", "no plain decimal number"),
        ("limit: 0x10", "no plain decimal number"),
        ("limit: 0b11", "no plain decimal number"),
        ("temperature: 1_0.5", "no plain decimal number"),
        ("limit: " + "9" * 5_000, "more than 4,300 digits"),
        ("strict: !!bool x", "KeyError"),
        ("limit: true", "an integer from 1"),
        ("model: 2001-01-01", "a hub id"),
        ("model: !!python/name:os.system", "could not determine a constructor"),
        ("limit: 1\n---\nlimit: 2", "expected a single document"),
        ("limit:\n\t- 2", "found character"),
        ("1: 2", "a mapping of field to value"),
        ("stop: [*a]", "undefined alias"),
        ("a: " + "[" * 3_000, "nested too deeply"),
        (LAUGHS + "stop: [*j]", "`--stop` must be"),
        (LAUGHS.replace("a: &a", "limit: &a"), "`--limit` must be"),
        ("stop:\n- &a [x]\n- &b [*a]\n", "`--stop` must be"),
        (MERGED, "merges more than 10,000 keys"),
    ],
)
def test_a_yaml_that_cannot_be_read_is_one_line(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(content + "\n", encoding="utf-8")
    with pytest.raises(UsageError) as error:
        load(path, {})
    assert said in str(error.value)
    assert len(str(error.value)) < 1_000


def test_a_value_is_shown_shortly_however_much_it_is() -> None:
    laughs: list = ["x"]
    for _ in range(40):
        laughs = [laughs] * 8
    assert len(shown(laughs)) < 2_000


def test_a_yaml_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_bytes(b"\xef\xbb\xbflimit: 3\ntemperature: 1e-1\n")
    assert (load(path, {}).limit, load(path, {}).temperature) == (3, 0.1)


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


def test_a_base_is_taken_from_another_run_for_an_adapter_only() -> None:
    assert parse({"base_from": "runs/a", "adapters": {"a": "b"}}).base_from == Path("runs/a")
    with pytest.raises(UsageError, match="`--base-from` spares asking the base beside an adapter, and there is none"):
        parse({"base_from": "runs/a"})
