"""Targets that show: whatever names and texts are, the page, the Markdown and the terminal's text stay whole."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from pathlib import Path

from rich.console import Console

from benchmarks.fuzzing.readers import Make, Target
from loralift.comparison import Settings, compare, summarise
from loralift.errors import ModelError
from loralift.generation.model.tokenization import Texts
from loralift.records import Finding, MetricInfo, Report, Row, Score
from loralift.reporting import markdown, page
from loralift.reporting.terminal import print_report

MARK = "<zq"
"""Stands before every text of an input: it must never be there as it is."""

CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What acts on a terminal, hides, or turns text around."""

RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""What must not be in the page; direction marks stand between <bdi> and </bdi>, and line separators are white space."""

VOID = frozenset({"meta", "link", "br", "img", "input", "hr", "wbr", "col", "source"})


class _Tags(HTMLParser):
    """Counts elements, and notes those that are closed and were not open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element that opens."""
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close it."""
        if tag in VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def report_of(content: bytes) -> Report:
    """A report whose names and texts are an input's, parted by 0xFF."""
    said = [MARK + part.decode("utf-8", "replace") for part in content.split(b"\xff")[:12]]
    said += [f"{MARK}{number}" for number in range(len(said), 12)]
    title, adapter, metric, label, fact, note, finding, reason, question, reference, answer, part = said
    infos = {metric: MetricInfo(metric, label, margin=0.1), "words": MetricInfo("words", "Words", None, None, None)}
    ids = [f"{question}{number}" for number in range(4)]
    scores = {
        name: [Score(one, {metric: (number + shift) / 9, "words": 3.0}) for number, one in enumerate(ids)]
        for name, shift in (("base", 0), (adapter, 1))
    }
    comparison = compare("base", scores["base"], {adapter: scores[adapter]}, infos, Settings(metric, resamples=100))
    return Report(
        title=title,
        variants=("base", adapter),
        metrics=infos,
        summaries={name: {key: summarise(rows, info) for key, info in infos.items()} for name, rows in scores.items()},
        comparison=comparison,
        findings=(Finding(finding, {}, "warning", adapter),),
        facts={label: fact},
        notes=(note,),
        rows=tuple(
            Row(one, question, reference, dict.fromkeys(scores, answer), {v: s[0].values for v, s in scores.items()},
                {part: part})
            for one in ids
        ),
        refused={part: reason},
    )  # fmt: skip


def of_page(folder: Path) -> Target:
    """report.html."""
    del folder

    def show(content: bytes) -> None:
        shown = page.render(report_of(content), ())
        tags = _Tags()
        tags.feed(shown)
        tags.close()
        if tags.wrong or tags.open:
            raise AssertionError(f"not well-formed: {tags.wrong} {tags.open}")
        _refuse_raw(shown, RAW)

    return show


def of_markdown(folder: Path) -> Target:
    """report.md."""
    del folder

    def show(content: bytes) -> None:
        shown = markdown.render(report_of(content))
        _refuse_raw(re.sub(r"\\<", "", shown))

    return show


def of_terminal(folder: Path) -> Target:
    """What is printed; here the mark is harmless, and only what acts on a terminal is not."""
    del folder

    def show(content: bytes) -> None:
        stream = io.StringIO()
        print_report(report_of(content), Console(file=stream, width=120))
        if found := CONTROLS.search(stream.getvalue()):
            raise AssertionError(f"shows {found[0]!r}")

    return show


def of_template(folder: Path) -> Target:
    """A chat template."""
    del folder
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), bos_token="<s>", eos_token="</s>")
    texts = Texts(tokenizer, (1,))

    def show(content: bytes) -> None:
        tokenizer.chat_template = content.decode("utf-8", "replace")
        shown = texts.render_chat([{"role": "user", "content": "Why?"}])
        if not isinstance(shown, str):
            raise ModelError("no text")

    return show


SHOWING: dict[str, Make] = {
    "page": of_page,
    "markdown": of_markdown,
    "terminal": of_terminal,
    "chat template": of_template,
}


def _refuse_raw(shown: str, never: re.Pattern[str] = CONTROLS) -> None:
    if MARK in shown:
        raise AssertionError(f"raw: {shown[max(0, shown.index(MARK) - 60) : shown.index(MARK) + 60]!r}")
    if found := never.search(shown):
        raise AssertionError(f"control: {shown[max(0, found.start() - 60) : found.end() + 60]!r}")
    shown.encode("utf-8")
