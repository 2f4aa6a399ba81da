"""The hub, stood in for by a folder: only ``HfApi.dataset_info`` and the place of the files are faked.

Both are called as the real ones are, which mock's autospec makes sure of; what is read of an answer is compared here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import create_autospec

import datasets
import huggingface_hub
import pytest
from huggingface_hub import errors

from loralift.data import load_questions
from loralift.data.hub import PARQUET_EXPORT
from loralift.errors import DataError

Commits = dict[tuple[str, str], str]


class FakeHub:
    """Repositories as folders: FOLDER/ORG/NAME/SHA holds the files of a commit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.branches: Commits = {}
        self.loaded: list[dict[str, Any]] = []
        self.load_dataset = datasets.load_dataset

    def commit(self, dataset: str, branch: str, sha: str, files: dict[str, list[dict[str, object]] | str]) -> None:
        self.branches[dataset, branch] = self.branches[dataset, sha] = sha
        for name, content in files.items():
            path = self.folder / dataset / sha / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                path.write_text(content, encoding="utf-8")
            else:
                datasets.Dataset.from_list(content).to_parquet(path)

    def dataset_info(self, dataset: str, *, revision: str | None = None) -> SimpleNamespace:
        sha = self.branches[dataset, revision or "main"]
        root = self.folder / dataset / sha
        files = [SimpleNamespace(rfilename=str(path.relative_to(root))) for path in root.rglob("*.*")]
        return SimpleNamespace(sha=sha, siblings=files)

    def load(self, path: str, name: str | None, *, revision: str, **options: Any) -> Any:
        self.loaded.append({"path": path, "name": name, "revision": revision, **options})
        return self.load_dataset(str(self.folder / path / revision), name, **options)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    fake = FakeHub(tmp_path / "hub")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    info = create_autospec(
        huggingface_hub.HfApi.dataset_info, side_effect=lambda _, *args, **kwargs: fake.dataset_info(*args, **kwargs)
    )
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", info)
    monkeypatch.setattr(datasets, "load_dataset", create_autospec(datasets.load_dataset, side_effect=fake.load))
    datasets.disable_progress_bars()
    return fake


def test_the_real_answer_has_what_is_read_of_it(hub: FakeHub) -> None:
    hub.commit("o/n", "main", "abba", {"README.md": "# N"})
    ours = hub.dataset_info("o/n")
    real = huggingface_hub.hf_api.DatasetInfo(id="o/n", sha="abba", siblings=[{"rfilename": "README.md"}])
    assert (ours.sha, [file.rfilename for file in ours.siblings]) == (real.sha, [f.rfilename for f in real.siblings])


def fiqa_rows(count: int) -> list[dict[str, object]]:
    return [{"question": f"q{n}", "ground_truths": [f" first {n} ", "second"]} for n in range(count)]


FIQA = "explodinggradients/fiqa"
EXPORT: dict[str, list[dict[str, object]] | str] = {
    "main/test/0000.parquet": fiqa_rows(600),
    "main/test/0001.parquet": fiqa_rows(48),
    "main/train/0000.parquet": fiqa_rows(3),
    "ragas_eval/baseline/0000.parquet": [{"question": "q", "ground_truths": ["g"], "answer": "a"}],
}


def test_fiqa_is_read_from_the_parquet_export_of_its_script(hub: FakeHub) -> None:
    hub.commit(FIQA, "main", "c0ffee", {"fiqa.py": "raise SystemExit", "README.md": "# FiQA"})
    hub.commit(FIQA, PARQUET_EXPORT, "decade", EXPORT)
    data = load_questions()
    assert len(data.questions) == 648
    assert (data.questions[601].id, data.questions[601].reference) == ("601", " first 1 ")
    assert data.source.startswith("explodinggradients/fiqa, config main, split test, revision decade, content not the")
    assert load_questions("fiqa?revision=decade", limit=5).questions == data.questions[:5]
    assert [note[:37] for note in data.notes] == ["648 rows have several references (col"]
    assert "only the first is used" in data.notes[0]
    assert not any(question.others for question in data.questions)
    every = load_questions(references="all")
    assert every.questions[601].references == (" first 1 ", *every.questions[601].others)
    assert all(question.others for question in every.questions)


def test_fiqa_is_read_from_main_once_that_holds_data(hub: FakeHub) -> None:
    card = "---\nconfigs:\n- config_name: main\n  data_files:\n  - split: test\n    path: main/test-*.parquet\n---\n"
    hub.commit(FIQA, "main", "facade", {"README.md": card, "main/test-0.parquet": fiqa_rows(648)})
    data = load_questions("fiqa")
    assert len(data.questions) == 648
    assert ", revision facade, " in data.source
    assert hub.loaded == [{"path": FIQA, "name": "main", "revision": "facade", "split": "test", "data_files": None}]


def test_the_real_rows_are_told_by_their_content(hub: FakeHub, fiqa_dir: Path) -> None:
    rows = [json.loads(line) for line in (fiqa_dir / "test.jsonl").read_text(encoding="utf-8").splitlines()]
    real = [{"question": row["question"], "ground_truths": row["ground_truths"]} for row in rows]
    card = "---\nconfigs:\n- config_name: main\n  data_files:\n  - split: test\n    path: main/test-*.parquet\n---\n"
    hub.commit(FIQA, "main", "facade", {"README.md": card, "main/test-0.parquet": real})
    assert load_questions("fiqa").source.endswith("revision facade, content as pinned")


def test_another_number_of_rows_is_refused(hub: FakeHub) -> None:
    hub.commit(FIQA, "main", "decade", EXPORT | {"main/test/0001.parquet": fiqa_rows(47)})
    with pytest.raises(DataError, match="hf://explodinggradients/fiqa: must have 648 rows, got 647 at revision decade"):
        load_questions("fiqa")


def test_a_script_at_a_pinned_revision_is_refused(hub: FakeHub) -> None:
    hub.commit(FIQA, "main", "c0ffee", {"fiqa.py": "raise SystemExit"})
    with pytest.raises(DataError, match=r"revision c0ffee holds the script fiqa\.py, which is never run"):
        load_questions("fiqa?revision=c0ffee")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("config=main&split=dev", "config main, split dev: there is no such; it has config=main&split=test, config="),
        ("config=other", "config other, split test: there is no such"),
        ("split=test", "config unnamed, split test: it must be one of several"),
    ],
)
def test_an_unknown_part_of_an_export_is_named_with_those_there_are(hub: FakeHub, options: str, said: str) -> None:
    hub.commit("o/n", "main", "decade", EXPORT | {"second/test/0000.parquet": fiqa_rows(1)})
    with pytest.raises(DataError, match=said):
        load_questions(f"hf://o/n?{options}")


def test_any_data_set_on_the_hub(hub: FakeHub) -> None:
    hub.commit("o/n", "main", "abba", {"README.md": "# N", "test.csv": "prompt,response,topic\nWhy?,So.,tax\n"})
    data = load_questions("hf://o/n")
    assert [(q.question, q.reference, dict(q.fields)) for q in data.questions] == [("Why?", "So.", {"topic": "tax"})]
    assert data.source == "o/n, split test, revision abba"


@pytest.mark.parametrize(
    ("options", "said"), [("split=dev", 'Unknown split "dev"'), ("config=x", "BuilderConfig 'x' not found")]
)
def test_an_unknown_split_or_configuration_is_refused_in_one_line(hub: FakeHub, options: str, said: str) -> None:
    hub.commit("o/n", "main", "abba", {"README.md": "# N", "test.csv": "prompt,response\nWhy?,So.\n"})
    with pytest.raises(DataError) as caught:
        load_questions(f"hf://o/n?{options}")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def card(*names: str) -> str:
    configs = "".join(f"- config_name: {n}\n  data_files:\n  - split: {n}\n    path: {n}.parquet\n" for n in names)
    return f"---\nconfigs:\n{configs}---\n"


def test_beir_on_the_hub(hub: FakeHub) -> None:
    queries: list[dict[str, object]] = [
        {"_id": "1", "title": "", "text": "One? "},
        {"_id": "2", "title": "", "text": "Two?"},
    ]
    corpus: list[dict[str, object]] = [{"_id": "7", "title": "T", "text": "Seven."}]
    qrels = "query-id\tcorpus-id\tscore\n2\t8\t1\n1\t7\t1\n"
    files = {"README.md": card("queries", "corpus"), "queries.parquet": queries, "corpus.parquet": corpus}
    hub.commit("BeIR/tiny", "main", "beef", files)
    hub.commit("BeIR/tiny-qrels", "main", "cafe", {"README.md": "# qrels", "test.tsv": qrels, "train.tsv": qrels})
    data = load_questions("beir://tiny")
    assert [(q.id, q.question, q.reference) for q in data.questions] == [("1", "One?", "T Seven.")]
    assert [row.id for row in data.dropped] == ["2"]
    assert data.source == "BeIR/tiny, revision beef; BeIR/tiny-qrels, split test, revision cafe"


@pytest.mark.parametrize("spec", ["fiqa", "hf://o/n", "beir://fiqa"])
def test_without_the_hub_the_message_says_what_to_do(spec: str) -> None:
    with pytest.raises(
        DataError, match=r"hub cannot be reached .*HF_HUB_OFFLINE.*; download the data elsewhere, and"
    ) as caught:
        load_questions(spec)
    assert "\n" not in str(caught.value)


def response(status: int) -> Any:
    return SimpleNamespace(status_code=status, headers={}, request=None)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (errors.GatedRepoError("no", response=response(403)), "gated; accept its terms on https://"),
        (errors.RepositoryNotFoundError("no", response=response(404)), "not on the hub, or private"),
        (errors.RevisionNotFoundError("no", response=response(404)), "the hub has no revision r1 of it"),
        (errors.HfHubHTTPError("busy\nmore", response=response(503)), r"cannot be reached \(busy\)"),
        (errors.HFValidationError("bad name"), "hf://o/n: bad name$"),
    ],
)
def test_what_the_hub_refuses_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch, error: Exception, said: str) -> None:
    def refuse(_: object, *args: Sequence[object], **kwargs: object) -> None:
        raise error

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", refuse)
    with pytest.raises(DataError, match=said):
        load_questions("hf://o/n?revision=r1")


def test_a_connection_lost_while_loading_is_no_traceback(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(*args: Sequence[object], **kwargs: object) -> None:
        raise ConnectionError("connection reset")

    hub.commit("o/n", "main", "abba", {"README.md": "# N"})
    monkeypatch.setattr(datasets, "load_dataset", lose)
    with pytest.raises(DataError, match=r"the Hugging Face hub cannot be reached \(connection reset\)"):
        load_questions("hf://o/n")
