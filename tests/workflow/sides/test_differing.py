"""Two sides that were asked otherwise are refused, unless the user allows it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loralift.errors import ComparisonError, UsageError
from loralift.records import AllowedDifference
from loralift.workflow.compare_inputs import compare_read, read_sides
from loralift.workflow.sides.asked import FIELDS, of_run, of_sample, of_settings
from loralift.workflow.sides.side import Side
from tests.workflow.sides.test_making import CONFIG, MADE, generation, run

ALL = "prompt, stop, max_new_tokens, temperature, top_p, decoding, data"
SETTINGS = {"until": ["Q:"], "do_sample": False, "temperature": 0.0, "max_gen_toks": 64}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def log(folder: Path, prompt: str = "Q: {}?\nA:", target: str = "{}", listed: bool = False, **settings: Any) -> Path:
    """A sample log of lm-evaluation-harness, as it writes arguments today, or as lists, as it did before."""
    lines = []
    for i in range(20):
        request: list[Any] = [prompt.format(i), {**SETTINGS, **settings}]
        named = {"gen_args_0": {"arg_0": request[0], "arg_1": request[1]}}
        lines.append(
            {
                **{
                    "doc_id": i,
                    "doc": {"question": f"How many are {i}?"},
                    "target": target.format(i),
                    "filter": "none",
                },
                **{"arguments": [request] if listed else named, "resps": [[str(i)]], "filtered_resps": [str(i)]},
                **{"doc_hash": f"h{i}", "metrics": ["acc"], "acc": float(i % 3 == 0)},
            }
        )
    return write(folder / "samples_x.jsonl", lines)


def predictions(path: Path, n: int = 20, **columns: Any) -> Path:
    rows = [
        {"id": str(i), "prediction": f"{i}", "reference": f"{i}", "question": f"How many are {i}?"} for i in range(n)
    ]
    return write(path, [{**row, **columns} for row in rows])


def asked(example: str | None) -> dict[str, Any]:
    return {"prompt": {"token_ids_sha256": "q", "example": example}}


def note(sides: tuple[Side, ...]) -> str:
    return next((said for said in sides[1].notes if "asked alike" in said), "")


@pytest.mark.parametrize(
    ("settings", "field", "before", "after"),
    [
        ({"until": ["Q:", "\n"]}, "stop", '["Q:"]', '["\\n", "Q:"]'),
        ({"until": []}, "stop", '["Q:"]', "none"),
        ({"max_gen_toks": 256}, "max_new_tokens", "64", "256"),
        ({"num_beams": 4}, "decoding", "none", '{"num_beams": 4}'),
        ({"prompt": "Be brief. Q: {}?\nA:"}, "prompt", "Q: 0?\\nA:", "Be brief. Q: 0?\\nA:"),
        ({"target": "about {}"}, "data", "reference of 0: 0", "reference of 0: about 0"),
    ],
)
@pytest.mark.parametrize("listed", [False, True])
def test_logs_that_differ_are_refused_and_name_the_field_and_both_values(
    tmp_path: Path, settings: dict[str, Any], field: str, before: str, after: str, listed: bool
) -> None:
    one, other = log(tmp_path / "a"), log(tmp_path / "b", listed=listed, **settings)
    with pytest.raises(ComparisonError) as error:
        read_sides(one, other, None)
    said = str(error.value)
    assert f"{field} differs" in said
    assert f"({before} and {after})" in said
    assert f"--allow-different {field}, and the verdict says so" in said
    with pytest.raises(ComparisonError, match=f"{field} differs"):  # another permission is none for this
        read_sides(one, other, None, allow_different=[one for one in FIELDS if one != field])
    sides = read_sides(one, other, None, allow_different=[field])
    assert sides[1].allowed == (AllowedDifference(field, before, after),)
    assert compare_read(sides)[0].rows[0].n == 20


def test_logs_that_are_alike_are_compared_without_a_word(tmp_path: Path) -> None:
    sides = read_sides(log(tmp_path / "a"), log(tmp_path / "b", listed=True), None)
    assert (sides[1].allowed, sides[1].notes) == ((), ())


def test_at_temperature_0_top_p_is_of_no_effect_and_above_it_counts() -> None:
    assert of_settings({"temperature": 0, "top_p": 0.9}) == of_settings({"do_sample": False, "top_p": 0.5})
    assert of_settings({"temperature": 0.7, "top_p": 0.9}) == {"temperature": "0.7", "top_p": "0.9"}
    assert of_settings({"temperature": 1}) == of_settings({"temperature": 1.0})
    assert of_settings({}) == of_settings({"stop": None, "max_tokens": None}) == {}


def test_a_sampled_log_is_not_compared_with_a_greedy_one(tmp_path: Path) -> None:
    one, other = log(tmp_path / "a"), log(tmp_path / "b", do_sample=True, temperature=0.7, top_p=0.9)
    with pytest.raises(ComparisonError, match=r"temperature differs \(0\.0 and 0\.7\); top_p differs"):
        read_sides(one, other, None)


def test_of_a_choice_by_likelihood_nothing_is_generated() -> None:
    choices = {f"gen_args_{i}": {"arg_0": "Q: 1?", "arg_1": f" {letter}"} for i, letter in enumerate("AB")}
    known = of_sample({"arguments": choices, "prompt_hash": "p"})
    assert known["prompt:text"] == "Q: 1?"
    assert {known[name] for name in ("stop", "max_new_tokens", "temperature")} == {"nothing is generated"}
    assert of_sample({"arguments": "spoiled", "prompt_hash": 3}) == of_sample({}) == {}


@pytest.mark.parametrize(
    ("made", "config", "said"),
    [
        (generation(max_new_tokens=256), {}, "max_new_tokens differs (64 and 256)"),
        (generation(temperature=0.7, seed=3), {}, "temperature differs (0.0 and 0.7)"),
        (generation(stop=["\n"]), {}, r'stop differs (none and ["\n"])'),
        (
            {"prompt": {"token_ids_sha256": "q", "example": "Ask: how"}},
            {},
            r"prompt differs (Q: how many?\nA: and Ask: how)",
        ),
        ({"prompt": {**MADE["prompt"], "token_ids_sha256": "q"}}, {}, "prompt differs (token ids p and token ids q)"),
        (
            {"prompt": {"token_ids_sha256": "q"}},
            {"chat_template": True},
            "(chat_template false and chat_template true)",
        ),
        ({"prompt": {"token_ids_sha256": "q"}}, {"system_prompt": "Be brief."}, 'and system_prompt "Be brief.")'),
    ],
)
def test_runs_that_differ_are_refused(tmp_path: Path, made: dict, config: dict, said: str) -> None:
    sides = run(tmp_path / "a"), run(tmp_path / "b", made, config)
    with pytest.raises(ComparisonError) as error:
        read_sides(*sides, None)
    assert said in str(error.value)
    field = str(error.value).partition(" differs")[0].rpartition(" ")[2]
    before, after = read_sides(*sides, None, allow_different=[field, "top_p"])
    assert [one.field for one in after.allowed][:1] == [field]
    assert before.allowed == ()


def test_top_p_of_sampled_runs_counts(tmp_path: Path) -> None:
    one, other = (
        run(tmp_path / name, generation(temperature=1.0, top_p=top)) for name, top in (("a", 1.0), ("b", 0.9))
    )
    with pytest.raises(ComparisonError, match=r"mine: top_p differs \(1\.0 and 0\.9\): make"):
        read_sides(one, other, None)


def test_runs_on_other_data_compare_by_their_protocol(tmp_path: Path) -> None:
    """The token ids of other rows say nothing; the form of the prompt does."""
    other = {"data": {"sha256": "e", "rows": 10}, "prompt": {"token_ids_sha256": "q", "example": "Q: a part"}}
    read_sides(run(tmp_path / "a"), run(tmp_path / "b", other), None)
    document = {"fingerprint": MADE | other, "config": CONFIG}
    forms = [{"prompt": form, "system_prompt": "", "shots": 0, "thinking": False} for form in ("plain", "chat")]
    one, two = (of_run({**document, "protocol": form}) for form in forms)
    assert [key for key in one if one[key] != two[key]] == ["prompt:prompt of the protocol"]


def test_one_line_says_what_neither_side_says(tmp_path: Path) -> None:
    scores = [{"id": str(i), "acc": i % 3 / 3} for i in range(20)]
    one, other = write(tmp_path / "a.jsonl", scores), write(tmp_path / "b.jsonl", scores)
    said = f"Whether both were asked alike is not known of all. Neither side says it: {ALL}."
    assert note(read_sides(one, other, None)) == said
    warnings = compare_read(read_sides(one, other, None))[0].rows[0].warnings
    assert sum("asked alike" in warning for warning in warnings) == 1


def test_what_one_side_alone_says_is_said(tmp_path: Path) -> None:
    file = predictions(tmp_path / "a.jsonl", prompt="Q?")
    found = note(read_sides(file, log(tmp_path / "b"), ["f1"], allow_different=["prompt"]))
    assert found.endswith("Only b says it: stop, max_new_tokens, temperature, top_p, decoding.")
    assert "on 10 of 20 rows alone both say it: data" in note(
        read_sides(write(tmp_path / "s.jsonl", half_known()), predictions(tmp_path / "t.jsonl"), ["f1"])
    )
    own = note(read_sides(run(tmp_path / "run"), predictions(tmp_path / "c.jsonl", prompt="Q?"), ["f1"]))
    assert "Each says it in its own way: prompt; only mine says it: stop," in own


def half_known() -> list[dict[str, Any]]:
    return [{"id": str(i), "f1": 1.0, **({"question": f"How many are {i}?"} if i < 10 else {})} for i in range(20)]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"prompt": "Ask:"}, "prompt differs (Say: and Ask:)"),
        ({"temperature": 0.7}, "temperature differs (0.0 and 0.7)"),
        ({"stop": ["\n"]}, r'stop differs (["#"] and ["\n"])'),
        ({"max_tokens": 9}, "max_new_tokens differs (5 and 9)"),
        ({"question": "How few?"}, "data differs"),
    ],
)
def test_columns_of_files_say_how_they_were_asked(tmp_path: Path, columns: dict[str, Any], said: str) -> None:
    alike = {"prompt": "Say:", "temperature": 0, "stop": "#", "max_tokens": 5}
    one = predictions(tmp_path / "a.jsonl", **alike)
    read_sides(one, predictions(tmp_path / "same.jsonl", **alike), ["f1"])
    with pytest.raises(ComparisonError) as error:
        read_sides(one, predictions(tmp_path / "b.jsonl", **{**alike, **columns}), ["f1"])
    assert said in str(error.value)


def test_bundles_of_nel_say_how_they_were_asked(tmp_path: Path) -> None:
    folders = []
    for name, temperature, expected in (("a", 0.0, "1"), ("b", 0.5, "1"), ("c", 0.0, "2")):
        rows = [
            {
                "metadata": {"id": f"q{i}"},
                "prompt": f"Q{i}?",
                "expected_answer": expected,
                "scoring_details": {"f1": 0.5},
            }
            for i in range(12)
        ]
        folders.append(write(tmp_path / name / "results.jsonl", rows).parent)
        config = {"temperature": temperature, "max_tokens": 64}
        (folders[-1] / "eval-x.json").write_text(json.dumps({"config": config}), "utf-8")
    with pytest.raises(ComparisonError, match=r"temperature differs \(0\.0 and 0\.5\)"):
        read_sides(folders[0], folders[1], None)
    with pytest.raises(ComparisonError, match="data differs"):
        read_sides(folders[0], folders[2], None)
    assert "Neither side says it: stop, decoding" in note(read_sides(folders[0], folders[0], None))


def test_every_candidate_is_held_against_the_baseline(tmp_path: Path) -> None:
    one, two, three = log(tmp_path / "a"), log(tmp_path / "b"), log(tmp_path / "c", max_gen_toks=9)
    with pytest.raises(ComparisonError, match=r"a/.* and .*/c/.*: max_new_tokens differs \(64 and 9\)"):
        read_sides(one, two, None, further=[three])
    sides = read_sides(one, two, None, further=[three], allow_different=["max_new_tokens"])
    assert [len(side.allowed) for side in sides] == [0, 0, 1]
    assert compare_read(sides)[0].candidates == ("b", "c")


def test_what_may_differ_is_named_as_the_message_names_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"`--allow-different` must be one of {ALL}, got 'seed'"):
        read_sides(log(tmp_path / "a"), log(tmp_path / "b"), None, allow_different=["seed"])
