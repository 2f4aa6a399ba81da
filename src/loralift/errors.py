"""Every error that LoraLift raises on purpose, as one tree.

::

    LoraLiftError               the message is one line that tells its reader what to do
    ├── UsageError              an argument, a flag or a key of the configuration
    │   └── MissingExtraError   an optional package is needed; the message gives the pip line
    ├── VersionError            an installed package is of a version that was not tested
    ├── DataError               a data set, a file, a line of a file
    ├── MetricError             a metric of the user's own that cannot be loaded, or fails
    ├── ModelError              a base model or its tokenizer
    │   └── MixedError          a server that became another while it was asked
    ├── AdapterError            an adapter that cannot be, or was not, applied
    ├── RunDirectoryError       a run directory that cannot be read, written or resumed
    ├── JudgeError              a judge that cannot be asked, or that does not judge
    ├── TrackingError           an experiment tracker that cannot be reached, or refuses what it is sent
    └── ComparisonError         scores that cannot be compared

The command line prints the message and exits with 2; anything outside this tree is a bug: exit code 3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from reprlib import Repr

from loralift.visible import one_line

MOST_CHARACTERS = 2_000
"""Longest message; some name what a stranger wrote, which may be megabytes."""


class LoraLiftError(Exception):
    """The root: catch this to catch everything that LoraLift raises on purpose.

    The message is one line, at most MOST_CHARACTERS long, whose control characters are escaped.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(one_line(message, MOST_CHARACTERS))


class UsageError(LoraLiftError):
    """An argument is not what it must be."""


class MissingExtraError(UsageError):
    """A feature needs a package that an extra brings."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs a package that is not installed: pip install 'loralift[{extra}]'")
        self.feature, self.extra = feature, extra

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        """How it comes whole from another process, which would else make it of its message alone."""
        return type(self), (self.feature, self.extra)


class VersionError(LoraLiftError):
    """A package is installed in a version that LoraLift was not tested with; the message gives the pip line."""


class DataError(LoraLiftError):
    """A data set cannot be read, or says something that cannot be evaluated."""


class MetricError(LoraLiftError):
    """A metric of the user's own cannot be loaded, fails, or returns what no metric may; names file and line."""


class ModelError(LoraLiftError):
    """A base model cannot be found, loaded or run."""


class MixedError(ModelError):
    """A server became another while it was asked: what it replied meanwhile may be of either."""


class AdapterError(LoraLiftError):
    """An adapter does not fit its base model, or does not act on it.

    Attributes:
        adapter: Its name, where one adapter is to blame.
    """

    adapter: str | None = None


@contextmanager
def about_adapter(name: str) -> Iterator[None]:
    """Note on every AdapterError that passes which adapter it is about."""
    try:
        yield
    except AdapterError as error:
        error.adapter = name
        raise


class RunDirectoryError(LoraLiftError):
    """A run directory is incomplete, was made by another configuration, or cannot be written."""


class JudgeError(LoraLiftError):
    """A judge cannot be asked, or is not believed as it does not judge."""


class TrackingError(LoraLiftError):
    """An experiment tracker cannot be reached, or refuses what it is sent; no credentials are in the message."""


class ComparisonError(LoraLiftError):
    """Two sets of scores have nothing that can be compared."""


def wrong_argument(argument: str, allowed: str, came: object) -> str:
    """The one sentence of every argument error: what it is, what is allowed, what came.

    >>> wrong_argument("--limit", "a positive integer", -3)
    '`--limit` must be a positive integer, got -3'
    """
    return f"`{argument}` must be {allowed}, got {shown(came)}"


def shown(value: object) -> str:
    """A value as Python writes it, shortened where it is long or nested, whatever it is.

    >>> shown([1, "a"]), shown(10**5_000)
    ("[1, 'a']", 'an integer of more than 4,300 digits')
    """
    try:
        return _SHORT.repr(value)
    except ValueError:
        return "an integer of more than 4,300 digits"
    except Exception as error:  # noqa: BLE001 - a stranger's __repr__ may raise anything
        return f"a {type(value).__name__} ({type(error).__name__})"


_SHORT = Repr(maxlevel=2, maxstring=200, maxother=200, maxlong=100)
"""Of a few kilobytes of YAML whose parts refer to each other, `repr` would write gigabytes."""


def first_line(error: BaseException) -> str:
    r"""The first line of what another library's error says, or its class's name where it says nothing.

    >>> first_line(ValueError("no such file\nTraceback ..."))
    'no such file'
    """
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__


def some(names: Iterable[object], most: int = 5) -> str:
    """The first few of many names, and how many more there are.

    >>> some(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    listed = [str(name) for name in names]
    if len(listed) <= most:
        return ", ".join(listed)
    return f"{', '.join(listed[:most])} and {len(listed) - most} more"
