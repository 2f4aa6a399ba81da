"""LoraLift: did the LoRA lift the model?

>>> from loralift import Evaluator
>>> evaluator = Evaluator(metrics=["rouge", "f1"])
>>> base = evaluator.evaluate(predictions=["a cat"], references=["the cat sat"], name="base")
>>> mine = evaluator.evaluate(predictions=["the cat sat"], references=["the cat sat"], name="mine")
>>> evaluator.compare(base, mine).verdicts["mine"]
'inconclusive'

The public API is what `__all__` names, and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loralift.version import VERSION

if TYPE_CHECKING:
    from loralift.api import compare, evaluate
    from loralift.evaluator import Evaluator

__version__ = VERSION

__all__ = ["Evaluator", "__version__", "compare", "evaluate"]

_HOMES = {
    "Evaluator": "loralift.evaluator",
    "compare": "loralift.api",
    "evaluate": "loralift.api",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `import loralift` and `loralift --help` stay instant."""
    if name not in _HOMES:
        raise AttributeError(f"module 'loralift' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
