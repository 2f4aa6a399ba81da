"""A metric of somebody's own, read: from a file, from an installed package, or a function as it is; and what it is.

A stranger's code runs here, only because the user named it. Its identity is its source: of a file the whole file, and
what it imports must be installed, since a file beside it could change and nobody would see.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata as installed
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from loralift.errors import LoraLiftError, MetricError, UsageError, first_line, some, wrong_argument
from loralift.reading import read_bytes

GROUP = "loralift.metrics"
"""The entry points by which a package brings metrics."""

SPELLED = "FILE.py:FUNCTION, or the name of an installed metric"

PLAIN = (bool, int, float, str, bytes, type(None), tuple, list, dict, set, frozenset)


@dataclass(frozen=True, slots=True)
class Source:
    """A function and where it comes from.

    Attributes:
        name: The metric's.
        where: What loads it again in another process.
        function: The user's.
        beside: The attributes of its module.
        file: As messages name it.
        digest: Of the source.
        made_with: The packages it imports and their versions, as ``nltk 3.9``.
    """

    name: str
    where: str
    function: Callable[..., Any]
    beside: Mapping[str, object]
    file: str
    digest: str
    made_with: tuple[str, ...] = field(default=())

    @property
    def line(self) -> int:
        """Where the function begins."""
        code: CodeType = inspect.unwrap(self.function).__code__
        return code.co_firstlineno

    def line_of(self, error: BaseException) -> int:
        """The last line of the user's file that an error passed; the function's where it passed none."""
        found, step = self.line, error.__traceback__
        named = inspect.unwrap(self.function).__code__.co_filename
        while step is not None:
            if step.tb_frame.f_code.co_filename == named:
                found = step.tb_lineno
            step = step.tb_next
        return found


def read_source(argument: str, where: str) -> Source:
    """The metric that a user names.

    Args:
        argument: For messages.
        where: ``FILE.py:FUNCTION``, or the name of an entry point of the group ``loralift.metrics``.

    Raises:
        UsageError: It is neither.
        MetricError: The file cannot be read or run, or there is no such function in it.
    """
    file, colon, name = where.rpartition(":")
    if colon and file.endswith(".py"):
        return _from_file(file, name)
    if file or where.endswith(".py"):
        raise UsageError(wrong_argument(argument, SPELLED, where))
    return _from_package(argument, where)


def read_function(function: Callable[..., Any]) -> Source:
    """A function as it is, as Python's users give it.

    What is declared beside it counts where its module was imported: in a script or a notebook a variable `margin` may
    be anything.

    Raises:
        UsageError: It is no function.
    """
    if not inspect.isfunction(inspect.unwrap(function)):
        raise UsageError(wrong_argument("metrics", "of names and functions", function))
    module = None if function.__module__ == "__main__" else sys.modules.get(function.__module__)
    file = inspect.unwrap(function).__code__.co_filename
    digest = _digest("".join(_made_of(inspect.unwrap(function), set())).encode("utf-8", "surrogatepass"))
    return Source(function.__name__, "", function, vars(module) if module else {}, file, digest)


def installed_names() -> set[str]:
    """The metrics that installed packages bring."""
    return {point.name for point in installed.entry_points(group=GROUP)}


def _from_file(file: str, name: str) -> Source:
    content = read_bytes(Path(file), MetricError)
    digest, here = _digest(content), Path.cwd()
    try:
        tree = ast.parse(content, file)
        made_with = tuple(_installed(file, tree))
        module = ModuleType(f"loralift_metric_{digest}")
        module.__file__ = file
        sys.modules[module.__name__] = module  # dataclasses and pickles look there
        exec(compile(content, file, "exec", dont_inherit=True), vars(module))
    except LoraLiftError:
        raise
    except SyntaxError as error:
        raise MetricError(f"{file}:{error.lineno or 1}: not Python: {error.msg}") from None
    except (Exception, SystemExit) as error:
        raise MetricError(f"{file}:{_last_line(error, file)}: cannot be run: {_said(error)}") from error
    finally:
        os.chdir(here)
    functions = [key for key, value in vars(module).items() if inspect.isfunction(value) and not key.startswith("_")]
    function = vars(module).get(name)
    if not callable(function) or not inspect.isfunction(inspect.unwrap(function)):
        raise MetricError(f"{file} has no function {name!r}, but {some(functions) or 'none'}: name one, as {file}:NAME")
    return Source(name, f"{Path(file).absolute()}:{name}", function, vars(module), file, digest, made_with)


def _from_package(argument: str, where: str) -> Source:
    points = installed.entry_points(group=GROUP)
    found = {(point.value, point.dist.name if point.dist else ""): point for point in points if point.name == where}
    if not found:
        named = some(sorted(installed_names())) or "none"
        raise UsageError(wrong_argument(argument, f"{SPELLED} ({named}; ours are named by --metrics)", where))
    if len(found) > 1:
        raise MetricError(f"{len(found)} installed packages have a metric {where!r}: uninstall all but one")
    [point] = found.values()
    try:
        function = point.load()
        file = inspect.getsourcefile(inspect.unwrap(function)) or ""
        content = read_bytes(Path(file), MetricError)
    except LoraLiftError:
        raise
    except (Exception, SystemExit) as error:
        raise MetricError(f"the installed metric {where} ({point.value}) cannot be loaded: {_said(error)}") from error
    if not inspect.isfunction(inspect.unwrap(function)):
        raise MetricError(f"the installed metric {where} ({point.value}) is no function: mend its package")
    made_with = (f"{point.dist.name} {point.dist.version}",) if point.dist else ()
    return Source(where, where, function, vars(sys.modules[function.__module__]), file, _digest(content), made_with)


def _installed(file: str, tree: ast.AST) -> Iterator[str]:
    """The packages that a file imports, anywhere in it, and their versions.

    Raises:
        MetricError: It imports what is not installed but lies about, which its hash would not see change.
    """
    names: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update({alias.name.partition(".")[0]: node.lineno for alias in node.names})
        elif isinstance(node, ast.ImportFrom):
            names[(node.module or "").partition(".")[0] if not node.level else ""] = node.lineno
    others = {name: line for name, line in names.items() if name not in {*sys.stdlib_module_names, "loralift"}}
    packages = installed.packages_distributions() if others else {}
    for name, line in others.items():
        spec = find_spec(name) if name else None
        there = any(Path(file).parent.glob(f"{name}.py")) or (Path(file).parent / name).is_dir()
        if name and spec is None and not there:
            continue  # the import itself says it
        if name not in packages or _beside(spec, file):
            raise MetricError(
                f"{file}:{line}: imports {name or 'from its own folder'}, which is not installed, so nobody would see "
                "it change: put it into the file, or install it as a package"
            )
        yield from (f"{package} {installed.version(package)}" for package in dict.fromkeys(packages[name]))


def _beside(spec: Any, file: str) -> bool:
    """Whether an import finds what lies in the working directory or beside the file."""
    places = [spec.origin] if spec.origin else list(spec.submodule_search_locations or ())
    about = {Path.cwd(), Path(file).absolute().parent}
    return any(about & set(Path(place).absolute().parents[:2]) for place in places)


def _made_of(function: Any, seen: set[object]) -> Iterator[str]:
    """All that shapes a function's values, as far as it can be seen: its source, and what it takes from around it."""
    if function in seen:
        return
    seen.add(function)
    try:
        yield inspect.getsource(function)
    except (OSError, TypeError):
        yield f"{function.__code__.co_code!r}{function.__code__.co_consts!r}"
    cells = list(inspect.getclosurevars(function).nonlocals.values())
    around = [function.__globals__[name] for name in _names(function.__code__) if name in function.__globals__]
    for value in (function.__defaults__, function.__kwdefaults__, *cells, *around):
        if isinstance(value, FunctionType) and value.__module__ == function.__module__:
            yield from _made_of(value, seen)
        elif isinstance(value, PLAIN):
            yield repr(value)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _last_line(error: BaseException, file: str) -> int:
    line, step = 1, error.__traceback__
    while step is not None:
        line = step.tb_lineno if step.tb_frame.f_code.co_filename == file else line
        step = step.tb_next
    return line


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {first_line(error)}"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
