"""`loralift card` of a finished run, read back by the hub's own library."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import ModelCard


def test_a_card_is_printed_written_and_put_into_a_readme(finished: Path, cli: Callable, tmp_path: Path) -> None:
    printed = cli("card", finished)
    assert (printed.code, printed.err) == (0, "")
    card = ModelCard(printed.out)
    comparison = json.loads((finished / "comparison.json").read_text(encoding="utf-8"))
    rows = {row["metric"]: row for row in comparison["rows"]}
    assert card.data.model_name == "letters"
    by_name = {result.metric_name: result for result in card.data.eval_results}
    assert by_name["Token F1"].metric_value == pytest.approx(rows["f1"]["candidate_value"], abs=5e-4)
    assert by_name["Token F1"].metric_args["verdict"].startswith(rows["f1"]["verdict"])
    assert str(finished) not in printed.out

    written = tmp_path / "new" / "card.md"
    assert cli("card", finished, "-o", written).code == 0
    assert written.read_text(encoding="utf-8") == printed.out

    readme = tmp_path / "README.md"
    readme.write_text("---\nlicense: mit  # mine\n---\n# Letters\n", encoding="utf-8")
    done = cli("card", finished, "--adapter", "letters", "--write", readme)
    assert (done.code, done.out) == (0, f"the card of letters is in {readme}; read it before you publish it\n")
    merged = readme.read_text(encoding="utf-8")
    assert "license: mit  # mine\n" in merged
    assert "# Letters\n" in merged
    assert len(ModelCard(merged).data.eval_results) == len(by_name)
    assert cli("card", finished, "--write", readme).code == 0
    assert readme.read_text(encoding="utf-8") == merged


def test_what_gives_no_card_is_one_line(finished: Path, cli: Callable, tmp_path: Path) -> None:
    broken = tmp_path / "README.md"
    broken.write_text("---\n---\n", encoding="utf-8")
    for arguments, culprit in (
        (("--adapter", "other"), "`--adapter` must be one of letters, got 'other'"),
        (("-o", tmp_path / "a", "--write", tmp_path / "b"), "give one of them"),
        (("--write", tmp_path), "`--write` must be a file, not a folder"),
        (("--write", tmp_path / "none" / "README.md"), "must be a file in a folder that is there"),
        (("--write", broken), re.escape(f"{broken}: its front matter is empty")),
        (("-o", finished / "report.md"), "another file than those of a run"),
    ):
        done = cli("card", finished, *arguments)
        assert done.code == 2
        assert re.search(culprit, done.err)
        assert done.err.count("\n") == 1
    assert broken.read_text(encoding="utf-8") == "---\n---\n"


def test_a_refused_adapter_and_a_part_of_a_run_have_no_card(finished: Path, cli: Callable, tmp_path: Path) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    document = json.loads((run / "run.json").read_text(encoding="utf-8"))
    (run / "run.json").write_text(json.dumps({**document, "refused": {"dead": "it acts on nothing"}}), encoding="utf-8")
    assert "dead has no card, since it was refused: it acts on nothing" in cli("card", run, "--adapter", "dead").err
    (run / "run.json").write_text(json.dumps({**document, "part": "protocols/chat"}), encoding="utf-8")
    done = cli("card", run)
    assert (done.code, "whose card tells of all" in done.err) == (2, True)
