"""Small files and small functions: files under 400 lines, functions under 40."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MOST_FILE_LINES = 400
MOST_FUNCTION_LINES = 40

SOURCES = sorted(
    path for folder in ("src", "tests", "demo", "benchmarks", "tools") for path in (ROOT / folder).rglob("*.py")
)


def function_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring: words that explain are not what makes it long."""
    body = node.body
    docstring = 0
    if ast.get_docstring(node) is not None:
        docstring = (body[0].end_lineno or 0) - body[0].lineno + 1
    return (node.end_lineno or 0) - node.lineno + 1 - docstring


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_FILE_LINES
    functions = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    too_long = {f.name: function_lines(f) for f in functions if function_lines(f) > MOST_FUNCTION_LINES}
    assert not too_long


def test_there_are_sources_to_check() -> None:
    assert len(SOURCES) > 10
