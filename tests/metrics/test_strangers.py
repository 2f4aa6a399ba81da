"""Models of strangers in metrics: no code of theirs runs, and nobody is asked whether it may."""

from __future__ import annotations

import json

import pytest

from loralift.errors import ModelError
from loralift.metrics import bert_score, embeddings


@pytest.fixture
def folder(tmp_path):
    """A model of a type of its own, whose code would leave a mark."""
    code = f"import pathlib; pathlib.Path({str(tmp_path / 'marker')!r}).touch()\nclass Own: pass\n"
    (tmp_path / "own.py").write_text(code)
    own = dict.fromkeys(("AutoConfig", "AutoModel"), "own.Own") | {"AutoTokenizer": ["own.Own", "own.Own"]}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "its_own", "auto_map": own}))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"auto_map": own, "tokenizer_class": "Own"}))
    return tmp_path


@pytest.fixture
def asked(monkeypatch):
    questions = []
    monkeypatch.setattr("builtins.input", lambda text="": questions.append(text) or "y")
    return questions


def refused(folder, asked, act):
    with pytest.raises(ModelError, match="needs code of its own, which LoraLift does not run") as caught:
        act()
    assert "trust_remote_code" not in str(caught.value)
    assert asked == []
    assert not (folder / "marker").exists()


def test_bert_score_asks_nobody(folder, asked):
    refused(folder, asked, lambda: bert_score.load(str(folder), 2, "cpu"))


def test_the_embedding_model_asks_nobody(folder, asked):
    refused(folder, asked, lambda: embeddings.load(str(folder), "cpu"))


def test_classes_of_the_folders_own_are_refused_before_they_are_imported(folder, asked):
    (folder / "modules.json").write_text(json.dumps([{"idx": 0, "name": "0", "path": "", "type": "own.Own"}]))
    refused(folder, asked, lambda: embeddings.load(str(folder), "cpu"))


@pytest.mark.parametrize("content", ["{", "[1]", '[{"type": 3}]', "3"])
def test_modules_that_cannot_be_read(content, folder):
    (folder / "modules.json").write_text(content)
    with pytest.raises(ModelError, match=r"modules\.json"):
        embeddings.load(str(folder), "cpu")
