"""The command line: one file a verb.

Exit codes as in `nel`: 0 fine, 1 the condition of `--fail-on` holds, 2 what is wrong is said in one line, 3 a bug.

Each verb imports what it needs when it runs, so that `loralift --help` is there at once; this page imports none, so
that a broken installation is one line too.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

from loralift.cli.ending import BUG, code_of, flush, ready_streams


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code; an error of ours is one line, and nothing is a traceback."""
    # Before torch is loaded: its threads then sleep while they wait for each other. Spinning, two of them on two cores
    # beside another busy process took 1.7 times as long for the whole demo.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # And its large tensors lie in large pages: up to a fifth more tokens a second on two cores.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        ready_streams()
        from loralift.cli.commands import run_commands

        code = run_commands(arguments)
        flush()
    except BaseException as error:  # noqa: BLE001 - the gate reads Python's 1 as "worse"
        code = BUG
        with contextlib.suppress(BaseException):  # a second Ctrl-C, or no memory even for one line
            code = code_of(error, next((word for word in arguments if not word.startswith("-")), ""))
    sys.exit(code)
