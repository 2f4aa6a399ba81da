"""What is not looked up is said, and what is vulnerable fails."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tools import audit

VULNERABLE = {"name": "x", "version": "1", "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["2"]}]}
SOUND = {"name": "y", "version": "1", "vulns": []}
UNKNOWN = {"name": "z", "skip_reason": "not found"}


def answer(monkeypatch: pytest.MonkeyPatch, packages: list[dict[str, Any]] | None, said: str = "") -> None:
    """Let pip-audit answer this."""
    text = "" if packages is None else json.dumps({"dependencies": packages})

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, text, said)

    monkeypatch.setattr(subprocess, "run", run)


@pytest.mark.parametrize(
    ("packages", "accepted", "code", "said"),
    [
        ([SOUND, SOUND], {}, 0, "2 of 2 packages looked up, 0 vulnerabilities"),
        ([SOUND, VULNERABLE], {}, 1, "x 1: PYSEC-1, mended in 2"),
        ([SOUND, VULNERABLE], {"CVE-1": "not used"}, 0, "1 accepted"),
        ([UNKNOWN, UNKNOWN, SOUND], {}, 0, "not done, the advisory database cannot be asked here: it knows 1 of 3"),
        (None, {}, 0, "not done, the advisory database cannot be asked here: no route"),
    ],
)
def test_the_audit(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    packages: list[dict[str, Any]] | None,
    accepted: dict[str, str],
    code: int,
    said: str,
) -> None:
    answer(monkeypatch, packages, "noise\nno route")
    monkeypatch.setattr(audit, "ACCEPTED", accepted)
    assert audit.main(["requirements.txt"]) == code
    assert said in capsys.readouterr().out
