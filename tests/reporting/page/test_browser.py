"""The page in a real browser: it runs, requests nothing, and can be searched, sorted, filtered and linked to."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loralift.records import Report
from loralift.reporting.page import rendering
from loralift.visible import visible
from tests.reporting.page.browsing import Opened, needs_chromium, opened_in
from tests.reporting.page.pages import HEBREW, HOSTILE, INFOS, gain_of, report
from tests.reporting.page.test_page import CHARTS

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def shown() -> Report:
    return report()


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


def test_it_opens_without_a_word_and_shows_the_best_rows_first(opened: Opened, shown: Report) -> None:
    opened.go()
    expected = sorted(shown.rows, key=gain_of(shown, "up"), reverse=True)
    assert opened.ids() == [row.id for row in expected[:20]]
    assert not opened.page.locator("#telling").is_visible()
    assert opened.page.title() == "a/model on <data>: a LoraLift report"


def test_search_looks_through_questions_and_answers_and_says_how_many(opened: Opened, shown: Report) -> None:
    page = opened.go()
    page.fill("#q", "TRULY other q57")
    assert opened.ids() == ["q57"]
    assert opened.count() == "1 of 60"
    page.fill("#q", "no such thing anywhere")
    assert "Nothing fits" in page.text_content("#rows")
    page.click("#reset")
    assert opened.count() == "60 of 60"


@pytest.mark.parametrize(
    ("metric", "order", "sign"), [("f1", "worst", 1), ("ppl", "best", 1), ("answer_words", "most", 0)]
)
def test_every_order_of_every_metric(opened: Opened, shown: Report, metric: str, order: str, sign: int) -> None:
    page = opened.go()
    page.select_option("#adapter", "down")
    page.select_option("#metric", metric)
    page.select_option("#order", order)
    gain = gain_of(shown, "down", metric)
    expected = sorted(shown.rows, key=lambda row: sign * gain(row) if sign else -abs(gain(row)))
    assert opened.ids() == [row.id for row in expected[:20]]


def test_the_results_are_counted_as_the_comparison_counts_them(opened: Opened, shown: Report) -> None:
    page = opened.go()
    assert shown.comparison is not None
    for row in (row for row in shown.comparison.rows if row.verdict is not None):
        page.select_option("#adapter", row.candidate)
        page.select_option("#metric", row.metric)
        for result, number in (("win", row.wins), ("tie", row.ties), ("loss", row.losses)):
            page.select_option("#result", result)
            assert opened.count() == f"{number} of 60", (row.candidate, row.metric, result)


def test_slices_and_failures_are_filters(opened: Opened, shown: Report) -> None:
    page = opened.go()
    page.select_option("#slice", label="many")
    assert opened.count() == f"{sum(row.parts['question words'] == 'many' for row in shown.rows)} of 60"
    page.click("#reset")
    page.select_option("#adapter", "down")
    page.select_option("#mode", '["adapter","Cut off"]')
    assert opened.count() == "15 of 60"
    assert all(number % 4 == 0 for number in (int(each[1:]) for each in opened.ids()))


def test_a_row_opens_by_click_and_its_link_opens_it_again(opened: Opened) -> None:
    page = opened.go()
    page.select_option("#adapter", "down")
    page.locator("#rows article").nth(2).get_by_role("button").first.click()
    article = page.locator("#rows article.open")
    assert article.count() == 1
    assert article.locator("tbody tr").count() == 4
    assert article.locator("ins").text_content() == "truly other"
    link = article.locator("a").get_attribute("href")
    row = article.get_attribute("data-id")
    assert page.evaluate("location.hash") == link == f"#row={row}&adapter=down"
    page.keyboard.press("Enter")
    assert page.locator("#rows article.open").count() == 0

    opened.go(link)
    assert page.locator("#rows article.open").get_attribute("data-id") == row
    assert page.input_value("#adapter") == "down"
    assert page.locator("#rows article.open button").first.evaluate("it => it === document.activeElement")


def test_a_link_to_a_row_that_its_filters_hide_or_that_is_not_there(opened: Opened) -> None:
    page = opened.go("#row=q59&adapter=same+%3Cb%3E&q=nothing&metric=unknown")
    assert page.locator("#rows article.open").get_attribute("data-id") == "q59"
    assert page.input_value("#adapter") == "same <b>"
    opened.go("#row=elsewhere&adapter=up")
    assert "Row elsewhere is not on this page" in page.text_content("#count")


def test_a_point_of_a_scatter_chart_opens_its_row(opened: Opened) -> None:
    page = opened.go("#adapter=down")
    page.locator('[data-name="scatter-up"] circle').click()
    assert page.locator("#rows article.open").get_attribute("data-id") == "q3"
    assert page.input_value("#adapter") == "up"
    page.locator('[data-name="effects"] circle').click()
    assert page.input_value("#adapter") == "up"
    page.locator('[data-name="scatter-up"] rect').click()
    assert "Row gone is not on this page" in page.text_content("#count")


def test_a_point_of_a_question_opens_its_first_answer(browser: Any, shown: Report, tmp_path: Path) -> None:
    rows = tuple(
        dataclasses.replace(row, id=f"q{place // 3}#{place % 3}", question_id=f"q{place // 3}")
        for place, row in enumerate(shown.rows)
    )
    path = tmp_path / "report.html"
    path.write_text(rendering.render(dataclasses.replace(shown, rows=rows), CHARTS), encoding="utf-8")
    made = browser.new_context()
    page = opened_in(made, path).go()
    page.locator('[data-name="scatter-up"] circle').click()
    assert page.locator("#rows article.open").get_attribute("data-id") == "q3#0"
    made.close()


def test_a_candidate_is_listed_with_the_rows_that_it_has(browser: Any, shown: Report, tmp_path: Path) -> None:
    rows = [
        row
        if place < 20
        else dataclasses.replace(
            row,
            answers={name: of for name, of in row.answers.items() if name != "down"},
            values={name: of for name, of in row.values.items() if name != "down"},
        )
        for place, row in enumerate(shown.rows)
    ]
    path = tmp_path / "report.html"
    path.write_text(rendering.render(dataclasses.replace(shown, rows=rows), CHARTS), encoding="utf-8")
    found = opened_in(browser.new_context(), path)
    page = found.go("#adapter=up&order=data&row=q59")
    assert (found.count(), page.locator("#rows article.open .values tbody tr").count()) == ("60 of 60", len(INFOS))
    page.select_option("#adapter", "down")
    assert (found.count(), len(found.ids())) == ("20 of 20", 20)
    page = found.go("#adapter=down&row=q59")
    assert page.text_content("#count") == "down has no row q59."
    assert found.go("#adapter=down&row=q7").locator("#rows article.open").get_attribute("data-id") == "q7"
    assert found.errors == []


def test_answers_too_different_for_marks_say_so(opened: Opened) -> None:
    page = opened.go("#row=q0&adapter=up")
    assert "Fewer than a fifth of the shorter answer's words" in page.text_content("#rows article.open")


def test_keys_step_through_the_rows_over_the_end_of_a_page(opened: Opened) -> None:
    page = opened.go()
    ids = opened.ids()
    for expected in (ids[0], ids[1]):
        page.keyboard.press("j")
        assert page.locator("#rows article.open").get_attribute("data-id") == expected
    page.keyboard.press("k")
    assert page.locator("#rows article.open").get_attribute("data-id") == ids[0]
    for _ in range(20):
        page.keyboard.press("j")
    assert page.text_content("#page") == "21–40 of 60"
    page.keyboard.press("/")
    page.keyboard.type("jk?")
    assert page.input_value("#q") == "jk?"
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    page.uncheck("#letters")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert not page.locator("#keys").is_visible()


def test_dark_is_a_button_and_follows_the_system(opened: Opened, browser: Any, path: Path) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    point = "getComputedStyle(document.querySelector('.plot circle')).fill"
    page = opened.go()
    light = page.evaluate(background), page.evaluate(point)
    page.click("#theme")
    dark = page.evaluate(background), page.evaluate(point)
    assert all(one != other for one, other in zip(light, dark, strict=True))
    page.click("#theme")
    assert page.evaluate(background) == light[0]
    page.evaluate("localStorage.clear()")
    made = browser.new_context(color_scheme="dark")
    assert opened_in(made, path).go().evaluate(background) == dark[0]
    made.close()


def test_a_phone_scrolls_down_only(browser: Any, path: Path) -> None:
    made = browser.new_context(viewport={"width": 360, "height": 740}, reduced_motion="reduce")
    opened = opened_in(made, path)
    page = opened.go("#row=q0&adapter=up")
    page.get_by_role("button", name="Show all").last.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert opened.errors == []
    made.close()


def test_a_hostile_answer_is_text(opened: Opened) -> None:
    page = opened.go("#row=q0&adapter=up")
    article = page.locator("#rows article.open")
    assert article.locator("script, img").count() == 0
    assert article.locator("h3 bdi").text_content() == HEBREW
    assert article.locator(".text").nth(1).evaluate("it => getComputedStyle(it).direction") == "rtl"
    article.get_by_role("button", name="Show all").last.click()
    text = article.locator(".text").last.evaluate("it => Array.from(it.textContent, c => c.codePointAt(0))")
    assert text == [ord(character) for character in visible(HOSTILE, lines=True)]
    assert "owned" not in page.title()


def test_without_scripts_all_but_the_explorer_is_there(browser: Any, path: Path) -> None:
    made = browser.new_context(java_script_enabled=False)
    page = made.new_page()
    page.goto(path.as_uri())
    assert page.locator("#telling article").count() == 4
    assert page.locator("table").first.is_visible()
    assert not page.locator("#explorer").is_visible()
    assert not page.locator("#theme").is_visible()
    made.close()


def test_paper_shows_what_is_folded_and_no_controls(opened: Opened) -> None:
    page = opened.go()
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert not page.locator("#controls").is_visible()
    assert page.locator("details:not([open])").count() == 0
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_648_rows_of_4_adapters_open_in_under_two_seconds(browser: Any, tmp_path: Path) -> None:
    gains = {f"adapter{number}": number / 50 for number in range(4)}
    page = rendering.render(report(648, gains, words=160, odd=False), CHARTS)
    assert len(page.encode()) < rendering.MOST_BYTES
    path = tmp_path / "report.html"
    path.write_text(page, encoding="utf-8")
    made = browser.new_context()
    opened = opened_in(made, path)
    shown = [opened.go().evaluate("performance.getEntriesByName('rows-shown')[0].startTime") for _ in range(5)]
    assert opened.count() == "648 of 648"
    assert min(shown) < 2_000  # the least: a busy machine lets a browser wait
    made.close()
