"""`--offline` and HF_HUB_OFFLINE are kept to their word: sockets are watched, in the scoring process too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

WATCH = Path(__file__).parent / "watch_sockets"

COMMANDS = """
import json, sys
from loralift.cli import main
for arguments in json.loads(sys.argv[1]):
    if arguments == ["two processes"]:
        from loralift.workflow import scoring_process
        scoring_process.MANY_ROWS, scoring_process.cores = 1, lambda: 2
        continue
    try:
        main(arguments)
    except SystemExit as ended:
        print("CODE", ended.code, flush=True)
"""


def seen(folder: Path, commands: list[list[str]], **environment: str) -> tuple[list[str], str, list[str]]:
    """Run commands in one new process; give their exit codes, what they said, and what they asked of a network."""
    log = folder / "sockets.txt"
    inherited = {name: value for name, value in os.environ.items() if "OFFLINE" not in name}
    path = os.pathsep.join([str(WATCH), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, json.dumps(commands)],
        env=inherited | {"PYTHONPATH": path, "SOCKETS_SEEN": str(log), "HF_HOME": str(folder / "hub")} | environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    codes = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("CODE ")]
    return codes, done.stderr, log.read_text(encoding="utf-8").splitlines() if log.exists() else []


def strangers(arguments: list[str]) -> list[list[str]]:
    """The run with one thing that lies on a hub: the base, the adapter, the data, the embedding model."""
    commands = []
    for flag, value in (
        ("--model", "no-such/model"),
        ("--adapter", "letters=no-such/adapter"),
        ("--dataset", "hf://no-such/data"),
        ("--dataset", "beir://no-such-data"),
    ):
        place = arguments.index(flag) + 1
        commands.append([*arguments[:place], value, *arguments[place + 1 :]])
    place = arguments.index("--metrics")
    embedding = ["--metrics", "semantic_similarity", "--semantic-similarity-model", "no-such/embedding"]
    commands.append([*arguments[:place], *embedding])
    return commands


@pytest.mark.thorough
def test_the_watch_sees_a_hub_that_is_asked(tmp_path: Path, arguments: list[str]) -> None:
    codes, _, sockets = seen(tmp_path, [strangers(arguments)[0]])
    assert codes == ["2"]
    assert any("huggingface" in line or "getaddrinfo" in line for line in sockets)


@pytest.mark.thorough
@pytest.mark.parametrize("flag", [True, False], ids=["--offline", "HF_HUB_OFFLINE"])
def test_nothing_asks_a_network(tmp_path: Path, arguments: list[str], flag: bool) -> None:
    offline = ["--offline"] if flag else []
    local = [*arguments, *offline, "-o", str(tmp_path / "run"), "--limit", "5"]
    local[local.index("--metrics") + 1] = "f1,semantic_similarity,perplexity"
    # another process scores in the first form only: it and those that draw inherit what either form has set
    beside = [["two processes"]] if flag else []
    commands = [[*command, *offline] for command in strangers(arguments)] + [*beside, local]
    codes, said, sockets = seen(tmp_path, commands, **({} if flag else {"HF_HUB_OFFLINE": "1"}))
    assert sockets == []
    processes = (tmp_path / "sockets.txt.processes").read_text(encoding="utf-8").split()
    assert len(processes) == 2 + flag  # one draws, and one scores
    assert codes == ["2"] * 5 + ["0"]
    assert "Traceback" not in said
    lines = [line for line in said.splitlines() if line.startswith("loralift: ")]
    for line, name in zip(lines, ("model", "adapter", "data", "such-data", "embedding"), strict=True):
        assert name in line
