"""What a whole model, ``--candidate``, is not evaluated with: it is loaded after the base was released."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from loralift.config.fields import whole_line
from loralift.config.names import folder_of
from loralift.errors import some


def refuse_beside(
    candidates: Mapping[str, str],
    adapters: Mapping[str, str],
    engine: str,
    device_map: str | None,
    tasks: Iterable[str],
) -> None:
    """Refuse what cannot be done with whole models beside the base.

    Raises:
        PydanticCustomError: There are candidates, and something that excludes them.
    """
    if not candidates:
        return
    taken = {folder_of(name) for name in adapters}
    if twice := [name for name in candidates if folder_of(name) in taken]:
        raise whole_line(f"`--candidate` and `--adapter` must have names of their own, got {some(twice)} in both")
    if engine == "vllm":
        raise whole_line(
            "`--engine` must be transformers with --candidate, since vLLM is not surely released, got vllm"
        )
    if device_map is not None:
        raise whole_line(f"`--device-map` and `--candidate` exclude each other, got {device_map}: leave one out")
    if named := list(tasks):
        raise whole_line(f"`--candidate` is not asked tasks of lm-evaluation-harness ({some(named)}): leave these out")
