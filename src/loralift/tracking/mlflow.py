"""MLflow: an experiment, in it a run for the whole evaluation, and in that a run for each variant."""

from __future__ import annotations

import csv
import io
import os
import time
from collections.abc import Mapping
from itertools import batched
from pathlib import PurePosixPath

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from loralift.endpoints.address import is_local
from loralift.errors import TrackingError
from loralift.records import TrackedRun, TrackedTable
from loralift.tracking.base import KEY, PROJECT, OpenRun, without_secrets

# MLflow's own limits of one request
MOST_METRICS, MOST_PARAMS = 1_000, 100


def connect(project: str | None) -> MlflowTracker:
    """The server or database that MLFLOW_TRACKING_URI names, MLflow's own default without it."""
    return MlflowTracker(project or os.environ.get("MLFLOW_EXPERIMENT_NAME") or PROJECT)


class MlflowTracker:
    """One experiment."""

    def __init__(self, project: str) -> None:
        # else it tries for several minutes to reach what is not there
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
        self.client = MlflowClient()
        self.name = project
        self.at = without_secrets(self.client.tracking_uri, {})
        scheme, parted, _ = self.client.tracking_uri.partition("://")
        self.local = not parted or scheme in ("file", "sqlite") or is_local(self.client.tracking_uri)

    def find(self, key: str) -> str | None:
        """Where the export with a key is; see `Tracker`."""
        experiment = self.client.get_experiment_by_name(self.name)
        if experiment is None:
            return None
        asked = f"params.{KEY} = '{key}' and attributes.status = 'FINISHED'"
        found = self.client.search_runs([experiment.experiment_id], filter_string=asked, max_results=1)
        return self._place(found[0].data.tags.get("mlflow.parentRunId", found[0].info.run_id)) if found else None

    def start(self, name: str, settings: Mapping[str, str], *, within: OpenRun | None = None, key: str = "") -> OpenRun:
        """Open a run; see `Tracker`."""
        tags = {"mlflow.parentRunId": within.id} if isinstance(within, MlflowRun) else {}
        made = self.client.create_run(self._experiment(), run_name=name, tags=tags)
        run = MlflowRun(self.client, made.info.run_id, self._place(made.info.run_id))
        run.set({**settings, **({KEY: key} if key else {})})
        return run

    def _experiment(self) -> str:
        there = self.client.get_experiment_by_name(self.name)
        if there is None:
            return str(self.client.create_experiment(self.name))
        if there.lifecycle_stage != "active":
            raise TrackingError(
                f"mlflow: the experiment {self.name} was deleted: restore it, or give another --project"
            )
        return str(there.experiment_id)

    def _place(self, run: str) -> str:
        return f"run {run} of the experiment {self.name} at {self.at}"


class MlflowRun:
    """One run."""

    def __init__(self, client: MlflowClient, run: str, place: str) -> None:
        self.client, self.id, self.place = client, run, place

    def set(self, settings: Mapping[str, str]) -> None:
        """Write settings as params."""
        for some in batched(settings.items(), MOST_PARAMS):
            self.client.log_batch(self.id, params=[Param(name, value) for name, value in some])

    def progress(self, figures: Mapping[str, float], step: int) -> None:
        """Figures as an evaluation goes; see `OpenRun`."""
        now = int(1_000 * time.time())
        for some in batched(figures.items(), MOST_METRICS):
            self.client.log_batch(self.id, metrics=[Metric(name, value, now, step) for name, value in some])

    def write(self, run: TrackedRun) -> None:
        """Write all that a run holds; see `OpenRun`."""
        self.set(run.settings)
        self.progress(run.figures, 0)
        for some in batched(run.words.items(), MOST_PARAMS):
            self.client.log_batch(self.id, tags=[RunTag(name, text) for name, text in some])
        for title, table in run.tables.items():
            self.client.log_text(self.id, _csv(table), f"tables/{title}.csv")
        for name, place in run.files.items():
            folder = str(PurePosixPath(name).parent)
            self.client.log_artifact(self.id, str(place), None if folder == "." else folder)

    def end(self, *, whole: bool) -> None:
        """Close it; see `OpenRun`."""
        self.client.set_terminated(self.id, status="FINISHED" if whole else "FAILED")


def _csv(table: TrackedTable) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(table.rows)
    return text.getvalue()
