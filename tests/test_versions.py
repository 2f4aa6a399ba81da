"""Versions out of their bounds are refused by name before anything is imported."""

from __future__ import annotations

import pytest

from loralift import versions
from loralift.errors import VersionError
from loralift.generation import inspect_base
from loralift.harness.tasks import load_task


@pytest.fixture
def installed(monkeypatch):
    real = versions.version
    pretended = {}
    monkeypatch.setattr(versions, "version", lambda name: pretended.get(name) or real(name))
    return pretended


def test_what_is_installed_was_tested():
    versions.refuse_untested()
    assert all(versions.untested(package) is None for package in (*versions.BOUNDED, "vllm", "lm-eval"))


@pytest.mark.parametrize(
    ("package", "wrong"),
    [
        ("transformers", "5.0.0"),
        ("transformers", "6.1.0"),
        ("peft", "0.18.0"),
        ("torch", "2.6.0"),
        ("vllm", "0.1"),
        ("lm-eval", "0.5"),
    ],
)
def test_a_version_out_of_bounds_is_named(package, wrong, installed):
    installed[package] = wrong
    named = rf"^{package} {wrong} is installed.*pip install '{package}[<>]"
    with pytest.raises(VersionError, match=named):
        versions.refuse_untested((*versions.BOUNDED, "vllm", "lm-eval"))


def test_a_build_of_a_version_within_its_bounds_is_taken(installed):
    installed["torch"] = "2.11.0+cu130"
    versions.refuse_untested()


def test_a_base_is_not_even_looked_at(installed, tmp_path):
    installed["transformers"] = "5.0.0"
    with pytest.raises(VersionError, match=r"transformers 5\.0\.0"):
        inspect_base(str(tmp_path))


def test_no_task_is_loaded_either(installed):
    installed["lm-eval"] = "0.4.9"
    with pytest.raises(VersionError, match=r"lm-eval 0\.4\.9 is installed.*pip install 'lm-eval"):
        load_task("arc_easy", 1)
