"""Each tracker is written and then read back by its own client; `make trackers` installs them."""

from __future__ import annotations

import csv
import json
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loralift.errors import TrackingError
from loralift.records import Export
from loralift.tracking import connect
from loralift.workflow.exporting import send
from tests.tracking.conftest import PAGE, png

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One database for all, whose tables take longest."""
    pytest.importorskip("mlflow", reason="mlflow is not installed: `make trackers` tests it")
    from mlflow import MlflowClient

    place = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{place}/mlflow.db")
        patch.chdir(place)  # where it puts artefacts
        yield MlflowClient(f"sqlite:///{place}/mlflow.db")


def test_mlflow_has_it_all(mlflow: Any, made: Export, tmp_path: Path) -> None:
    tracker = connect("mlflow", "qa", "--to")
    assert tracker.local
    assert tracker.find(made.key) is None
    live = tracker.start("followed", {"config/model": "b"})
    live.progress({"progress/base/answers/rows": 5.0}, 0)
    live.progress({"progress/mine/answers/rows": 5.0}, 1)
    place = send(tracker, made, live)
    assert tracker.find(made.key) == place
    assert tracker.find("f" * 32) is None
    experiment = mlflow.get_experiment_by_name("qa")
    runs = {run.info.run_name: run for run in mlflow.search_runs([experiment.experiment_id])}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    whole = runs["followed"]
    assert whole.data.metrics.items() >= made.whole.figures.items()
    assert whole.data.metrics["progress/mine/answers/rows"] == 5
    assert whole.data.tags.items() >= made.whole.words.items()
    assert whole.data.params == {"config/model": "b", **made.whole.settings}
    for variant in made.variants:
        run = runs[variant.name]
        assert run.data.metrics == variant.figures
        assert run.data.tags.items() >= variant.words.items()
        assert run.data.tags["mlflow.parentRunId"] == whole.info.run_id
    got = {name: mlflow.download_artifacts(whole.info.run_id, name, str(tmp_path)) for name in made.whole.files}
    assert Path(got["report.html"]).read_text("utf-8") == PAGE
    assert Path(got["charts/effects.png"]).read_bytes() == png()
    table = Path(mlflow.download_artifacts(whole.info.run_id, "tables/comparison.csv", str(tmp_path)))
    with table.open(encoding="utf-8") as file:
        assert list(csv.reader(file))[1:] == [["rougeL", "-0.077", "worse"], ["words", "", ""]]


def test_what_mlflow_refuses_is_one_line_and_leaves_nothing_whole(mlflow: Any, made: Export) -> None:
    tracker = connect("mlflow", "wrong", "--to")
    wrong = replace(made.variants[-1], figures={"a:/?*": 1.0})
    with pytest.raises(Exception, match="a:/"):
        send(tracker, replace(made, variants=(made.variants[0], wrong)), None)
    assert tracker.find(made.key) is None
    runs = mlflow.search_runs([mlflow.get_experiment_by_name("wrong").experiment_id])
    assert {run.info.run_name: run.info.status for run in runs}["mine"] == "FAILED"


@pytest.fixture
def trackio(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path_factory.mktemp("trackio")))  # read when it is imported
    return pytest.importorskip("trackio", reason="trackio is not installed: `make trackers` tests it")


def test_trackio_has_it_all(trackio: Any, made: Export, tmp_path: Path) -> None:
    tracker = connect("trackio", "qa", "--to")
    assert tracker.find(made.key) is None
    live = tracker.start("followed", {"config/model": "b"})
    live.progress({"progress/base/answers/rows": 5.0}, 0)
    place = send(tracker, made, live)
    assert tracker.find(made.key) == place
    runs = {run.config["variant"]: run for run in trackio.Api().runs("qa") if "variant" in run.config}
    (whole,) = (run for run in trackio.Api().runs("qa") if "variant" not in run.config)
    for variant in made.variants:
        run = runs[variant.name]
        assert run.config.items() >= {**variant.settings, **variant.words}.items()
        assert run.config["_Group"] == whole.config["_Group"]
        assert _logged(trackio, run).items() >= variant.figures.items()
    got = _logged(trackio, whole)
    assert got.items() >= {**made.whole.figures, "progress/base/answers/rows": 5.0}.items()
    assert got["tables/comparison"]["_value"][0] == {"metric": "rougeL", "difference": -0.077, "verdict": "worse"}
    assert "worse, in doubt" in got["verdicts"]["_value"]
    assert (Path(trackio.utils.MEDIA_DIR) / got["charts/effects.png"]["file_path"]).read_bytes() == png()
    reader = trackio.init("qa", name="reader", auto_log_cpu=False, auto_log_gpu=False)
    folder = Path(reader.use_artifact(f"report-{whole.id[:12]}:latest").download(str(tmp_path / "read")))
    trackio.finish()
    assert {name: (folder / name).read_bytes() for name in made.whole.files} == {
        name: place.read_bytes() for name, place in made.whole.files.items()
    }


def _logged(trackio: Any, run: Any) -> dict[str, Any]:
    logs = trackio.SQLiteStorage.get_logs("qa", run.name, run_id=run.id)
    return {name: value for log in logs for name, value in log.items()}


def test_trackio_elsewhere_is_refused(trackio: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_SPACE_ID", "me/space")
    with pytest.raises(TrackingError, match="TRACKIO_SPACE_ID sends runs elsewhere"):
        connect("trackio", "qa", "--to")


@pytest.fixture
def wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    module = pytest.importorskip("wandb", reason="wandb is not installed: `make trackers` tests it")
    if not hasattr(module, "init"):
        pytest.skip("wandb is not installed: `make trackers` tests it")
    module.teardown()  # it keeps settings for the whole process
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_MODE", "offline")
    yield module
    module.teardown()


def test_wandb_offline_has_it_all(wandb: Any, made: Export, tmp_path: Path) -> None:
    tracker = connect("wandb", "qa", "--to")
    assert tracker.local
    assert tracker.find(made.key) is None
    live = tracker.start("followed", {"config/model": "b"})
    live.progress({"progress/base/answers/rows": 5.0}, 0)
    place = send(tracker, made, live)
    found = tracker.find(made.key)
    assert found is not None
    runs = {run["name"]: run for run in map(read, sorted((tmp_path / "wandb").glob("*/run-*.wandb")))}
    whole = runs["followed"]
    assert whole["folder"] == place
    assert runs["mine"]["folder"] == found
    assert whole["summary"].items() >= {**made.whole.figures, **made.whole.words}.items()
    assert whole["summary"]["progress/base/answers/rows"] == 5
    assert whole["config"].items() >= {"config/model": "b", **made.whole.settings}.items()
    for variant in made.variants:
        run = runs[variant.name]
        assert run["summary"].items() >= {**variant.figures, **variant.words}.items()
        assert (run["project"], run["group"], run["exit"]) == ("qa", whole["group"], 0)
    assert whole["artifacts"][f"report-{Path(place).name.rpartition('-')[2]}"] == set(made.whole.files)
    (table,) = Path(place).glob("files/media/table/tables/comparison*.json")
    assert json.loads(table.read_text("utf-8"))["data"] == [["rougeL", -0.077, "worse"], ["words", None, None]]
    (page,) = Path(place).glob("files/media/html/report*.html")
    assert PAGE in page.read_text("utf-8")


def test_wandb_switched_off_is_refused(wandb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    with pytest.raises(TrackingError, match="its mode is disabled"):
        connect("wandb", "qa", "--to")


def read(path: Path) -> dict[str, Any]:
    """What a .wandb file holds: wandb's own records, in LevelDB's log format."""
    found: dict[str, Any] = {"config": {}, "summary": {}, "artifacts": {}, "folder": str(path.parent)}
    for record in records(path):
        match record.WhichOneof("record_type"):
            case "run":
                run = record.run
                found |= {"name": run.display_name, "group": run.run_group, "project": run.project}
                found["config"] |= values(run.config.update)
            case "config":
                found["config"] |= values(record.config.update)
            case "summary":
                found["summary"] |= values(record.summary.update)
            case "history":
                found["summary"] |= values(record.history.item)
            case "artifact":
                found["artifacts"][record.artifact.name] = {one.path for one in record.artifact.manifest.contents}
            case "exit":
                found["exit"] = record.exit.exit_code
    return found


def values(items: Any) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def records(path: Path) -> Iterator[Any]:
    from wandb.proto import wandb_internal_pb2

    data, place, record = path.read_bytes(), 7, b""  # seven bytes: the file's own head
    while place + 7 <= len(data):
        if (left := 32_768 - place % 32_768) < 7:
            place += left
            continue
        _, size, kind = struct.unpack("<IHB", data[place : place + 7])
        record += data[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (1, 4):  # whole, or the last part
            yield wandb_internal_pb2.Record.FromString(record)
            record = b""
