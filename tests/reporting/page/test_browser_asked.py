"""In a real browser: rows switch between protocols, links lead into folded tables, a phone shows the matrices."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loralift.records import Report
from loralift.reporting.charts import Chart
from loralift.reporting.page import rendering
from tests.reporting.asked import CHAT, NAMES, asked_report
from tests.reporting.many import row_id
from tests.reporting.page.browsing import Opened, needs_chromium, opened_in
from tests.reporting.page.pages import gain_of

pytestmark = needs_chromium

FIVE = ("up", "down", 'same <i>"x"</i>', "better", "nemotron-8b-fiqa-lora-r16-lr0.0001-ep-01")
POINT = '<svg width="99" height="80"><g aria-roledescription="point" aria-label="{}"><circle r="9"/></g></svg>'
CHARTS = (Chart("scatter-up", "Rows", "Points.", "rows", POINT.format("&lt;3&gt; &amp; &#34;id&#34;"), "where", "up"),)


@pytest.fixture(scope="module")
def shown() -> Report:
    return asked_report(FIVE, 60)


@pytest.fixture(scope="module")
def path(shown: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(rendering.render(shown, CHARTS), encoding="utf-8")
    return path


@pytest.fixture
def opened(context: Any, path: Path) -> Iterator[Opened]:
    found = opened_in(context, path)
    yield found
    assert found.errors == []
    assert [url for url in found.requests if not url.startswith((path.as_uri(), "about:blank"))] == []
    found.page.close()


def in_order(shown: Report, name: str, adapter: str) -> list[str]:
    """The ids of the first page under one protocol, best first."""
    rows = shown.rows if name == NAMES[0] else shown.asked[name]
    return [row.id for row in sorted(rows, key=gain_of(shown, adapter), reverse=True)][:20]


def test_rows_open_under_the_first_protocol_and_switch(opened: Opened, shown: Report) -> None:
    page = opened.go()
    assert page.input_value("#asked") == "training"
    for name in (*NAMES, "training"):
        page.select_option("#asked", name)
        assert opened.ids() == in_order(shown, name, "up")
        assert str(page.text_content("#count")).endswith(f"up against base, asked under {name}")


def test_answers_values_outcome_and_failures_are_the_protocols_own(opened: Opened) -> None:
    page = opened.go()
    first = page.locator("#rows article").first
    assert "win" in first.locator(".outcome").text_content()
    assert "as said under" not in first.text_content()
    page.select_option("#asked", CHAT)
    page.select_option("#order", "worst")
    first = page.locator("#rows article").first
    assert "loss" in first.locator(".outcome").text_content()
    assert f"as said under {CHAT}" in first.locator(".text").nth(1).text_content()
    page.select_option("#mode", '["adapter","Cut off"]')
    assert opened.count() == "20 of 60"
    page.select_option("#asked", "training")
    assert opened.count() == "12 of 60"


def test_the_search_looks_through_the_answers_shown(opened: Opened) -> None:
    page = opened.go()
    page.fill("#q", "under few-shot")
    assert opened.count() == "0 of 60"
    page.select_option("#asked", "few-shot")
    assert opened.count() == "60 of 60"
    page.fill("#q", "under chat")
    assert opened.count() == "0 of 60"
    page.click("#reset")
    assert page.input_value("#asked") == "few-shot"


def test_the_results_are_counted_as_each_protocols_comparison_counts_them(opened: Opened, shown: Report) -> None:
    page = opened.go()
    assert shown.protocols is not None
    for result in shown.protocols.results:
        page.select_option("#asked", result.protocol.name)
        for row in result.rows[:2]:
            page.select_option("#adapter", row.candidate)
            for outcome, number in (("win", row.wins), ("tie", row.ties), ("loss", row.losses)):
                page.select_option("#result", outcome)
                assert opened.count() == f"{number} of 60"
        page.select_option("#result", "")


def test_the_link_of_a_row_keeps_the_protocol(opened: Opened) -> None:
    page = opened.go()
    page.select_option("#asked", CHAT)
    page.locator("#rows article").nth(1).get_by_role("button").first.click()
    article = page.locator("#rows article.open")
    link, row = article.locator("a").get_attribute("href"), article.get_attribute("data-id")
    assert "asked=chat+" in link
    assert page.evaluate("location.hash") == link
    opened.go(link)
    assert page.input_value("#asked") == CHAT
    assert page.locator("#rows article.open").get_attribute("data-id") == row
    assert f"as said under {CHAT}" in page.text_content("#rows article.open")


def test_a_link_alone_chooses_the_protocol_and_an_unknown_one_the_first(opened: Opened) -> None:
    assert opened.go("#read&asked=few-shot").input_value("#asked") == "few-shot"
    assert opened.go("#asked=elsewhere&adapter=down").input_value("#asked") == "training"


def test_a_point_of_a_chart_opens_its_row_under_the_first_protocol(opened: Opened) -> None:
    page = opened.go("#asked=few-shot")
    page.locator('[data-name="scatter-up"] circle').click()
    assert page.input_value("#asked") == "training"
    assert page.locator("#rows article.open").get_attribute("data-id") == row_id(3)
    assert "as said under" not in page.text_content("#rows article.open")


def test_a_cell_leads_into_a_folded_table_by_click_and_as_a_link(opened: Opened) -> None:
    page = opened.go()
    assert page.locator("#sure details[open]").count() == 0
    page.locator('.matrix a[href="#of-5-2"]').click()
    row = page.locator("#of-5-2")
    assert row.is_visible()
    assert page.locator("#sure details[open]").count() == 1
    top = "it => it.getBoundingClientRect().top"
    assert 0 <= row.evaluate(top) < 900
    opened.go("#of-1-3")
    assert page.locator("#of-1-3").is_visible()
    assert page.locator("#sure details[open]").count() == 1
    page.evaluate("location.hash = '#of-2-1'")
    page.wait_for_function("document.getElementById('of-2-1').checkVisibility()")


def test_paper_unfolds_every_table_and_folds_it_again(opened: Opened) -> None:
    page = opened.go()
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#sure details:not([open])").count() == 0
    assert page.locator("#of-4-1").is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("#sure details[open]").count() == 0


def test_a_phone_shows_every_protocol_without_scrolling_aside(browser: Any, path: Path) -> None:
    made = browser.new_context(viewport={"width": 360, "height": 740}, reduced_motion="reduce")
    opened = opened_in(made, path)
    page = opened.go()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    scroller = page.locator(".scroller:has(.stacked)")
    assert scroller.evaluate("it => it.scrollWidth <= it.clientWidth")
    cell = page.locator(".stacked tbody tr").nth(1).locator("td").nth(1)
    assert cell.is_visible()
    assert not page.locator(".stacked td.none").is_visible()
    label = "it => getComputedStyle(it, '::before').content"
    assert CHAT in str(cell.evaluate(label)).replace('\\"', '"')
    assert page.get_by_role("columnheader", name="whichever way").count() == 1
    assert opened.errors == []
    made.close()


def test_the_colour_of_what_depends_turns_with_the_page(opened: Opened) -> None:
    colour = "getComputedStyle(document.querySelector('.stacked .chip.depends')).color"
    page = opened.go()
    light = page.evaluate(colour)
    page.click("#theme")
    assert page.evaluate(colour) != light
    page.evaluate("localStorage.clear()")
