"""The GitHub Action: valid by the published schema; its steps do what they say in the shell that a runner starts."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[1]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS = {step["id"]: step for step in ACTION["runs"]["steps"]}

PYTHON = """#!/bin/bash
if [ "$2" = venv ]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; exit; fi
echo "$@" > "$RUNNER_TEMP/pip"
printf '#!/bin/bash\\nexec "{python}" -m loralift "$@"\\n' > "${{0%/*}}/loralift"
chmod +x "${{0%/*}}/loralift"
"""
"""Python as the job has it; its `pip install` installs what is tested here."""

GH = """#!/bin/bash
printf '%s\\n' "$@" > "$RUNNER_TEMP/gh"
cat "${@: -1}" > "$RUNNER_TEMP/commented"
exit "${GH_CODE:-0}"
"""


@dataclass
class Job:
    """A job of GitHub Actions that uses the action, in a folder of its own."""

    place: Path
    inputs: dict[str, str]
    outputs: dict[str, str] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, of in ACTION["inputs"].items():
            assert of.get("required", False) <= (name in self.inputs)
            self.inputs.setdefault(name, self.value_of(of.get("default", "")))
        (self.place / "temp").mkdir()
        (self.place / "bin").mkdir()
        for name, script in (("python", PYTHON.format(python=sys.executable)), ("gh", GH)):
            (self.place / "bin" / name).write_text(script, encoding="utf-8")
            (self.place / "bin" / name).chmod(0o755)

    def value_of(self, text: str) -> str:
        """A text whose one expression, if it is one, is known here; any other is an error of the test."""
        text = str(text)
        if not text.startswith("${{"):
            assert "${{" not in text, "an expression within a script or a text could be code of a stranger's"
            return text
        expression = text.removeprefix("${{").removesuffix("}}").strip()
        known = {
            "github.token": "secret",
            "github.event.pull_request.number": "7",
            "steps.python.outputs.python-path": str(self.place / "bin" / "python"),
            "inputs.package || github.action_path": self.inputs.get("package") or "/actions/loralift",
            "inputs.body-file || format('{0}/loralift.md', runner.temp)": self.inputs.get("body-file")
            or str(self.place / "temp" / "loralift.md"),
            "inputs.comment == 'true'": str(self.inputs.get("comment") == "true"),
            **{f"inputs.{name}": given for name, given in self.inputs.items()},
            **{f"steps.compare.outputs.{name}": given for name, given in self.outputs.items()},
        }
        return known[expression]

    def run(self) -> int:
        """All steps in order, until one fails; its exit code."""
        for name, step in STEPS.items():
            if self.value_of(step.get("if", "True")) != "True" or "run" not in step:
                continue
            self.ran.append(name)
            if code := self.step(name).returncode:
                return code
        return 0

    def step(self, name: str) -> subprocess.CompletedProcess[str]:
        """One step, as a runner starts it."""
        script = self.place / "temp" / f"{name}.sh"
        script.write_text(STEPS[name]["run"], encoding="utf-8")
        temp = self.place / "temp"
        environment = {
            "PATH": f"{self.place / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self.place),
            "PYTHONPATH": str(ROOT / "src"),
            "LANG": "C.UTF-8",
            "RUNNER_TEMP": str(temp),
            "GITHUB_OUTPUT": str(temp / "output"),
            "GITHUB_STEP_SUMMARY": str(temp / "summary"),
            "GITHUB_REPOSITORY": "owner/name",
            **{key: self.value_of(value) for key, value in STEPS[name].get("env", {}).items()},
            **self.environment,
        }
        command = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)]
        done = subprocess.run(
            command, cwd=self.place, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        if (temp / "output").exists():
            lines = (temp / "output").read_text(encoding="utf-8").splitlines()
            self.outputs = dict(line.split("=", 1) for line in lines)
        self.said = done.stdout + done.stderr
        return done

    def read(self, name: str) -> str:
        """A file that a step left in RUNNER_TEMP."""
        return (self.place / "temp" / name).read_text(encoding="utf-8")


@pytest.fixture
def scores(tmp_path: Path) -> tuple[str, str]:
    """Two files of scores, the second one better, with names that a shell would take for more than names."""
    draw = random.Random(0)
    rows = [draw.random() * 0.9 for _ in range(60)]
    names = "-before `touch a`.jsonl", "after $(touch b) *; touch c @octocat.jsonl"
    for name, gain in zip(names, (0.0, 0.1), strict=True):
        lines = [{"id": str(row), "f1": value + gain * draw.random()} for row, value in enumerate(rows)]
        (tmp_path / name).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return names


def job(place: Path, baseline: str, candidate: str, **inputs: str) -> Job:
    given = {name.replace("_", "-"): value for name, value in inputs.items()}
    return Job(place, {"baseline": baseline, "candidate": candidate, **given})


def test_it_is_valid_by_the_published_schema() -> None:
    """SchemaStore's github-action.json (Apache-2.0), as check-jsonschema 0.39.0 has it."""
    schema: dict[str, Any] = json.loads((ROOT / "tests/schemas/github-action.json").read_text(encoding="utf-8"))
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.Draft7Validator(schema).validate(ACTION)
    broken = {**ACTION, "runs": {**ACTION["runs"], "steps": [{"run": "true"}]}}  # a step without a shell
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(schema).validate(broken)


def test_a_better_one_passes_and_is_commented(tmp_path: Path, scores: tuple[str, str]) -> None:
    of = job(tmp_path, *scores, fail_on="worse not-better", flags="--margin=f1=0.01\n\n--primary=f1\n", comment="true")
    assert of.run() == 0, of.said
    assert of.ran == ["install", "compare", "comment", "verdict"]
    assert of.read("pip") == "-m pip install --quiet --disable-pip-version-check /actions/loralift\n"
    body = of.read("loralift.md")
    assert "is BETTER than" in body
    assert "| Token F1 ↑ ★ |" in body
    assert "@octocat" not in body
    assert body == of.read("commented") == of.read("summary")
    assert of.outputs == {"exit-code": "0", "body-file": str(tmp_path / "temp" / "loralift.md")}
    *called, file = of.read("gh").splitlines()
    assert called == ["pr", "comment", "7", "--repo", "owner/name", "--body-file"]
    assert file == str(tmp_path / "temp" / "loralift.comment.md")
    assert not [name for name in "abc" if (tmp_path / name).exists()]
    assert "secret" not in body


def test_a_worse_one_fails_once_its_table_is_there(tmp_path: Path, scores: tuple[str, str]) -> None:
    of = job(tmp_path, *reversed(scores), body_file="new/folder/body.md")
    assert of.run() == 1
    assert (of.ran, of.outputs["exit-code"]) == (["install", "compare", "verdict"], "1")
    body = (tmp_path / "new/folder/body.md").read_text(encoding="utf-8")
    assert "is WORSE than" in body
    assert "\n---\n\n    loralift: --fail-on worse: " in body


def test_without_a_condition_no_verdict_fails(tmp_path: Path, scores: tuple[str, str]) -> None:
    assert job(tmp_path, *reversed(scores), fail_on="").run() == 0


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"fail_on": "*"}, "`--fail-on` must be worse or not-better or fragile, got '*'"),
        ({"flags": "--primary=rougeL"}, "rougeL"),
        ({"package": "loralift==0.1.0", "flags": "--none"}, "No such option"),
    ],
)
def test_what_was_not_judged_fails_and_is_in_the_table(
    tmp_path: Path, scores: tuple[str, str], inputs: dict[str, str], said: str
) -> None:
    of = job(tmp_path, *scores, **inputs)
    assert of.run() == 2
    assert re.search(f"\n    loralift: .*{re.escape(said)}", of.read("loralift.md"))
    assert of.read("pip").endswith(inputs.get("package", "/actions/loralift") + "\n")


@pytest.mark.parametrize(
    ("inputs", "environment", "said"),
    [
        ({"token": ""}, {}, "it takes a token"),
        ({"pull_request": ""}, {}, "it takes a token and the number of a pull request"),
        ({}, {"GH_CODE": "1"}, "the token may not write one"),
    ],
)
def test_what_cannot_be_commented_is_a_warning(
    tmp_path: Path, inputs: dict[str, str], environment: dict[str, str], said: str
) -> None:
    of = job(tmp_path, "a", "b", comment="true", **inputs)
    of.environment = environment
    (tmp_path / "temp" / "loralift.md").write_text("a table\n", encoding="utf-8")
    of.outputs = {"body-file": str(tmp_path / "temp" / "loralift.md")}
    done = of.step("comment")
    assert done.returncode == 0
    assert done.stdout.startswith("::warning title=LoraLift::no comment: ")
    assert said in done.stdout
    assert (tmp_path / "temp" / "gh").exists() == bool(environment)


def test_a_table_that_is_too_long_for_a_comment_is_cut_between_lines(tmp_path: Path) -> None:
    of = job(tmp_path, "a", "b", comment="true")
    (tmp_path / "temp" / "loralift.md").write_text("x" + "é" * 100 + "\n" + ("é" * 100 + "\n") * 700, encoding="utf-8")
    of.outputs = {"body-file": str(tmp_path / "temp" / "loralift.md")}
    assert of.step("comment").returncode == 0
    commented = of.read("commented")
    assert commented.endswith("é" * 100 + "\n\n\n(cut: the whole table is in the summary of the job)\n")
    assert 28_000 < len(commented) < 65_536


def test_a_comparison_that_did_not_end_is_no_pass(tmp_path: Path) -> None:
    of = job(tmp_path, "a", "b")
    of.outputs = {"exit-code": ""}
    done = of.step("verdict")
    assert done.returncode == 3
    assert "the comparison did not end" in done.stdout
