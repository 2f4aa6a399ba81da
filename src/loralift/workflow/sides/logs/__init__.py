"""Logs of other tools: one module a tool, which says by what shape its logs are known, and reads them.

To add a tool's log: one module beside these with a `Tool`, and one line in TOOLS. Its test reads a file that the tool
itself wrote, and compares the values with what the tool printed.
"""

from __future__ import annotations

from loralift.workflow.sides.contents import Content
from loralift.workflow.sides.logs import (
    deepeval,
    evalscope,
    inspect_ai,
    lighteval,
    lm_eval,
    mlflow,
    opencompass,
    promptfoo,
)
from loralift.workflow.sides.logs.log import Log, Tool

TOOLS: tuple[Tool, ...] = (
    lm_eval.TOOL,
    inspect_ai.TOOL,
    lighteval.TOOL,
    promptfoo.TOOL,
    mlflow.TOOL,
    deepeval.TOOL,
    evalscope.TOOL,
    opencompass.TOOL,
)
"""Every tool whose logs are read; no file has the shape of two."""


def read_log(content: Content, chosen: str | None) -> Log | None:
    """A file as the log of the tool that wrote it; None where no tool of TOOLS did.

    Args:
        content: The file.
        chosen: The filter that the user chose; None: none.

    Raises:
        ComparisonError: The tool is known, and the file is not as it writes it, or holds nothing to compare.
        UsageError: It has no such filter.
    """
    tool = next((tool for tool in TOOLS if tool.is_log(content)), None)
    return None if tool is None else tool.read(content, chosen)
