"""What a real library offers, read from its source: for libraries whose import wants a GPU or takes half a minute."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

NO_LITERAL = object()
"""A default that only running the source would tell."""
REQUIRED = object()
"""No default."""


@dataclass(frozen=True)
class Function:
    """How a function is called.

    Attributes:
        positional: Parameters that may be given by place, in order, with their defaults; ``self`` left out.
        named: All parameters that may be given by name, with their defaults.
        any_name: Whether it takes whatever else is named.
    """

    positional: dict[str, Any]
    named: dict[str, Any]
    any_name: bool


def folder_of(package: str) -> Path:
    """The folder of an installed package, which is not imported; the test is skipped where there is none."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"{package} is not installed")
    return Path(spec.origin).parent


def class_of(path: Path, name: str) -> ast.ClassDef:
    """A class at the top of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    assert found, f"{path} has no class {name}"
    return found[0]


def fields(cls: ast.ClassDef) -> dict[str, Any]:
    """Annotated names of a class with their defaults, in order: a dataclass's or struct's parameters."""
    rows = [node for node in cls.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)]
    return {row.target.id: _default(row.value) for row in rows if isinstance(row.target, ast.Name)}


def attributes(cls: ast.ClassDef) -> set[str]:
    """Everything that an instance has by this class itself: methods, fields, and what methods set on ``self``."""
    nodes = list(ast.walk(cls))
    functions = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    stored = {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
    plain = {target.id for node in cls.body if isinstance(node, ast.Assign) for target in node.targets}  # type: ignore[attr-defined]
    return functions | stored | plain | fields(cls).keys()


def method(cls: ast.ClassDef, name: str) -> Function:
    """How a method is called."""
    found = [node for node in cls.body if isinstance(node, ast.FunctionDef) and node.name == name]
    assert found, f"{cls.name} has no method {name}"
    given = found[0].args
    places = [one.arg for one in (*given.posonlyargs, *given.args)]
    defaults = [REQUIRED] * (len(places) - len(given.defaults)) + [_default(node) for node in given.defaults]
    positional = dict(zip(places, defaults, strict=True))
    positional.pop("self", None)
    only = {one.arg: _default(node) for one, node in zip(given.kwonlyargs, given.kw_defaults, strict=True)}
    return Function(positional, positional | only, given.kwarg is not None)


def _default(node: ast.expr | None) -> Any:
    if node is None:
        return REQUIRED
    try:
        return ast.literal_eval(node)
    except ValueError:
        return NO_LITERAL
