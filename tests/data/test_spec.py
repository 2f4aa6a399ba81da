"""What --dataset may say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from loralift.data.spec import FIQA, BeirDirectory, BeirHub, HubDataset, LocalFile, Spec, parse_spec
from loralift.errors import UsageError

FIQA_AT_R = replace(FIQA, revision="r1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fiqa", FIQA),
        ("fiqa?revision=r1", FIQA_AT_R),
        ("data/a.jsonl", LocalFile(Path("data/a.jsonl"))),
        ("why?.jsonl", LocalFile(Path("why?.jsonl"))),
        ("~/a.csv", LocalFile(Path.home() / "a.csv")),
        ("beir:some/dir", BeirDirectory(Path("some/dir"))),
        ("beir:/some/dir?split=dev", BeirDirectory(Path("/some/dir"), "dev")),
        ("beir://fiqa", BeirHub("fiqa")),
        ("beir://fiqa?revision=a&split=train&qrels-revision=b", BeirHub("fiqa", "train", "a", "b")),
        ("hf://org/name", HubDataset("org/name")),
        ("hf://org/na.me?config=c%20d&split=s&revision=refs/pr/1", HubDataset("org/na.me", "c d", "s", "refs/pr/1")),
    ],
)
def test_every_form(text: str, expected: Spec) -> None:
    assert parse_spec(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must be fiqa, a file, beir:DIR"),
        ("s3://bucket/x.jsonl", "got 's3://bucket/x.jsonl'"),
        ("hf://name", "must be hf://ORG/NAME"),
        ("hf://org/name/more", "must be hf://ORG/NAME"),
        ("beir:", "must be beir:DIR"),
        ("beir://a/b", "must be beir://NAME"),
        ("hf://o/n?spilt=test", "got 'spilt=test'"),
        ("hf://o/n?split=", "got 'split='"),
        ("hf://o/n?split=a&split=b", "each once, got 'split=b'"),
        ("fiqa?split=train", "only revision=… may stand"),
    ],
)
def test_anything_else_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_spec(text)
    assert said in str(caught.value)
    assert "`--dataset`" in str(caught.value)
    assert "\n" not in str(caught.value)
