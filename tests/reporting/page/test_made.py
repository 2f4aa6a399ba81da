from __future__ import annotations

import dataclasses

import pytest

from loralift.reporting.page import rendering
from tests.reporting.page.pages import report


@pytest.mark.parametrize(("command", "copied"), [("loralift run --model m", True), ("loralift.evaluate", False)])
def test_only_what_a_shell_can_run_is_offered_for_copying(command: str, copied: bool) -> None:
    page = rendering.render(dataclasses.replace(report(), facts={"command": command}), ())
    made = page.split('id="made"')[1].split("</section>")[0]
    assert ('id="copy"' in made, "<bdi>command</bdi>" in made) == (copied, not copied)
    assert command in made
