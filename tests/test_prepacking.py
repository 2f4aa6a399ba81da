"""Prepacked linear layers compute what plain ones do, and are plain again when they are unpacked."""

from __future__ import annotations

import copy

import pytest
import torch

from loralift import prepacking
from loralift.prepacking import can_prepack, prepack, prepackable, unpack


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_prepacked_layers_compute_what_plain_ones_do(dtype):
    if not can_prepack(dtype):
        pytest.skip(f"this processor does not multiply {dtype} by itself")
    torch.manual_seed(0)
    plain = torch.nn.Sequential(torch.nn.Linear(48, 96), torch.nn.GELU(), torch.nn.Linear(96, 8, bias=False)).to(dtype)
    packed = copy.deepcopy(plain)
    layers = list(prepackable(packed))
    prepack(layers)
    assert ["forward" in vars(layer) for layer in layers] == [True, True]
    for shape in ((1, 48), (700, 48), (3, 5, 48)):
        rows = torch.randn(shape).to(dtype)
        with torch.inference_mode():
            found, wanted = packed(rows), plain(rows)
        assert found.dtype == dtype
        assert torch.allclose(found.float(), wanted.float(), atol=1e-5 if dtype == torch.float32 else 1e-2)
    unpack(layers)
    assert torch.equal(packed(rows), plain(rows))


def test_a_layer_is_left_alone_that_is_small_or_more_than_linear():
    class Own(torch.nn.Linear):
        pass

    layers = torch.nn.ModuleList([torch.nn.Linear(4, 4), Own(40, 40), torch.nn.Linear(40, 40).double()])
    assert list(prepackable(layers)) == [layers[0]]
    assert list(prepackable(layers, fewest=17)) == []


def test_without_the_operations_layers_stay_as_they_are(monkeypatch):
    monkeypatch.setattr(prepacking, "OPERATIONS", ("no_such_operation",))
    assert list(prepackable(torch.nn.Linear(4, 4))) == []
