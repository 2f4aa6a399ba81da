"""Metrics of somebody's own: what is declared, what may come back, and what a wrong one is told."""

from __future__ import annotations

import pickle
from importlib import metadata
from pathlib import Path

import pytest

from loralift.errors import MetricError, UsageError
from loralift.metrics import MetricSettings, metric_of, own_metrics, score_examples
from loralift.metrics.own import rehearse_own
from loralift.records import Question

NINE_LINES = '''"""How much of the reference's words the answer has."""
higher_is_better = True
low, high = 0, 1
margin = 0.02
title = "Recall of words"

def score(prediction, references, question):
    wanted = set(references[0].lower().split())
    return len(wanted & set(prediction.lower().split())) / len(wanted)
'''


@pytest.fixture
def metric(tmp_path, monkeypatch):
    """Write a file of the source, and make its metric."""
    monkeypatch.chdir(tmp_path)

    def make(source, name="score"):
        (tmp_path / "mine.py").write_text(source, encoding="utf-8")
        [made] = own_metrics("--metric", [f"./mine.py:{name}"])
        return made

    return make


def body(returns, *beside):
    """The source of a metric of one line, which is the last."""
    return "\n".join([*beside, "def score(prediction, references, question):", f"    return {returns}"])


def scores(metric, *examples):
    return score_examples(["score"], examples, MetricSettings(own=(metric,)))


def test_a_metric_of_nine_lines_is_one_of_all(metric, make_example):
    assert len(NINE_LINES.splitlines()) == 9
    page = (Path(__file__).parents[2] / "docs/metrics.md").read_text(encoding="utf-8")
    assert "\n".join(filter(None, NINE_LINES.splitlines())) in "\n".join(filter(None, page.splitlines()))
    made = metric(NINE_LINES)
    info = made.info(MetricSettings())
    assert (info.name, info.title, info.low, info.high, info.margin) == ("score", "Recall of words", 0.0, 1.0, 0.02)
    assert info.higher_is_better is True
    assert info.signature.startswith("source:")
    found = scores(made, make_example("a bond", "A bond pays"), make_example("", "A bond"))
    assert [score.values["score"] for score in found] == [pytest.approx(2 / 3), 0.0]


def test_attributes_of_the_function_win_over_those_of_the_file(metric):
    made = metric(body("1", "higher_is_better = True", "high = 1") + "\nscore.higher_is_better = False\nscore.low = 0")
    assert (made.higher_is_better, made.low, made.high) == (False, 0.0, 1.0)


def test_without_a_direction_it_is_described_and_said(metric):
    made = metric(body("1"))
    assert made.higher_is_better is None
    [note] = rehearse_own(made, [Question("q", "Why?", "So.")], MetricSettings())
    assert note == "score is described and not judged: declare higher_is_better = True or False beside it"


@pytest.mark.parametrize(("returned", "value"), [("True", 1.0), ("2", 2.0), ("__import__('numpy').float32(0.5)", 0.5)])
def test_numbers_of_every_kind_are_numbers(metric, make_example, returned, value):
    [score] = scores(metric(body(returned)), make_example("a", "b"))
    assert score.values == {"score": value}
    assert type(score.values["score"]) is float


def test_none_is_not_scored_and_has_a_reason(metric, make_example):
    [score] = scores(metric(body("None")), make_example("a", "b"))
    assert score.values == {"score": None}
    assert score.unscored == {"score": "score gave no value"}


def test_a_hair_beyond_the_range_is_the_range(metric, make_example):
    [score] = scores(metric(body("1.0000000000000002", "high = 1")), make_example("a", "b"))
    assert score.values == {"score": 1.0}


WRONG = {
    "a text": (body("'0.5'"), "mine.py:1: score must return a number or None, got '0.5' for row q7 (answer 'yes')"),
    "a list": (body("[1.0]"), "got [1.0] for row q7 (answer 'yes'); one that takes lists has batch = True"),
    "a complex number": (body("1j"), "a number or None, got 1j"),
    "not a number": (body("float('nan')"), "a finite number, or None for what cannot be scored, got nan for row q7"),
    "infinite": (body("-float('inf')"), "got -inf"),
    "beyond floats": (body("10**400"), "a finite number"),
    "above": (body("1.5", "low, high = 0, 1"), "mine.py:2: score must return numbers from 0 to 1, as `low` and `high`"),
    "below": (body("-1", "low = 0"), "numbers from 0 to ∞"),
    "an exception": (
        body("1 / len(prediction.split('x')[1:])"),
        "mine.py:2: score failed on row q7 (answer 'yes'): Ze",
    ),
    "an exception below": (
        "def helper(text):\n    raise KeyError(text)\n" + body("helper(prediction)"),
        "mine.py:2: score failed on row q7 (answer 'yes'): KeyError: 'yes'",
    ),
    "an exception of a library": (body("__import__('json').loads(prediction)"), "mine.py:2: score failed on row q7"),
    "an exit": (body("exit(0)"), "score failed on row q7 (answer 'yes'): SystemExit: 0"),
    "another folder": (body("__import__('os').chdir('/')"), "mine.py:1: score changed the working directory"),
    "too few": (body("[1.0]", "batch = True"), "mine.py:2: score must return a list of 2, one number or None for each"),
    "a number for a batch": (body("1.0", "batch = True"), "got 1.0 (rows q7, q8)"),
    "a text in a batch": (body("[1, 'b']", "batch = True"), "a number or None, got 'b' for row q8"),
    "an exception in a batch": (
        body("[{'yes': 1}[one] for one in prediction]", "batch = True"),
        "mine.py:3: score failed on row q8 (answer 'no'): KeyError: 'no'",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_return_names_file_line_and_row(metric, make_example, case):
    source, said = WRONG[case]
    made = metric(source)
    with pytest.raises(MetricError) as error:
        scores(made, make_example("yes", "b", row="q7"), make_example("no", "c", row="q8"))
    assert said in str(error.value)
    assert "mine.py:" in str(error.value)


REFUSED = {
    "no Python": ("def score(:", "mine.py:1: not Python: "),
    "a broken import": ("import os\nimport nothing_at_all", "mine.py:2: cannot be run: ModuleNotFoundError"),
    "a file that exits": ("raise SystemExit(3)", "mine.py:1: cannot be run: SystemExit: 3"),
    "no function": ("def other(): pass", "mine.py has no function 'score', but other"),
    "a number": ("score = 3", "has no function 'score', but none"),
    "a class": ("class score: pass", "has no function 'score'"),
    "two arguments": ("def score(a, b): pass", "mine.py:1: score must take three arguments"),
    "asynchronous": ("async def score(a, b, c): pass", "no async def"),
    "a generator": ("def score(a, b, c): yield 1", "no async def and no yield"),
    "a direction that is a text": (body("1", "higher_is_better = 'yes'"), "must be True or False, got 'yes'"),
    "a direction misspelled": (body("1", "higher_is_beter = True"), "'higher_is_beter' says nothing"),
    "a direction in capitals": (body("1", "HIGHER_IS_BETTER = True"), "'HIGHER_IS_BETTER' says nothing"),
    "the other direction": (body("1", "lower_is_better = True"), "write higher_is_better = True, or False where"),
    "a bound that is a text": (body("1", "low = '0'"), "`low` must be a number"),
    "a bound that is none": (body("1", "high = float('nan')"), "`high` must be a number, got nan"),
    "bounds turned round": (body("1", "low, high = 1, 0"), "`low` must be less than `high`, got 1 and 0"),
    "a margin of nothing": (body("1", "margin = 0"), "`margin` must be a positive number, got 0"),
    "a margin of all": (body("1", "low, high, margin = 0, 1, 1"), "a small part of the range of 0 to 1, got 1"),
    "a batch that is a number": (body("1", "batch = 8"), "`batch` must be True or False, got 8"),
    "a title of ours": (body("1", "title = 'ROUGE-L'"), "its name or title is that of LoraLift's rougeL"),
    "a file beside": ("import helper\n" + body("1"), "mine.py:1: imports helper, which is not installed"),
    "a file beside, later": (body("__import__").replace("return", "import helper;"), "mine.py:2: imports helper"),
    "its own folder": ("from . import helper\n" + body("1"), "imports from its own folder"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_can_be_known_before_is_refused(metric, tmp_path, case):
    source, said = REFUSED[case]
    (tmp_path / "helper.py").write_text("X = 1", encoding="utf-8")
    with pytest.raises(MetricError) as error:
        metric(source)
    assert said in str(error.value)


@pytest.mark.parametrize("name", ["f1", "rouge", "RougeL", "id", "unscored", "_hidden", "métrique"])
def test_names_that_are_taken_or_no_names_are_refused(metric, name):
    with pytest.raises(MetricError, match=r"rename (it|the function)$"):
        metric(body("1").replace("score", name), name)


@pytest.mark.parametrize("given", ["mine.py", "mine:score", "./mine.txt:score", "no-such-package", "rouge"])
def test_what_names_no_metric_is_refused(given):
    with pytest.raises(UsageError, match=r"`--metric` must be FILE\.py:FUNCTION, or the name of an installed metric"):
        own_metrics("--metric", [given])
    with pytest.raises(MetricError, match="there is no such file"):
        own_metrics("--metric", ["./nowhere.py:score"])


def test_two_of_one_name_are_refused(metric, tmp_path):
    metric(body("1"))
    (tmp_path / "other.py").write_text(body("2"), encoding="utf-8")
    with pytest.raises(MetricError, match=r"other.py:score: its name or title is that of another metric, score"):
        own_metrics("--metric", ["mine.py:score", "other.py:score"])


def test_its_identity_is_its_source(metric):
    signatures = {metric(body(text)).info(MetricSettings()).signature for text in ("1", "2", "1")}
    assert len(signatures) == 2
    assert "with:numpy " in metric("import numpy\n" + body("1")).info(MetricSettings()).signature


def test_it_travels_by_path_and_only_from_the_same_source(metric, tmp_path, make_example):
    made = pickle.loads(pickle.dumps(MetricSettings(own=(metric(body("len(prediction)")),)))).own[0]
    assert made.score([make_example("yes", "b")], MetricSettings())[0].value == 3
    later = pickle.loads(pickle.dumps(metric(body("len(prediction) + 1"))))
    (tmp_path / "mine.py").write_text(body("0"), encoding="utf-8")
    with pytest.raises(MetricError, match="changed while it was in use: start again"):
        later.score([make_example("yes", "b")], MetricSettings())


def test_a_batch_gets_lists_that_are_its_own(metric, make_example):
    made = metric("batch = True\ndef score(p, r, q):\n    r[0].clear(); p.reverse()\n    return [len(x) for x in r]")
    example = make_example("a", "b")
    for _ in range(2):
        assert [cell.value for cell in made.score([example, example], MetricSettings())] == [0, 1]


@pytest.mark.parametrize(
    "source",
    [
        body("[one / (1 + max(map(len, prediction))) for one in map(len, prediction)]", "batch = True"),
        body("__import__('random').random()"),
        "seen = []\ndef score(p, r, q):\n    seen.append(p)\n    return len(seen)",
    ],
    ids=["of the batch", "of chance", "of earlier calls"],
)
def test_a_value_that_depends_on_anything_but_its_row_is_refused(metric, source):
    with pytest.raises(MetricError, match="must depend on its row alone"):
        rehearse_own(metric(source), [Question("q", "Why?", "So it is.")], MetricSettings())


def test_one_that_decides_must_have_a_value_of_something(metric):
    made = metric(body("None", "higher_is_better = True"))
    rows = [Question("q", "Why?", "So.")]
    assert rehearse_own(made, rows, MetricSettings()) == ["score has no value for any of 3 rehearsed answers"]
    with pytest.raises(MetricError, match=r"mine.py:2: score decides, and has no value for any of 3 rehearsed answers"):
        rehearse_own(made, rows, MetricSettings(), decides=True)


def test_variables_of_a_script_or_notebook_declare_nothing(monkeypatch):
    cells = {"__name__": "__main__", "margin": 0.5, "batch": [1, 2]}
    exec(body("1"), cells)
    for name, value in cells.items():
        if name in ("margin", "batch"):
            monkeypatch.setattr(f"__main__.{name}", value, raising=False)
    [made] = own_metrics("metrics", [cells["score"]])
    assert (made.margin, made.higher_is_better) == (None, None)


def test_an_empty_answer_is_rehearsed(metric):
    with pytest.raises(MetricError, match=r"failed on row q \(answer ''\): ZeroDivisionError"):
        rehearse_own(metric(body("1 / len(prediction.split())")), [Question("q", "Why?", "So.")], MetricSettings())


def test_a_packages_metric_is_found_by_its_entry_point(tmp_path, monkeypatch, make_example):
    (tmp_path / "nice_metrics.py").write_text("higher_is_better = True\n" + body("0.25"), encoding="utf-8")
    info = tmp_path / "nice_metrics-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: nice-metrics\nVersion: 1.2\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[loralift.metrics]\nnice = nice_metrics:score\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert [point.name for point in metadata.entry_points(group="loralift.metrics")] == ["nice"]
    [made] = own_metrics("--metric", ["nice"])
    assert made.higher_is_better is True
    assert "with:nice-metrics 1.2" in made.info(MetricSettings()).signature
    found = score_examples(["nice"], [make_example("a", "b")], MetricSettings(own=(made,)))
    assert found[0].values == {"nice": 0.25}
    assert metric_of("nice", MetricSettings(own=(made,))) is made
