"""Is what runs models installed, and are the packages whose internals LoraLift uses of versions that it was tested on?

Those of torch, transformers, PEFT, vLLM and lm-eval change without notice. So only the versions that the
tests ran on are allowed, the lowest of them by `make lowest`. The bounds are read from the package's own requirements.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec

from loralift.errors import MissingExtraError, VersionError

BOUNDED = ("torch", "transformers", "peft")

RUN = "run"
"""The extra that brings what runs models, scores answers and draws charts."""

OF_RUN = ("torch", "transformers", "peft", "nemo_evaluator", "altair", "vl_convert", "sacrebleu", "rouge_score")
"""Modules by which it is seen whether RUN is installed."""


def need_run(feature: str) -> None:
    """Refuse what the light package cannot do; called before anything of RUN is imported.

    Args:
        feature: What needs it, as the message's first words.

    Raises:
        MissingExtraError: It is not installed; the message gives the pip line.
    """
    if not all(map(installed, OF_RUN)):
        raise MissingExtraError(feature, RUN)


def installed(module: str) -> bool:
    """Whether a module can be imported."""
    return find_spec(module) is not None


def refuse_untested(packages: tuple[str, ...] = BOUNDED) -> None:
    """Refuse installed versions outside of the tested bounds; called before the packages are imported.

    Raises:
        VersionError: A version is outside; the message names it, its bounds and the pip command.
    """
    if problem := next(filter(None, map(untested, packages)), None):
        raise VersionError(problem)


def untested(package: str) -> str | None:
    """What is wrong with a package's installed version; None where it is within bounds or not installed."""
    from packaging.requirements import Requirement

    try:
        wanted = [Requirement(text) for text in requires("loralift") or ()]
        found = version(package)
    except PackageNotFoundError:  # or LoraLift is not installed, so that there are no bounds to read
        return None
    bounds = next((one.specifier for one in wanted if one.name == package), None)
    if bounds is None or bounds.contains(found, prereleases=True):
        return None
    return f"{package} {found} is installed, LoraLift was tested with {bounds}: pip install '{package}{bounds}'"
