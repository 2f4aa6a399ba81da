"""The page's matrices, and its rows under several protocols, as markup and data."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import json
import re
from typing import Any

import pytest

from loralift.records import Report
from loralift.reporting import matrices
from loralift.reporting.page import rendering
from loralift.reporting.page import rows as page_rows
from tests.reporting.asked import CHAT, NAMES, asked_report
from tests.reporting.page.pages import report
from tests.reporting.page.test_page import Page, contrast, unpacked

FIVE = ("faint", "up", 'down <i>"x"</i>', "better", "verdict")


@pytest.fixture(scope="module")
def five() -> Report:
    return asked_report(FIVE, 60, repeats=2)


@pytest.fixture(scope="module")
def page(five: Report) -> str:
    return rendering.render(five, ())


def sure_of(page: str) -> str:
    return page.split('id="sure"')[1].split("</section>")[0]


def test_the_page_stays_well_formed_with_ids_that_occur_once(page: str) -> None:
    parsed = Page(page)
    assert parsed.open == []
    ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert len(parsed.of("caption")) == len(parsed.of("table"))
    for link in parsed.of("a"):
        href = link["href"] or ""
        assert not href.startswith("#of-") or href[1:] in ids
    assert "<i>" not in page.replace('<i class="note">', "")


def test_five_adapters_open_with_one_matrix_the_best_first_and_their_tables_folded(page: str, five: Report) -> None:
    assert five.comparison is not None
    sure = sure_of(page)
    order = matrices.best_first(five.comparison)
    matrix = sure.split('<table class="matrix">')[1].split("</table>")[0]
    assert re.findall(r'<th scope="row"><a href="#of-(\d)">', matrix) == ["1", "2", "3", "4", "5"]
    assert re.findall(r"of-\d-1\"><span class=\"figure\">(.)", matrix)[:1] == ["+"]
    assert matrix.count("<td") == 15
    assert matrix.count('href="#of-') == 5 + 15
    assert sure.count("<details><summary>Every metric of") == 5
    heads = re.findall(r'id="of-\d">.*?<bdi>(.*?)</bdi></h3>', sure)
    assert [head.replace("&lt;", "<").replace("&gt;", ">").replace("&#34;", '"') for head in heads] == list(order)


def test_the_row_that_a_cell_leads_to_is_that_metrics(page: str, five: Report) -> None:
    assert five.comparison is not None
    titles = [info.title for info in matrices.judged_metrics(five.comparison)]
    rows = re.findall(r'<tr id="of-(\d)-(\d)"><th scope="row"><bdi>(.*?) [↑↓]', page)
    assert len(rows) == 15
    for _, metric, title in rows:
        assert title[:5] == titles[int(metric) - 1][:5]


def test_one_adapter_has_its_table_open_and_no_matrix_of_metrics() -> None:
    sure = sure_of(rendering.render(asked_report(("up",), 40), ()))
    assert 'class="matrix"' not in sure
    assert "Every metric of" not in sure
    assert sure.count('class="matrix stacked"') == 1


def test_the_matrix_of_protocols_says_every_cell_in_words(page: str) -> None:
    matrix = sure_of(page).split('class="matrix stacked"')[1].split("</table>")[0]
    assert matrix.count("<tr") == 1 + 1 + len(FIVE)
    assert matrix.count('data-label="chat &lt;i&gt;&#34;so&#34;&lt;/i&gt;"') == 1 + len(FIVE)
    assert "depends on how it is asked" in matrix
    assert matrix.count('role="cell"') == (1 + len(FIVE)) * (len(NAMES) + 1)
    assert "The examples of few-shot are rows of &lt;train&gt;." in page


def test_what_depends_is_no_better_in_the_heading_of_its_table(five: Report, page: str) -> None:
    assert five.protocols is not None
    assert five.protocols.whichever[0].verdict == "depends"
    assert '<h3 class="of depends" id="of-1">' in page


def test_a_name_is_a_chip_only_where_the_column_is_a_verdict() -> None:
    slices = rendering.render(asked_report(("better",), 60), ()).split('id="where"')[1].split("</section>")[0]
    assert "<bdi>better</bdi></td>" in slices


def test_none_of_it_is_there_where_all_were_asked_in_one_way() -> None:
    page = rendering.render(report(), ())
    for said in ("Asked another way", 'class="matrix stacked"', 'id="asked"', "All were asked in"):
        assert said not in page
    assert unpacked(page)["asked"] == []
    assert all(len(row["ways"]) == 1 for row in unpacked(page)["rows"])


def test_rows_are_packed_once_with_what_came_back_under_each_protocol(page: str, five: Report) -> None:
    data = unpacked(page)
    assert data["asked"] == list(NAMES)
    assert len(data["rows"]) == 60
    for place, row in enumerate(data["rows"]):
        assert {"question", "reference", "parts", "ways", "id", "question_id"} == row.keys()
        assert len(row["ways"]) == 3
        for way, name in zip(row["ways"][1:], NAMES[1:], strict=True):
            asked = five.asked[name][place]
            assert way["answers"] == list(asked.answers.values())
            value = asked.values["faint"]["f1"]
            assert way["values"][1][0] == pytest.approx(value)
            modes = [data["words"][mode] for mode in way["modes"][0]]
            assert ("Cut off" in modes) == (place % 3 == 0)
    assert data["rows"][1]["ways"][0]["answers"] == list(five.rows[1].answers.values())


def test_a_row_is_kept_under_all_protocols_or_not_at_all(five: Report) -> None:
    whole = page_rows.pack(five, lambda row, variant: (), 10**6)
    packed = page_rows.pack(five, lambda row, variant: (), int(0.6 * len(whole.data)))
    data: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(packed.data)))
    assert 3 < packed.kept == len(data["rows"]) < 60
    assert len(packed.data) <= 0.6 * len(whole.data)
    assert all(len(row["ways"]) == 3 for row in data["rows"])


def test_rows_in_another_order_under_a_protocol_are_refused(five: Report) -> None:
    asked = {CHAT: tuple(reversed(five.asked[CHAT]))}
    with pytest.raises(ValueError, match="in another order"):
        rendering.render(dataclasses.replace(five, asked=asked), ())


def test_the_base_alone_asked_in_two_ways_is_read_in_both(five: Report) -> None:
    alone = dataclasses.replace(five, comparison=None, protocols=None, variants=("base",))
    data = unpacked(rendering.render(alone, ()))
    assert data["asked"] == list(NAMES)
    assert all(len(way["answers"]) == 1 for row in data["rows"] for way in row["ways"])


def test_all_protocols_share_the_pages_one_budget(five: Report, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    most = len(page.encode()) - 1_500
    monkeypatch.setattr(rendering, "MOST_BYTES", most)
    smaller = rendering.render(five, ())
    assert len(smaller.encode()) <= most
    rows = unpacked(smaller)["rows"]
    assert f"This page carries {len(rows)} of 60 rows" in smaller
    assert 3 < len(rows) < 60


def mixed(tone: str, ground: str, share: float) -> str:
    parts = [(int(tone[at : at + 2], 16), int(ground[at : at + 2], 16)) for at in (1, 3, 5)]
    return "#" + "".join(f"{round(share * one + (1 - share) * other):02x}" for one, other in parts)


def test_words_on_a_coloured_cell_keep_their_contrast() -> None:
    style = rendering._source("report.css")
    found = re.findall(r"--([a-z]+): light-dark\((#\w+), (#\w+)\)", style)
    colours = {role: pair for role, *pair in found}
    assert "var(--tone) 9%, var(--paper)" in style
    for role in ("better", "worse", "equivalent", "inconclusive", "depends"):
        for theme in (0, 1):
            ground = mixed(colours[role][theme], colours["paper"][theme], 0.09)
            for ink in (role, "ink", "muted"):
                assert contrast(colours[ink][theme], ground) >= 4.5, (role, ink, theme)
