from __future__ import annotations

import base64
import dataclasses
import gzip
import hashlib
import itertools
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from loralift.records import Confounds, Contribution, Report
from loralift.reporting import charts, tables
from loralift.reporting.charts import PALETTE, Chart
from loralift.reporting.doubts import Doubt, doubts_of
from loralift.reporting.page import rendering
from loralift.reporting.page import rows as page_rows
from loralift.reporting.page.theme import DARK, strips
from loralift.reporting.page.words import answer, findings_by_candidate
from loralift.visible import visible
from tests.reporting.many import report_of
from tests.reporting.page.pages import GAINS, HEBREW, HOSTILE, report

SVG = (
    '<svg width="340" height="80"><g aria-roledescription="point" aria-label="q3"><circle r="9" fill="{}"/></g>'
    '<rect aria-roledescription="point" aria-label="gone" x="99" width="9" height="9"/></svg>'
)
CHARTS = (
    Chart("effects", "Effects", "How <much>.", "up: +1", SVG.format(PALETTE["ink"]), "change"),
    Chart("scatter-up", "Rows", "Points.", "rows of up", SVG.format(PALETTE["better"]), "where", "up"),
    Chart("lengths", "Lengths", "Words.", "short", SVG.format(PALETTE["base"]), "why"),
)
VOID = {"meta", "link", "input", "br", "img", "circle", "path", "rect"}


class Page(HTMLParser):
    """The page's elements, its text, and whether every element is closed in turn."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag, self.getpos()

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def shown() -> Report:
    return report()


@pytest.fixture(scope="module")
def page(shown: Report) -> str:
    return rendering.render(dataclasses.replace(shown, refused={"broken": "no <weights>"}), CHARTS)


def unpacked(page: str) -> dict[str, Any]:
    packed = re.search(r'<script type="text/plain" id="packed"[^>]*>([^<]*)</script>', page)
    assert packed
    data: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(packed[1])))
    return data


def test_the_page_is_well_formed_and_answers_in_order(page: str) -> None:
    parsed = Page(page)
    assert parsed.open == []
    sections = [each.get("id") for each in parsed.of("section") if each.get("id")]
    assert sections == ["verdict", "sure", "changed", "where", "why", "read", "made"]
    assert [link["href"] for link in parsed.of("a")][1:8] == [f"#{name}" for name in sections]
    ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in parsed.elements:
        if named := attributes.get("aria-labelledby"):
            assert named in ids


def test_headings_step_down_by_one(page: str) -> None:
    levels = [int(tag[1]) for tag, _ in Page(page).elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_every_table_has_a_caption_and_scoped_heads(page: str) -> None:
    parsed = Page(page)
    assert len(parsed.of("caption")) == len(parsed.of("table")) > 8
    assert all(head.get("scope") in ("col", "row") for head in parsed.of("th"))


def test_the_verdicts_stand_in_words_with_their_evidence(page: str, shown: Report) -> None:
    assert shown.comparison is not None
    text = " ".join(Page(page).text).replace("\u00a0", " ")
    assert "One of three did: up." in text
    for name in GAINS:
        assert tables.headline(shown.comparison, name, doubts_of(shown)) in text
    for word in ("BETTER", "WORSE", "EQUIVALENT", "REFUSED", "no <weights>", "Note:", "2 rows were left out"):
        assert word in text


def test_nothing_that_was_given_is_markup(page: str) -> None:
    assert "<b>" not in page.replace('<b class="caution">', "")
    assert "<data>" not in page
    assert "<i>leak" not in page
    assert "onerror" not in re.sub(r"&lt;img src=x onerror", "", page)
    assert page.count("<script") == 2
    assert page.count("</script>") == 2


def test_the_page_may_request_nothing_and_runs_only_its_own(page: str) -> None:
    parsed = Page(page)
    policy = next(each["content"] for each in parsed.of("meta") if each.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        source = re.findall(rf"<{tag}(?: type=\"module\")?>(.*?)</{tag}>", page, re.DOTALL)[0]
        assert base64.b64encode(hashlib.sha256(source.encode()).digest()).decode() in policy
    for _, attributes in parsed.elements:
        assert not {"src", "srcset", "style"} & attributes.keys()
        assert not any(name.startswith("on") for name in attributes)
    assert [each["href"][:9] for each in parsed.of("link") if each["href"]] == ["data:imag"]


def test_the_script_never_writes_markup() -> None:
    script = "".join(rendering._source(f"script/{name}") for name in rendering.SCRIPTS)
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "fetch(", "import(", "</"):
        assert word not in script
    for name in rendering.SCRIPTS:
        assert len(rendering._source(f"script/{name}").splitlines()) < 400


def test_the_packed_rows_are_the_rows(page: str, shown: Report) -> None:
    data = unpacked(page)
    assert data["variants"] == list(shown.variants)
    assert [row["id"] for row in data["rows"]] == [row.id for row in shown.rows]
    assert data["rows"][0]["question"] == HEBREW
    assert [data["words"][place] for place in data["rows"][1]["parts"].values()] == list(shown.rows[1].parts.values())
    ways = [way for row in data["rows"] for way in row["ways"]]
    first, second = ways[:2]
    assert first["answers"][1] == visible(HOSTILE, lines=True)
    assert second["values"][1][0] == pytest.approx(shown.rows[1].values["up"]["f1"])
    for way in ways[1:]:
        (before, after), texts = way["marks"][0], way["answers"]
        assert cut(texts[1], after)[1] == ["truly other"]
        assert " ".join(cut(texts[0], before)[0]).split() == " ".join(cut(texts[1], after)[0]).split()


def cut(text: str, lengths: list[int]) -> tuple[list[str], list[str]]:
    """The stretches of a text that are not marked, and those that are."""
    ends = [*itertools.accumulate(lengths), len(text)]
    parts = [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    return parts[::2], parts[1::2]


def test_without_a_script_a_few_telling_rows_stand_there(page: str) -> None:
    telling = page.split('id="telling"')[1].split('id="explorer"')[0]
    assert telling.count("<article") == 4
    assert "<ins>truly other</ins>" in telling
    assert '<div id="explorer" hidden>' in page


def test_more_rows_than_fit_are_parted_and_the_page_says_so(shown: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = rendering.render(shown, ())
    assert 'id="part"' not in whole
    shell = len(whole) - len(unpacked_text(whole))
    monkeypatch.setattr(rendering, "MOST_BYTES", shell + 6_000)
    page = rendering.render(shown, ())
    kept = unpacked(page)["rows"]
    assert 3 < len(kept) < len(shown.rows)
    assert len(page.encode()) <= shell + 6_000
    assert f"This page carries {len(kept)} of 60 rows" in page
    assert "q0" not in {row["id"] for row in kept}, "a row of 100,000 characters must not push out all others"


def unpacked_text(page: str) -> str:
    return page.split('id="packed"')[1].split(">")[1].split("<")[0]


def test_where_no_row_fits_the_page_says_so(shown: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "MOST_BYTES", 1)
    page = rendering.render(shown, CHARTS)
    assert unpacked(page)["rows"] == []
    assert "This page carries none of 60 rows" in page
    assert "With JavaScript" not in page
    assert "Left out to keep room for rows under 5 MB" in page
    assert "<figure" not in page


def test_the_largest_charts_give_way_to_rows_and_are_named(shown: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    svg = CHARTS[1].svg.replace("</svg>", "<g></g>" * 9_000 + "</svg>")
    large = dataclasses.replace(CHARTS[1], title="Large", svg=svg)
    monkeypatch.setattr(rendering, "MOST_BYTES", 100_000)
    page = rendering.render(shown, (CHARTS[0], large, CHARTS[2]))
    assert re.findall('<figure class="chart" data-name="([^"]+)"', page) == ["effects", "lengths"]
    assert "beside the page in <code>charts/</code>: Large.</p>" in page


def test_many_adapters_and_rows_fit_and_leave_room_for_rows() -> None:
    many = report(1_000, {f"adapter-{number}": number / 100 for number in range(5)}, words=250, odd=False)
    drawn = charts.draw(many)
    page = rendering.render(many, drawn)
    assert len(page.encode()) <= rendering.MOST_BYTES
    assert len(unpacked(page)["rows"]) > 100
    assert page.count('<figure class="chart"') == len(drawn)


def test_equal_values_are_ties_by_the_comparisons_rule_and_no_others(shown: Report) -> None:
    values = {"base": {"f1": 0.3}, "up": {"f1": 0.1 + 0.2}, "down": {"f1": 0.3 * (1 - 1e-10)}, "same <b>": {"f1": 0.4}}
    row = dataclasses.replace(shown.rows[1], values=values)
    packed = page_rows.pack(dataclasses.replace(shown, rows=(row,)), lambda row, variant: (), 100_000)
    base, up, down, last = json.loads(gzip.decompress(base64.b64decode(packed.data)))["rows"][0]["ways"][0]["values"]
    assert base[0] == up[0] == 0.3
    assert down[0] < 0.3 < last[0]


def test_repeated_questions_are_told_apart_from_answers(shown: Report) -> None:
    rows = tuple(dataclasses.replace(row, question_id="q") for row in shown.rows)
    page = rendering.render(dataclasses.replace(shown, rows=rows), ())
    assert "the verdict takes the mean of each question's answers" in page
    assert {row["question_id"] for row in unpacked(page)["rows"]} == {"q"}
    assert "the verdict takes the mean" not in rendering.render(shown, ())


def test_the_rows_kept_are_the_largest_differences_and_an_even_spread(shown: Report) -> None:
    order = list(page_rows._preferred(shown))
    assert sorted(order) == list(range(60))
    largest = list(page_rows._largest_differences(shown))
    assert max(largest[position] for position in order[:12]) == max(largest)
    packed = page_rows.pack(shown, lambda row, variant: (), 0)
    assert (packed.kept, packed.total) == (0, 60)


def test_a_value_without_bounds_is_null(shown: Report) -> None:
    row = dataclasses.replace(shown.rows[1], values={"base": {"f1": float("inf")}, "up": {"f1": float("nan")}})
    packed = page_rows.pack(dataclasses.replace(shown, rows=(row,)), lambda row, variant: ("Cut off",), 100_000)
    data = json.loads(gzip.decompress(base64.b64decode(packed.data)))
    assert data["rows"][0]["ways"][0]["values"][0] == [None] * 4
    assert data["words"] == ["many" if row.parts["question words"] == "many" else "few", row.parts["topic"], "Cut off"]


def test_a_run_of_the_base_alone_is_a_page_too(shown: Report) -> None:
    rows = tuple(dataclasses.replace(row, answers={"base": row.answers["base"]}) for row in shown.rows)
    alone = dataclasses.replace(shown, comparison=None, variants=("base",), rows=rows, findings=(), proofs=())
    page = rendering.render(alone, ())
    assert "There is nothing to compare" in page
    assert Page(page).open == []
    assert "Every variant" in page


def test_the_same_report_gives_the_same_page(shown: Report) -> None:
    assert rendering.render(shown, CHARTS) == rendering.render(shown, CHARTS)


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        ({"a": "better"}, "Yes, it did."),
        ({"a": "inconclusive"}, "These data do not decide."),
        ({"a": "worse", "b": "worse"}, "None of two is shown to. a and b pull it down."),
        ({"a": "better", "b": "inconclusive"}, "One of two did: a. b is still undecided."),
        ({"a": "worse", "b": "equivalent"}, "None of two is shown to. a pulls it down; b leaves it within the margin."),
        ({"a": "better", "b": "better"}, "Two of two did: a and b."),
    ],
)
def test_the_title_is_answered(shown: Report, verdicts: dict[str, Any], said: str) -> None:
    assert shown.comparison is not None
    assert answer(dataclasses.replace(shown.comparison, candidates=tuple(verdicts), verdicts=verdicts), {}) == said


DOUBTS = {"a": Doubt("a", "perplexity", "the references became less likely")}
DEPENDS = {"a": Doubt("a", "depends", "better under training, worse under chat")}


@pytest.mark.parametrize(
    ("verdicts", "doubts", "said"),
    [
        ({"a": "better"}, DOUBTS, "It seems so, but that is in doubt."),
        ({"a": "better"}, DEPENDS, "That depends on how it is asked."),
        ({"a": "equivalent"}, DOUBTS, "It seems to move it by nothing that matters, but that is in doubt."),
        ({"a": "better", "b": "worse"}, DOUBTS, "None of two is shown to. a seems to, in doubt; b pulls it down."),
        ({"a": "better", "b": "better"}, DOUBTS, "One of two did: b. a seems to, in doubt."),
        (
            {"a": "better", "b": "worse"},
            DEPENDS,
            "None of two is shown to. a depends on how it is asked; b pulls it down.",
        ),
        ({"a": "worse", "b": "worse"}, DOUBTS, "None of two is shown to. a (in doubt) and b pull it down."),
    ],
)
def test_an_adapter_in_doubt_is_no_yes(
    shown: Report, verdicts: dict[str, Any], doubts: dict[str, Doubt], said: str
) -> None:
    assert shown.comparison is not None
    assert answer(dataclasses.replace(shown.comparison, candidates=tuple(verdicts), verdicts=verdicts), doubts) == said


def test_a_card_in_doubt_says_so_and_is_not_green(shown: Report) -> None:
    assert shown.comparison is not None
    parts = (Contribution("up", "only baseline unsound", 9, 1.0, 0.2, None),)
    page = rendering.render(dataclasses.replace(shown, confounds=Confounds(contributions=parts)), ())
    assert '<article class="card better doubted"' in page
    assert "BETTER, in doubt</p>" in page
    assert ", but on no row are both answers sound" in page
    assert "None of three is shown to. up seems to, in doubt; " in page
    assert '<article class="card better" ' in rendering.render(shown, ())


def test_findings_stand_with_the_adapter_that_they_are_about(shown: Report) -> None:
    assert shown.comparison is not None
    grouped = findings_by_candidate(shown)
    assert [finding.severity for finding in grouped["up"]] == ["warning", "info"]
    assert all(not found for name, found in grouped.items() if name != "up")


def test_the_strips_share_one_scale(shown: Report) -> None:
    assert shown.comparison is not None
    found = strips(shown.comparison)
    assert len({strip.zero for strip in found.values()}) == 1
    assert found["down"].high < found["up"].zero < found["up"].low
    assert all(0 <= strip.low <= strip.point <= strip.high <= 100 for strip in found.values())


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_words_have_a_contrast_of_4_5_and_marks_of_3_in_light_and_dark() -> None:
    style = rendering._source("report.css")
    pairs = dict(re.findall(r"--([a-z]+): light-dark\((#\w+, #\w+)\)", style))
    colours = {role: pair.split(", ") for role, pair in pairs.items()}
    for role in ("ink", "muted", "link", "better", "worse", "equivalent", "inconclusive", "depends", "refused"):
        for ground in ("page", "paper"):
            assert all(contrast(*pair) >= 4.5 for pair in zip(colours[role], colours[ground], strict=True)), role
    for role in ("old", "new"):
        assert all(contrast(*pair) >= 4.5 for pair in zip(colours["ink"], colours[role], strict=True)), role
    for role in set(PALETTE) - {"grid", "band", "paper"}:
        assert contrast(DARK[role], colours["paper"][1]) >= 3, role
    assert contrast(DARK["ink"], colours["paper"][1]) >= 4.5
    assert contrast(DARK["muted"], colours["paper"][1]) >= 4.5


def test_of_a_large_run_hardly_more_rows_are_made_than_the_page_carries():
    shown, asked = report_of(("up",), 3000), []
    packed = page_rows.pack(shown, lambda row, variant: asked.append(row.id) or (), 20_000)
    assert 0 < packed.kept < 1500
    assert len(packed.data) <= 20_000
    assert len(asked) == 2 * len(set(asked))  # each row once, for its two variants
    assert len(set(asked)) < packed.kept + 1000
