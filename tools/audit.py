"""Look the pinned packages up in the Python advisory database; exit code 1 for a known vulnerability.

    python tools/audit.py requirements.txt requirements-dev.txt

Where the database cannot be reached, or knows next to none of the packages, one line says so, and the exit code is 0:
a check that did not happen is no failure, and must not look like a success.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

ACCEPTED: dict[str, str] = {}
"""An advisory's id to why it does not concern LoraLift; anything else that is found is exit code 1."""

SECONDS = 10
"""Longest wait for one answer of the database; without a network the first fails at once."""

MOST_SECONDS = 60
KNOWN_SHARE = 0.5


def main(requirements: Sequence[str]) -> int:
    """Audit requirements files and print what was found."""
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--progress-spinner", "off"]
    command += ["--format", "json", "--timeout", str(SECONDS)]
    for path in requirements:
        command += ["-r", path]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=MOST_SECONDS, check=False)
        packages = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, json.JSONDecodeError) as error:
        said = done.stderr.strip().splitlines() if isinstance(error, json.JSONDecodeError) else [str(error)]
        return _not_done(said[-1][:200] if said else "no answer")
    known = [package for package in packages if "skip_reason" not in package]
    if len(known) < KNOWN_SHARE * len(packages):
        return _not_done(f"it knows {len(known)} of {len(packages)} packages")
    return _report(known, len(packages))


def _report(known: Sequence[dict[str, Any]], packages: int) -> int:
    found = [(package, advisory) for package in known for advisory in package["vulns"]]
    open_ones = [(p, a) for p, a in found if not {a["id"], *a["aliases"]} & ACCEPTED.keys()]
    for package, advisory in open_ones:
        mended = ", ".join(advisory["fix_versions"]) or "no release"
        print(f"{package['name']} {package['version']}: {advisory['id']}, mended in {mended}")
    looked_up = f"{len(known)} of {packages} packages looked up"
    print(f"audit: {looked_up}, {len(open_ones)} vulnerabilities, {len(found) - len(open_ones)} accepted")
    return int(bool(open_ones))


def _not_done(why: str) -> int:
    print(f"audit: not done, the advisory database cannot be asked here: {why}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
