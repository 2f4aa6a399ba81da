"""The job files part a run as many times as they say, and call commands that there are."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from loralift.cli.commands import commands
from loralift.workflow.sharding import Shard, parse_shard, shard_of_environment

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SLURM = EXAMPLES / "slurm"


def parsed(line: list[str]) -> dict[str, Any]:
    """What click makes of a command line, without running it."""
    verb = commands.get_command(click.Context(commands), line[1])
    assert line[0] == "loralift"
    assert verb is not None
    return verb.make_context(line[1], line[2:]).params


def job(name: str) -> dict[str, Any]:
    """A Kubernetes Job."""
    found: dict[str, Any] = yaml.safe_load((EXAMPLES / "kubernetes" / name).read_text(encoding="utf-8"))
    assert (found["apiVersion"], found["kind"]) == ("batch/v1", "Job")
    return found["spec"]


def container(spec: dict[str, Any]) -> dict[str, Any]:
    """Its only container."""
    (found,) = spec["template"]["spec"]["containers"]
    return found


def filled(text: str, variables: dict[str, str]) -> str:
    """A text with each variable's value, spelled as a shell or as Kubernetes does."""
    return re.sub(r"\$(?:\((\w+)\)|(\w+))", lambda found: variables[found[1] or found[2]], text)


@pytest.mark.parametrize("index", [0, 3, 7])
def test_each_task_of_the_slurm_array_is_a_shard_of_its_own(index: int) -> None:
    text = (SLURM / "shards.sbatch").read_text(encoding="utf-8")
    first, last = map(int, re.findall(r"^#SBATCH --array=(\d+)-(\d+)$", text, re.MULTILINE)[0])
    shards = re.findall(r"^SHARDS=(\d+)$", text, re.MULTILINE)[0]
    assert (first, last + 1) == (0, int(shards))
    line = text.rstrip("\n").rpartition("\n")[2]
    said = parsed(shlex.split(filled(line, {"SLURM_ARRAY_TASK_ID": str(index), "SHARDS": shards})))
    assert parse_shard(said["shard"]) == Shard(index, 8)
    assert (said["resume"], said["output_dir"]) == (True, f"runs/nightly/shard-{index}")


def test_each_pod_of_the_indexed_job_is_a_shard_of_its_own() -> None:
    spec = job("shards.yaml")
    pod = container(spec)
    index, total = pod["env"]
    assert spec["completionMode"] == "Indexed"
    assert index["valueFrom"]["fieldRef"]["fieldPath"] == (
        "metadata.annotations['batch.kubernetes.io/job-completion-index']"
    )
    assert int(total["value"]) == spec["completions"]
    environment = {index["name"]: "7", total["name"]: total["value"]}
    found = shard_of_environment(environment)
    assert found is not None
    assert found[0] == Shard(7, 8)
    said = parsed([*pod["command"], *(filled(word, environment) for word in pod["args"])])
    assert (said["resume"], said["output_dir"], said["shard"]) == (True, "runs/nightly/shard-7", None)
    (rule,) = spec["podFailurePolicy"]["rules"]
    assert (rule["action"], rule["onExitCodes"]["values"]) == ("FailJob", [2])
    assert rule["onExitCodes"]["containerName"] == pod["name"]
    assert spec["template"]["spec"]["restartPolicy"] == "Never"  # which a pod failure policy wants


@pytest.mark.parametrize("name", ["merge.sbatch", "merge.yaml"])
def test_the_merge_takes_the_shards_folders(name: str) -> None:
    if name.endswith("yaml"):
        *shell, text = container(job(name))["command"]
        assert shell == ["sh", "-c"]
    else:
        text = (SLURM / name).read_text(encoding="utf-8")
    lines = [shlex.split(line) for line in text.splitlines() if line.startswith("loralift ")]
    said = parsed(lines[0])
    assert (said["shards"], said["output_dir"]) == ((Path("runs/nightly/shard-*"),), "runs/nightly/run")
    assert all(parsed(line)["run_dir"] == Path("runs/nightly/run") for line in lines[1:])
