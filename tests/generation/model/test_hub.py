"""Hashes of files, whole and sampled, and what the hub's refusals say."""

from __future__ import annotations

import hashlib
from unittest.mock import create_autospec

import httpx2
import huggingface_hub
import pytest
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

from loralift.errors import ModelError
from loralift.generation.model import hub

MIB = 1 << 20


def test_a_whole_hash_is_of_names_sizes_and_contents(tmp_path):
    (tmp_path / "b").write_bytes(b"two")
    (tmp_path / "a").write_bytes(b"one")
    expected = hashlib.sha256(b"a\x003\x00oneb\x003\x00two").hexdigest()
    assert hub.hash_files([tmp_path / "b", tmp_path / "a"]) == f"sha256:{expected}"


def test_a_sampled_hash_says_so_and_sees_the_ends(tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(bytes(130 * MIB))
    first = hub.hash_files([path], sample_from=100 * MIB)
    assert first.startswith("sampled-sha256:")
    assert hub.hash_files([path], sample_from=200 * MIB).startswith("sha256:")
    for place in (0, 130 * MIB - 1):
        with path.open("r+b") as file:
            file.seek(place)
            file.write(b"x")
        second = hub.hash_files([path], sample_from=100 * MIB)
        assert second != first
        first = second


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (GatedRepoError, "me/it is gated: ask for access on its page, then run `hf auth login`"),
        (RepositoryNotFoundError, "no folder and no hub repository me/it"),
        (RevisionNotFoundError, "me/it has no revision 'v9'"),
    ],
)
def test_the_hubs_refusals(error, message, monkeypatch, tmp_path):
    refused = error("refused", response=httpx2.Response(404, request=httpx2.Request("GET", "https://hub")))
    refuse = create_autospec(huggingface_hub.snapshot_download, side_effect=refused)
    monkeypatch.setattr(hub, "snapshot_download", refuse)
    with pytest.raises(ModelError, match="`--model` must be an existing folder or a hub id: ") as caught:
        hub.find_folder("--model", "me/it", "v9", ["*.json"], ModelError)
    assert message in str(caught.value)


def test_a_snapshot_gives_its_commit(monkeypatch, tmp_path):
    snapshot = str(tmp_path / "snapshots" / "abc123")
    found = create_autospec(huggingface_hub.snapshot_download, return_value=snapshot)
    monkeypatch.setattr(hub, "snapshot_download", found)
    folder, commit = hub.find_folder("--model", "me/it", None, ["*.json"], ModelError)
    assert commit == "abc123"
    assert folder == tmp_path / "snapshots" / "abc123"
