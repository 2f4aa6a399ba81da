"""What the properties are tried with."""

from __future__ import annotations

from hypothesis import strategies as st

from loralift.records import MetricInfo, Plain, Question, Score

METRIC = "f1"
INFO = MetricInfo(METRIC, "F1", margin=0.05)
LESS = MetricInfo(METRIC, "Loss", higher_is_better=False, margin=0.05)

# everything that UTF-8 can hold: control characters, U+2028, U+FEFF, joiners, characters beyond 16 bits
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
said = texts.filter(str.strip)
plain_values: st.SearchStrategy[Plain] = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | texts
)
# a grid, so that ties are common, and sums are exact
values = st.integers(0, 64).map(lambda number: number / 64)


@st.composite
def questions(draw: st.DrawFn) -> list[Question]:
    """Questions with different ids and further columns."""
    ids = draw(st.lists(names, min_size=1, max_size=6, unique=True))
    fields = st.dictionaries(names.filter(lambda name: name not in OWN), plain_values, max_size=3)
    return [Question(one, draw(said), draw(said), draw(fields)) for one in ids]


OWN = frozenset(
    {"id", "_id", "qid", "question_id", "query_id", "question", "query", "instruction", "prompt", "input", "fields"}
    | {"reference", "ground_truths", "ground_truth", "answer", "answers", "output", "response", "completion"}
)
"""Column names that mean something."""


@st.composite
def sides(draw: st.DrawFn, least: int = 2, most: int = 24) -> tuple[list[Score], list[Score]]:
    """A baseline and a candidate on the same rows."""
    rows = draw(st.lists(st.tuples(values, values), min_size=least, max_size=most))
    return (
        [Score(f"q{number}", {METRIC: before}) for number, (before, _) in enumerate(rows)],
        [Score(f"q{number}", {METRIC: after}) for number, (_, after) in enumerate(rows)],
    )


def shifted(scores: list[Score], by: float) -> list[Score]:
    """The same rows with a constant added."""
    return [Score(row.id, {METRIC: (row.values[METRIC] or 0.0) + by}) for row in scores]
