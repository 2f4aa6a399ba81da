"""Are torch, transformers, PEFT and vLLM of versions that LoraLift was tested with?

Its loop lives in parts of these that they change without notice, so the bounds are those that the tests ran on: the
lowest by `make lowest`. They stand in the package's own requirements and nowhere else.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, requires, version

from loralift.errors import VersionError

BOUNDED = ("torch", "transformers", "peft")


def refuse_untested(packages: tuple[str, ...] = BOUNDED) -> None:
    """Refuse a version that is out of its bounds, before anything of it is imported.

    Raises:
        VersionError: There is one; the message names it, its bounds and the pip line.
    """
    if problem := next(filter(None, map(untested, packages)), None):
        raise VersionError(problem)


def untested(package: str) -> str | None:
    """What is wrong with the installed version of a package; None where it is within its bounds, or not installed."""
    from packaging.requirements import Requirement

    try:
        wanted = [Requirement(text) for text in requires("loralift") or ()]
        found = version(package)
    except PackageNotFoundError:  # of LoraLift too, where it is run from its sources: nothing says the bounds then
        return None
    bounds = next((one.specifier for one in wanted if one.name == package), None)
    if bounds is None or bounds.contains(found, prereleases=True):
        return None
    return f"{package} {found} is installed, LoraLift was tested with {bounds}: pip install '{package}{bounds}'"
