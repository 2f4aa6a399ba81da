"""What a file holds, told by its first bytes: JSON lines, one JSON object, a zip of JSON, a table."""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loralift import reading
from loralift.data import files as tables
from loralift.errors import ComparisonError, MissingExtraError, RunDirectoryError
from loralift.workflow import files
from loralift.workflow.external_formats import EITHER, IDS, PREDICTIONS, QUESTIONS, REFERENCES, Row
from loralift.workflow.sides.columns import column_info

EXTRA = "run"
"""The extra that brings pyarrow."""

MOST_UNPACKED = 1 << 30
"""Most bytes that one member of a zip may have: a few kilobytes can claim any number."""

_ZIP, _PARQUET = b"PK\x03\x04", b"PAR1"
_ZSTANDARD = 93
_INDEX = re.compile(r"__index_level_\d+__")
"""What pandas calls the index of its rows in a parquet; it is no metric."""
_SEPARATED = {".csv": tables.read_csv, ".tsv": tables.read_tsv}
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?(?:nan|inf(?:inity)?)", re.IGNORECASE)
_TRUTHS = {"true": True, "false": False}
_TEXTS = frozenset({*IDS, *QUESTIONS, *PREDICTIONS, *REFERENCES, *EITHER})


@dataclass(frozen=True, slots=True)
class Content:
    """A file's content.

    Attributes:
        path: The file.
        rows: Its JSON lines, or a table's rows; of one JSON object on one line that object.
        whole: One JSON object, or a zip's members by name; empty where the file is no such thing.
        notes: What a reader must know of how it was read, one sentence each.
    """

    path: Path
    rows: Sequence[Row] = ()
    whole: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_content(path: Path) -> Content:
    """Read a file, by its first bytes; a table of separated cells has none that tell, and is known by its suffix.

    Raises:
        DataError, RunDirectoryError: It cannot be read, or holds something else.
        MissingExtraError: It is a parquet, or packed by Zstandard, and pyarrow is not installed.
    """
    if read := _SEPARATED.get(path.suffix.lower()):
        rows = [{column: str(text) for column, text in row.values.items()} for row in read(path)]
        return Content(path, _typed(path, rows), notes=tuple(_empty(path, rows)))
    content = reading.read_bytes(path, RunDirectoryError, piped=True)
    if content.startswith(_PARQUET):
        need_pyarrow(f"{path}, a parquet,")
        found = [row.values for row in tables.read_parquet(path)]
        return Content(path, [{name: of for name, of in row.items() if not _INDEX.fullmatch(name)} for row in found])
    if content.startswith(_ZIP):
        return Content(path, whole=Members(path, content))
    text = reading.decode(content, path, RunDirectoryError)
    first, _, rest = text.strip().partition("\n")
    if rest and first.startswith("{") and not _is_json(first):
        whole = reading.parse_json(text, path, RunDirectoryError, "it must be JSON lines, or one whole JSON object")
        return Content(path, whole=whole)
    rows = list(files.jsonl_rows(path, text.split("\n")))
    return Content(path, rows, rows[0] if len(rows) == 1 else {})


def need_pyarrow(what: str) -> None:
    """Make sure that pyarrow is there.

    Raises:
        MissingExtraError: It is not.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(what, EXTRA) from error


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _typed(path: Path, rows: Sequence[Mapping[str, str]]) -> list[Row]:
    """Rows of a table whose cells are all texts: numbers and truth values as such, an empty cell as null.

    Ids, questions, answers and references stay texts: the answer ``07`` is no 7. A column without a name is the index
    that pandas writes, and no metric.

    Raises:
        ComparisonError: There is but one column.
    """
    header = list(rows[0]) if rows else []
    if len(header) == 1:
        raise ComparisonError(f"{path} has one column, {header[0]!r}: separate cells by commas, or in a .tsv by tabs")
    columns = {name: [_cell(name, row[name]) for row in rows] for name in header if name}
    for name, cells in columns.items():
        # a category, some of whose names are numbers; of a metric such cells are refused later
        if any(isinstance(cell, str) for cell in cells) and column_info(name).higher_is_better is None:
            columns[name] = [row[name] or None for row in rows] if name not in _TEXTS else cells
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def _empty(path: Path, rows: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """One sentence on answers that are empty cells, which is also how a table writes that there is none."""
    for column in dict.fromkeys(column for row in rows[:1] for column in row if column in {*PREDICTIONS, *EITHER}):
        if empty := sum(not row[column].strip() for row in rows):
            yield f"{path.name}: {empty} cells of {column} are empty, and read as empty answers."


def _cell(column: str, text: str) -> str | float | None:
    if column in _TEXTS:
        return text if text or column not in IDS else None
    bare = text.strip()
    if not bare:
        return None
    if bare.lower() in _TRUTHS:
        return _TRUTHS[bare.lower()]
    return float(bare) if _NUMBER.fullmatch(bare) else text


class Members(Mapping[str, Any]):
    """The JSON documents of a zip, each parsed when it is asked for: together they may not fit into memory."""

    def __init__(self, path: Path, content: bytes) -> None:
        self._path, self._content = path, content
        with reading.reading(f"{path} as a zip", RunDirectoryError, "was it written to its end?"):
            self._zip = zipfile.ZipFile(io.BytesIO(content))
        self._members = {member.filename: member for member in self._zip.infolist()}

    def __getitem__(self, name: str) -> Any:
        member = self._members[name]
        return reading.parse_json(self._unpacked(member), f"{self._path}, {name}", RunDirectoryError)

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def _unpacked(self, member: zipfile.ZipInfo) -> bytes:
        place = f"{self._path}, {member.filename}"
        if member.file_size > MOST_UNPACKED:
            raise ComparisonError(f"{place} would be {member.file_size:,} bytes, more than {MOST_UNPACKED:,}")
        with reading.reading(place, RunDirectoryError, "was it written to its end?"):
            if member.compress_type != _ZSTANDARD:
                return self._zip.read(member)
            need_pyarrow(f"{self._path}, packed by Zstandard,")
            import pyarrow as pa

            # Python's own zipfile knows Zstandard from 3.14 on
            found: bytes = pa.decompress(self._packed(member), member.file_size, codec="zstd", asbytes=True)
            if zlib.crc32(found) != member.CRC:
                raise ValueError("its checksum is wrong")
            return found

    def _packed(self, member: zipfile.ZipInfo) -> bytes:
        """The bytes behind a member's own header, of 30 bytes, its name and an extra field."""
        header = self._content[member.header_offset : member.header_offset + 30]
        names = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        start = member.header_offset + 30 + names
        return self._content[start : start + member.compress_size]
