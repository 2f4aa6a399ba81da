"""Logs that Inspect 0.3.285 wrote; README.md says how."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from loralift.errors import ComparisonError, LoraLiftError, MissingExtraError, UsageError
from loralift.workflow.compare_inputs import Asked, compare_sides
from loralift.workflow.sides.reading import read_side

HERE = Path(__file__).parent
BASE, MINE, ERRORS = (HERE / "inspect" / name for name in ("base.eval", "mine.eval", "errors.eval"))
AS_JSON, LM_EVAL = HERE / "inspect" / "base.json", HERE / "lm_eval"


def changed(tmp_path: Path, change: Any) -> Path:
    document = json.loads(AS_JSON.read_text(encoding="utf-8"))
    change(document)
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(document, indent=1), encoding="utf-8")
    return path


def test_values_are_those_that_inspect_printed() -> None:
    """It printed a mean of 0.25 of both scorers for the one model, and 11 of 12 for the other."""
    base, mine = read_side(BASE, None), read_side(MINE, None)
    for name in ("exact", "f1"):
        assert sum(score.values[name] or 0 for score in base.scores) / 12 == 0.25
        assert sum(score.values[name] or 0 for score in mine.scores) / 12 == pytest.approx(11 / 12)
    assert (base.name, base.kind, base.notes) == ("toy/base", "a log of Inspect 0.3.285", ())
    assert [score.id for score in base.scores] == [f"q{n:02}" for n in range(1, 13)]
    # letters have a direction, since the log says what they mean; "exact" alone says none
    assert (base.metrics["exact"].higher_is_better, base.metrics["exact"].high) == (True, 1.0)


def test_both_formats_are_the_same_log() -> None:
    packed, plain = read_side(BASE, None), read_side(AS_JSON, None)
    assert (packed.scores, packed.documents, packed.metrics) == (plain.scores, plain.documents, plain.metrics)
    # of more than 100 characters, which Inspect may put apart
    assert packed.documents["q08"]["prompt:text"].startswith("What do bees make? It is sweet, yellow")


@pytest.mark.parametrize("of", ["exact", "texts"])
def test_the_verdict_is_that_of_lm_eval_on_the_same_rows(of: str) -> None:
    asked = ([["exact"], ["exact_match"]] if of == "exact" else [["rougeL"]] * 2)[0:2]
    one, _ = compare_sides(BASE, MINE, asked[0])
    two, _ = compare_sides(LM_EVAL / "base.jsonl", LM_EVAL / "mine.jsonl", asked[1])
    (ours,), (theirs,) = one.rows, two.rows
    assert list(one.verdicts.values()) == list(two.verdicts.values()) == ["better"]
    assert (ours.n, ours.difference, ours.p_adjusted) == (theirs.n, theirs.difference, theirs.p_adjusted)
    assert (ours.n, ours.difference) == (12, pytest.approx(8 / 12))


def test_a_log_of_inspect_and_one_of_lm_eval_are_paired_and_asked_alike() -> None:
    comparison, _ = compare_sides(BASE, LM_EVAL / "mine.jsonl", ["rougeL"])
    (row,) = comparison.rows
    assert (row.n, list(comparison.verdicts.values())) == (12, ["better"])


def test_epochs_are_averaged_and_what_ended_in_an_error_has_no_score() -> None:
    side = read_side(ERRORS, None)
    assert [score.id for score in side.scores] == ["q07#0", "q08#0", "q09#0", "q07#1", "q08#1", "q09#1"]
    lost = [score for score in side.scores if score.id.startswith("q08")]
    assert all(score.values == {"exact": None, "f1": None} for score in lost)
    assert lost[0].unscored["exact"] == "it ended in an error"
    assert side.notes == (
        "2 of 6 rows of errors.eval ended in an error and have no score (q08#0, q08#1): RuntimeError('the endpoint "
        "went away')",
    )
    assert side.repeated


def test_another_solver_or_stop_string_is_another_question(tmp_path: Path) -> None:
    def other(document: Any) -> None:
        document["plan"]["steps"][0]["params"] = {"tool_calls": "none"}
        for sample in document["samples"]:
            for event in sample["events"]:
                if event["event"] == "model":
                    event["config"]["stop_seqs"] = ["END"]

    with pytest.raises(ComparisonError, match=r"prompt differs .*; stop differs .*\[\"\\n\"\] and \[\"END\"\]"):
        compare_sides(MINE, changed(tmp_path, other))


def graders(tmp_path: Path, roles: object, *scorers: dict[str, Any]) -> list[str]:
    """The signatures of a log whose two scorers are these."""

    def other(document: Any) -> None:
        document["eval"] |= {"model_roles": roles, "scorers": list(scorers)}
        for sample in document["samples"]:
            one, two = sample["scores"].values()
            sample["scores"] = {"model_graded_qa": one, "model_graded_qa1": two}
        document["results"] = {"scores": []}

    side = read_side(changed(tmp_path, other), None)
    return [info.signature.removeprefix("tool:inspect_ai|version:0.3.285|") for info in side.metrics.values()]


def test_the_models_that_judge_stand_in_the_signature(tmp_path: Path) -> None:
    """As `model_roles` and `scorers` of an `EvalSpec` have them; what only reaches a model does not count."""
    grader = {"model": "openai/gpt-4o", "config": {}, "base_url": "http://there", "args": {"key": "secret"}}
    plain = {"name": "model_graded_qa", "options": {}}
    mini = {"name": "model_graded_qa", "options": {"model": "openai/gpt-4.1-mini"}}
    assert graders(tmp_path, {"grader": grader}, plain, mini) == [
        'roles:{"grader": ["openai/gpt-4o"]}',
        '{"model": "openai/gpt-4.1-mini"}|roles:{"grader": ["openai/gpt-4o"]}',
    ]
    hot = {**grader, "config": {"temperature": 1.0, "max_retries": 3, "top_p": None}}
    assert (
        graders(tmp_path, {"grader": [grader, hot]}, plain, plain)
        == ['roles:{"grader": ["openai/gpt-4o", {"model": "openai/gpt-4o", "temperature": 1.0}]}'] * 2
    )
    own = "graded by the evaluated model, toy/base"
    other = {"name": "model_graded_qa", "options": {"model_role": {"name": "critic", "required": False}}}
    assert graders(tmp_path, None, plain, mini) == [own, '{"model": "openai/gpt-4.1-mini"}']
    assert graders(tmp_path, {"grader": grader}, other, plain)[0].endswith(own)


def test_another_grader_is_told(tmp_path: Path) -> None:
    path = changed(tmp_path, lambda document: document["eval"].update(model_roles={"grader": {"model": "openai/o3"}}))
    comparison, _ = compare_sides(MINE, path)
    assert all(any("made it differently" in warning for warning in row.warnings) for row in comparison.rows)
    comparison, _ = compare_sides(MINE, BASE)
    assert not any("made it differently" in warning for row in comparison.rows for warning in row.warnings)


def test_what_the_letters_do_not_say_is_left_out_or_refused(tmp_path: Path) -> None:
    def other(document: Any) -> None:
        for number, sample in enumerate(document["samples"]):
            value = {"a": number / 12, "b": "P" if number else "N"}
            sample["scores"] |= {"words": {"value": "high"}, "two": {"value": value}, "none": {"value": float("nan")}}

    side = read_side(changed(tmp_path, other), None)
    assert list(side.metrics) == ["exact", "f1", "two/a", "two/b", "none"]
    assert side.scores[6].values | {} == {"exact": 0.0, "f1": 0.0, "two/a": 0.5, "two/b": 0.5, "none": None}
    assert side.metrics["two/a"].higher_is_better is None
    assert side.notes == ("changed.json: words left out, for its values are neither numbers nor C, P, I, N.",)


def mixed(document: Any) -> None:
    document["samples"][3]["scores"]["exact"]["value"] = 0.7


def unended(document: Any) -> None:
    document["status"] = "cancelled"
    document["samples"] = document["samples"][:4]


def test_a_name_that_one_side_alone_gives_a_direction_has_none(tmp_path: Path) -> None:
    """Of a column "exact" in a file of scores nobody knows whether it is the letters that Inspect calls so."""
    rows = [{"id": f"q{n:02}", "exact": n / 12, "f1": n / 12} for n in range(1, 13)]
    path = tmp_path / "scores.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    for sides in ((BASE, path), (path, BASE)):
        with pytest.raises(UsageError, match="whether more or less of exact is better is not known"):
            compare_sides(*sides, None, Asked(primary="exact"))
        comparison, _ = compare_sides(*sides)
        assert comparison.primary == "f1"


def test_a_log_that_did_not_end_or_says_another_mean_says_so(tmp_path: Path) -> None:
    side = read_side(changed(tmp_path, unended), None)
    assert side.notes[0] == "changed.json: the evaluation ended as cancelled, and holds 4 samples of 12."
    assert len(side.scores) == 4
    other = changed(tmp_path, lambda document: document["samples"][1]["scores"]["f1"].update(value=0.0))
    assert read_side(other, None).notes == ("changed.json: its own mean of f1 is 0.25, not 0.1667.",)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (mixed, r"sample q04: exact must be one of C, P, I, N, as in other samples"),
        (lambda document: document["samples"][2].pop("epoch"), r"sample q03: must have epoch \(an integer\), got None"),
        (lambda document: document["samples"][2].pop("id"), "sample 3: must have an id"),
        (lambda document: document["samples"].clear(), "holds no sample"),
        (lambda document: document.pop("samples"), "holds no sample"),
        (lambda document: document["samples"][1]["scores"].update(exact=1), "sample q02: must have exact"),
        (lambda document: document["samples"].append(document["samples"][0]), "the id q01 is there more than once"),
        (lambda d: d["samples"][0].update(input="attachment://gone"), "sample q01, attachments: must have gone"),
    ],
)
def test_a_spoiled_log_is_refused_in_one_line(change: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(LoraLiftError, match=said) as error:
        read_side(changed(tmp_path, change), None)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kept", [20, 9_000, -30])
def test_a_torn_file_is_refused(kept: int, tmp_path: Path) -> None:
    for name, content in (("torn.eval", BASE.read_bytes()), ("torn.json", AS_JSON.read_bytes())):
        (tmp_path / name).write_bytes(content[:kept])
        with pytest.raises(LoraLiftError, match=f"cannot read .*{name}"):
            read_side(tmp_path / name, None)


def test_a_changed_byte_is_found(tmp_path: Path) -> None:
    content = bytearray(BASE.read_bytes())
    with zipfile.ZipFile(BASE) as packed:
        header = packed.getinfo("samples/q03_epoch_1.json")
    content[header.header_offset + 400] ^= 255
    (tmp_path / "changed.eval").write_bytes(content)
    with pytest.raises(LoraLiftError, match=r"changed.eval, samples/q03_epoch_1.json"):
        read_side(tmp_path / "changed.eval", None)


def test_without_pyarrow_the_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"base.eval, packed by Zstandard, needs .* 'loralift\[run\]'"):
        read_side(BASE, None)
    assert len(read_side(AS_JSON, None).scores) == 12
