"""Progress on the terminal: rows, tokens a second, time left. On standard error, so that tables can be piped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from loralift.reporting.console import Terminal, shown
from loralift.workflow.progress import Advance


class _TokensPerSecond(ProgressColumn):
    """Output tokens a second since the task began."""

    def render(self, task: Task) -> Text:
        tokens = task.fields.get("tokens", 0)
        seconds = task.elapsed or 0.0
        return Text(f"{tokens / seconds:,.0f} tokens/s" if tokens and seconds else "", style="dim")


class TerminalWatcher:
    """Shows a run's stages and bars; where standard error is no terminal, only the stages' lines."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Terminal(stderr=True)

    def say(self, text: str) -> None:
        """Print one line."""
        self.console.print(shown(text))

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Advance]:
        """A bar for `total` rows."""
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            _TokensPerSecond(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console, disable=not self.console.is_terminal) as progress:
            bar = progress.add_task(shown(description).plain, total=total, tokens=0)

            def advance(rows: int, output_tokens: int = 0) -> None:
                progress.update(bar, completed=rows, tokens=output_tokens)

            yield advance
        if not self.console.is_terminal:
            self.say(f"{description}: {total} rows")
