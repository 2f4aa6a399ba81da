"""The notebook runs from scratch, says what it should, and is committed with the outputs of its own code.

It is committed with a real model's outputs and executed here on the demo, which has its run at hand.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tools.run_notebook import ENVIRONMENT, execute, hash_code

NOTEBOOK = Path(__file__).resolve().parents[2] / "examples" / "nemotron_fiqa_evaluation.ipynb"
RUN = Path("runs") / "notebook" / "demo" / "adapters"
CELL_TIMEOUT = 300
SILENT = {"quiet", "parameters", "choice"}
DEMO = {
    "fuller-lora": "better",
    "endless-lora": "worse",
    "faint-lora": "equivalent",
    "dead-lora": "refused",
}
REAL = {"usual-lora": "worse", "overfitted-lora": "inconclusive"}
PLACES_OF_A_MACHINE = re.compile(r"(?<![\w.])/(?:work|root|tmp|home|Users)\b")


def code_cells(notebook: Any) -> dict[str, Any]:
    return {cell.id: cell for cell in notebook.cells if cell.cell_type == "code"}


def texts(cell: Any) -> str:
    """What a cell's outputs say, pictures left out."""
    shown = []
    for output in cell.outputs:
        shown.append(output.get("text", ""))
        shown += [text for kind, text in output.get("data", {}).items() if kind.startswith("text/")]
    return "\n".join(shown)


@pytest.fixture(scope="module")
def committed() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture(scope="module")
def place(demo_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where the notebook finds the demo's finished run and, as it says `resume=True`, takes its answers.

    They are its own: of the same models, questions and settings, which the resume makes sure of. The baseline's answers
    and those by hand it makes itself.
    """
    folder = tmp_path_factory.mktemp("notebook")
    shutil.copytree(demo_run, folder / RUN)
    return folder


@pytest.fixture(scope="module")
def executed(place: Path, demo_run: Path) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LORALIFT_CACHE", str(demo_run.with_name("cache")))
        content = nbformat.read(NOTEBOOK, as_version=4)
        (switch,) = [cell for cell in content.cells if cell.id == "parameters"]
        assert 'MODEL = "real"' in switch.source
        switch.source = switch.source.replace('MODEL = "real"', 'MODEL = "demo"')
        # one thread: the demo's model is too small to gain from two, which beside another busy process wait for each
        # other so long that all takes several times as long
        return execute(content, place, timeout=CELL_TIMEOUT, environment={**ENVIRONMENT, "OMP_NUM_THREADS": "1"})


EXECUTED = pytest.param("executed", marks=pytest.mark.thorough)


@pytest.fixture(params=["committed", EXECUTED])
def notebook(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@pytest.mark.thorough
@pytest.mark.timeout(900)  # the first test of the module waits for all cells
def test_every_cell_ran_and_none_complained(executed: Any) -> None:
    cells = code_cells(executed)
    assert [cell.execution_count for cell in cells.values()] == list(range(1, len(cells) + 1))
    kinds = {(output.output_type, output.get("name")) for cell in cells.values() for output in cell.outputs}
    assert kinds <= {("stream", "stdout"), ("execute_result", None), ("display_data", None)}


@pytest.mark.thorough
@pytest.mark.usefixtures("executed")
def test_the_answers_of_the_demos_run_were_taken(demo_run: Path, place: Path) -> None:
    first, second = json.loads((place / RUN / "run.json").read_text(encoding="utf-8"))["sessions"]
    assert (first["command"], second["command"]) == ("loralift demo", "loralift.evaluate")
    for name in ("base", *(name for name, verdict in DEMO.items() if verdict != "refused")):
        answers = Path(name) / "answers.jsonl"
        assert (place / RUN / answers).read_bytes() == (demo_run / answers).read_bytes()


@pytest.mark.parametrize(
    ("of", "verdicts"), [("committed", REAL), pytest.param("executed", DEMO, marks=pytest.mark.thorough)]
)
def test_the_verdicts(of: str, verdicts: dict[str, str], request: pytest.FixtureRequest) -> None:
    shown = texts(code_cells(request.getfixturevalue(of))["evaluation"])
    assert dict(re.findall(r"^([\w-]+): (\w+)$", shown, re.MULTILINE)) == verdicts


def test_the_answer_by_hand_is_the_recorded_one(notebook: Any) -> None:
    assert "made by hand: True" in texts(code_cells(notebook)["proof"])


def test_the_outputs_name_no_place_of_the_machine(notebook: Any) -> None:
    for name, cell in code_cells(notebook).items():
        assert not PLACES_OF_A_MACHINE.search(texts(cell)), name


def test_the_committed_outputs_belong_to_the_committed_code(committed: Any) -> None:
    assert committed.metadata["executed_code_sha256"] == hash_code(committed), "`make notebook` executes it again"
    cells = code_cells(committed)
    assert [cell.execution_count for cell in cells.values()] == list(range(1, len(cells) + 1))
    assert {name for name, cell in cells.items() if not cell.outputs} == SILENT


@pytest.mark.thorough
def test_the_same_cells_show_the_same_kinds_of_output(committed: Any, executed: Any) -> None:
    def kinds(notebook: Any) -> dict[str, list[str]]:
        return {name: [output.output_type for output in cell.outputs] for name, cell in code_cells(notebook).items()}

    assert kinds(committed) == kinds(executed)


def test_charts_are_pictures_inside_the_notebook(committed: Any) -> None:
    charts = [cell for name, cell in code_cells(committed).items() if name.startswith("chart-")]
    assert len(charts) == 5
    assert all("image/png" in cell.outputs[0].data for cell in charts)
