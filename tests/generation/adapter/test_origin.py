"""Is the base the one that the adapter was trained on?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from loralift.generation.adapter.origin import compare_base
from loralift.generation.model.base_model import BaseModel

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER = "89abcdef0123456789abcdef0123456789abcdef"
CACHE = "/home/me/.cache/huggingface/hub/models--nvidia--Nano-8B/snapshots"
ON_THE_HUB = BaseModel("nvidia/Nano-8B", COMMIT, "hub:…", None)


@pytest.mark.parametrize(
    ("trained", "revision", "base"),
    [
        ("nvidia/Nano-8B", None, ON_THE_HUB),
        ("Nvidia/nano-8b", None, ON_THE_HUB),
        ("/home/me/models/Nano-8B", None, ON_THE_HUB),
        ("/home/me/models/Nano-8B/", None, ON_THE_HUB),
        (r"C:\models\Nano-8B", None, ON_THE_HUB),
        (f"{CACHE}/{COMMIT}", None, ON_THE_HUB),
        ("nvidia/Nano-8B", None, BaseModel(f"{CACHE}/{COMMIT}", None, "sha256:…", None)),
        ("nvidia/Nano-8B", COMMIT, BaseModel(f"{CACHE}/{COMMIT}", None, "sha256:…", None)),
        ("nvidia/Nano-8B", COMMIT, ON_THE_HUB),
        ("nvidia/Nano-8B", COMMIT[:8], ON_THE_HUB),
        ("nvidia/Nano-8B", "main", ON_THE_HUB),
        ("nvidia/Nano-8B", "v2", replace(ON_THE_HUB, requested="v2")),
    ],
)
def test_the_same_base(trained, revision, base):
    assert compare_base(trained, revision, base) == ()


@pytest.mark.parametrize(
    ("trained", "revision", "base", "note"),
    [
        (None, None, ON_THE_HUB, "does not say which base it was trained on"),
        ("", None, ON_THE_HUB, "does not say which base it was trained on"),
        ("unsloth/Nano-8B", None, ON_THE_HUB, "on 'unsloth/Nano-8B' and is evaluated on 'nvidia/Nano-8B'"),
        ("nvidia/Nano-4B", COMMIT, ON_THE_HUB, "on 'nvidia/Nano-4B' and is evaluated on"),
        ("./checkpoint-500", None, ON_THE_HUB, "on './checkpoint-500' and is evaluated on"),
        ("nvidia/Nano-8B", OTHER, ON_THE_HUB, f"{OTHER!r} of the base and is evaluated on {COMMIT}: give --revision"),
        (f"{CACHE}/{OTHER}", None, ON_THE_HUB, f"on revision {OTHER!r}"),
        ("nvidia/Nano-8B", "v2", ON_THE_HUB, "on revision 'v2'"),
        ("nvidia/Nano-8B", "main", replace(ON_THE_HUB, requested="v2"), "on revision 'main'"),
        ("nvidia/Nano-8B", "v2", BaseModel("/models/Nano-8B", None, "…", None), "a local folder has none to compare"),
    ],
)
def test_another_base_is_told(trained, revision, base, note):
    (found,) = compare_base(trained, revision, base)
    assert note in found
