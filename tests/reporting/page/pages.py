"""Synthetic reports for the page's tests: no model, real comparison."""

from __future__ import annotations

import random
from collections.abc import Callable

from loralift.comparison import Settings, compare, summarise
from loralift.records import AdapterProof, Finding, MetricInfo, Report, Row, Score

INFOS = {
    "f1": MetricInfo("f1", "Token F1", margin=0.01, signature="implementation:test"),
    "ppl": MetricInfo("ppl", "Perplexity", high=None, higher_is_better=False, decimals=2),
    "answer_words": MetricInfo("answer_words", "Words", high=None, higher_is_better=None, unit="words", decimals=1),
    "truncated": MetricInfo("truncated", "Cut off", higher_is_better=None),
}
GAINS = {"up": 0.05, "down": -0.05, "same <b>": 0.0}
HOSTILE = (
    "<script>document.title='owned'</script></script><img src=x onerror=alert(1)> \\u2028 \\ \u2028\u2029 "
    "]]> <!-- {{ 7*7 }} &amp; \u202eevil\u202c \ud800 \x00 " + "Ω" * 3_000 + " word" * 20_000
)
HEBREW = "שלום עולם, זה טקסט מימין לשמאל"
WORDS = ("fees", "fund", "index", "broker", "tax", "bond", "yield", "risk", "loan", "cash", "debt", "the", "of", "a")


def report(n: int = 60, gains: dict[str, float] = GAINS, words: int = 30, odd: bool = True) -> Report:
    """A base and candidates of given gains in F1; the first rows hold what a page must survive."""
    draw = random.Random(7)
    variants = ("base", *gains)
    sides = {v: _scores(draw, n, gains.get(v, 0.0)) for v in variants}
    texts = [" ".join(draw.choices(WORDS, k=words)) for _ in range(n)]
    rows = [
        Row(
            id=f"q{i}",
            question=f"Question {i}: what about {WORDS[i % len(WORDS)]}?",
            reference=" ".join(draw.choices(WORDS, k=words)),
            answers={v: texts[i] if v == "base" else _edited(draw, texts[i]) for v in variants},
            values={v: sides[v][i].values for v in variants},
            parts={"question words": "few" if i % 3 else "many", "topic": "tax" if i % 2 else "debt"},
        )
        for i in range(n)
    ]
    if odd:
        answers = {"up": HOSTILE, "base": HEBREW}
        rows[0] = Row("q0", HEBREW, "</script>", {**rows[0].answers, **answers}, rows[0].values, rows[0].parts)
    comparison = compare("base", sides["base"], {v: sides[v] for v in gains}, INFOS, Settings("f1", resamples=300))
    return Report(
        title="a/model on <data>",
        variants=variants,
        metrics=INFOS,
        summaries={v: {name: summarise(s, info) for name, info in INFOS.items()} for v, s in sides.items()},
        comparison=comparison,
        findings=(
            Finding("It is better, with 30 % more than down.", {}, candidate="up"),
            Finding("up may <i>leak</i>.", {}, "warning", "up"),
        ),
        proofs=tuple(AdapterProof(v, 8, 0.5, 1.0, 0.9) for v in gains),
        facts={"command": "loralift run --adapter up=./up", "prompt": "Q: <q>\n\nA:"},
        notes=("2 rows were left out",),
        rows=tuple(rows),
    )


def _scores(draw: random.Random, n: int, gain: float) -> list[Score]:
    return [
        Score(
            f"q{i}",
            {
                "f1": 0.3 + (i * 7 % 11) / 50 + (gain and gain + draw.gauss(0, 0.02)),
                "ppl": 9 - 10 * gain + i % 3,
                "answer_words": 20.0 + i % 5,
                "truncated": float(gain < 0 and i % 4 == 0),
            },
        )
        for i in range(n)
    ]


def _edited(draw: random.Random, text: str) -> str:
    words = text.split()
    at = draw.randrange(len(words))
    return " ".join([*words[:at], "truly", "other", *words[at + 3 :]])


def gain_of(shown: Report, adapter: str, metric: str = "f1") -> Callable[[Row], float]:
    """A row's difference, for checking orders; every row of these reports has one."""

    def gain(row: Row) -> float:
        after, before = row.values[adapter][metric], row.values["base"][metric]
        assert after is not None
        assert before is not None
        return after - before

    return gain
