"""Reading YAML, the configuration's file: each key once, numbers as they look, and nothing that grows without end."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from loralift.errors import UsageError, wrong_argument
from loralift.reading import read_text, reading

MOST_MERGED = 10_000
"""Keys that `<<` may give one mapping; mappings that merge each other double them at every step."""


class _EachKeyOnce(yaml.SafeLoader):
    """YAML whose keys are there once, and whose numbers are what they look like.

    The plain loader keeps the last of two equal keys, and reads 010 as 8, 1:30 as 90 and 1_0 as 10.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Make a dict of a mapping whose keys differ."""
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is there twice", key.start_mark)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
        return super().construct_mapping(node, deep)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merge what `<<` names, but not without end."""
        super().flatten_mapping(node)
        if len(node.value) > MOST_MERGED:
            reason = f"<< merges more than {MOST_MERGED:,} keys"
            raise yaml.constructor.ConstructorError(None, None, reason, node.start_mark)

    def plain_number(self, node: yaml.ScalarNode) -> Any:
        """Make a number of one that is written in decimal digits."""
        if not PLAIN_NUMBER.fullmatch(node.value):
            reason = f"{node.value!r} is no plain decimal number; quote it if it is text"
            raise yaml.constructor.ConstructorError(None, None, reason, node.start_mark)
        is_whole = node.tag.endswith(":int")
        return self.construct_yaml_int(node) if is_whole else self.construct_yaml_float(node)


PLAIN_NUMBER = re.compile(r"[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?\.(?i:inf|nan)")

for _kind in ("int", "float"):
    _EachKeyOnce.add_constructor(f"tag:yaml.org,2002:{_kind}", _EachKeyOnce.plain_number)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds.

    Raises:
        UsageError: It cannot be read, is no YAML, or holds no mapping; the message names the file.
    """
    content = read_text(path, UsageError, piped=True)
    with reading(path, UsageError, "it must be a YAML mapping of field to value"):
        try:
            content = yaml.load(content, Loader=_EachKeyOnce)
        except yaml.YAMLError as error:
            reason = " ".join(str(error).split())
            raise UsageError(f"`CONFIG` must be a readable YAML file, got {str(path)!r}: {reason}") from None
    if not isinstance(content, dict):
        raise UsageError(f"{path}: {wrong_argument('CONFIG', 'a YAML mapping of field to value', content)}")
    return content
