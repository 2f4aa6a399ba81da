"""What stands behind ``lm-eval:``: the name of a task or a group, or the path of a task file, and options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

from loralift import arguments
from loralift.errors import UsageError, wrong_argument
from loralift.reading import reading

FORM = "lm-eval:TASK or lm-eval:FILE.yaml, perhaps with ?num_fewshot=N"

MOST_SHOTS = 1_000


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """A task that is asked for.

    Attributes:
        name: As it was written, without options.
        path: The task file; None: ``name`` is one of lm_eval's own.
        num_fewshot: Worked examples; None: as many as the task says.
    """

    name: str
    path: Path | None = None
    num_fewshot: int | None = None


def parse_task(text: str) -> TaskSpec:
    """Read what stands behind ``lm-eval:``.

    >>> parse_task("mmlu?num_fewshot=5")
    TaskSpec(name='mmlu', path=None, num_fewshot=5)

    Raises:
        UsageError: It is not of this form, or there is no such file.
    """
    name, mark, query = text.partition("?")
    options = parse_qsl(query, keep_blank_values=True)
    if not name.strip() or (mark and [key for key, _ in options] != ["num_fewshot"]):
        raise UsageError(wrong_argument("--also", FORM, f"lm-eval:{text}"))
    shots = None
    for key, value in options:
        shots = arguments.whole_number(f"{key} of lm-eval:{name}", value, 0, MOST_SHOTS)
    if not name.endswith((".yaml", ".yml")):
        return TaskSpec(name, None, shots)
    with reading(f"--also lm-eval:{name}", UsageError, "give the file of a task of lm-evaluation-harness"):
        path = Path(name).expanduser().resolve()
        if not path.is_file():
            raise FileNotFoundError
    return TaskSpec(name, path, shots)
