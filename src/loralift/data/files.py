"""Local files: .jsonl, .json (a list of objects), .csv, .tsv, .parquet. All text is UTF-8."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from loralift.data.table import Row, Table
from loralift.data.values import Written
from loralift.errors import DataError, some
from loralift.kept import keep
from loralift.reading import parse_json, read_bytes, read_lines, reading
from loralift.reading import read_text as read_any_text

LONGEST_CELL = 2**31 - 1
"""Of a CSV, in characters; Python's own limit of 131,072 is less than some documents have."""


def read_file(path: Path) -> Table:
    """Read a local file, by its suffix.

    Raises:
        DataError: There is no such file, its suffix is unknown, or a line of it cannot be read.
    """
    with reading(path, DataError):
        if path.is_dir() or not path.exists():
            hint = "it is a directory; for BEIR's layout write beir:DIR" if path.is_dir() else "no such file"
            raise DataError(f"{path}: {hint}; a data set on the Hugging Face hub is hf://ORG/NAME")
        # `< data.jsonl` makes /dev/stdin a link to a regular file, which has no suffix either
        is_stream = not path.is_file() or path.parts[:2] == ("/", "dev")
    reader = READERS.get(path.suffix.lower())
    if reader is None and is_stream:
        return _stream(path)
    if reader is None:
        raise DataError(f"{path}: the suffix must be one of {', '.join(READERS)}, got {path.suffix!r}")
    return Table(name=str(path), source=str(path), rows=keep(reader(path)))


def _stream(path: Path) -> Table:
    """What comes through a pipe, which has no suffix: one list of objects, or JSON lines."""
    text = read_text(path)
    is_list = text.lstrip().startswith("[")
    rows = keep(_json_rows(path, text) if is_list else _jsonl_rows(path, text.split("\n")))
    note = f"{path} has no suffix, and is read as {'one JSON list' if is_list else 'JSON lines'}"
    return Table(name=str(path), source=str(path), rows=rows, notes=(note,))


def read_text(path: Path) -> str:
    """The whole of a UTF-8 file or pipe, line ends as they are, without a byte order mark.

    Raises:
        DataError: It cannot be opened or is not UTF-8.
    """
    return read_any_text(path, DataError, piped=True)


def read_jsonl(path: Path) -> Iterator[Row]:
    """One JSON object a line; blank lines are passed over."""
    return _jsonl_rows(path, read_lines(path, DataError, piped=True))


def _jsonl_rows(path: Path, lines: Iterable[str]) -> Iterator[Row]:
    # lines end in line feeds alone: U+2028 and U+0085 are allowed inside a JSON string, and real answers have them
    for number, line in enumerate(lines, start=1):
        if line.strip():
            place = f"line {number}"
            value = parse_json(line, f"{path}, {place}", DataError, _otherwise(line), parse_float=Written)
            yield Row(place, _object(path, place, value, "; one list of objects must be in a .json file"))


def _otherwise(line: str) -> str:
    """What a line that is no JSON may be instead."""
    if line.lstrip().startswith(("{", "[")):
        return "each line must hold one whole JSON object; one list over several lines must be in a .json file"
    return "each line must hold one JSON object; a table must be in a .csv or .tsv file"


def read_json(path: Path) -> Iterator[Row]:
    """A list of objects."""
    return _json_rows(path, read_text(path))


def _json_rows(path: Path, text: str) -> Iterator[Row]:
    remedy = "it must hold one list of objects; JSON lines must be in a .jsonl file"
    rows = parse_json(text, path, DataError, remedy, parse_float=Written)
    if not isinstance(rows, list):
        keys = f" with the keys {some(rows)}" if isinstance(rows, dict) else ""
        raise DataError(f"{path}: must hold a list of objects, got {type(rows).__name__}{keys}")
    for number, value in enumerate(rows):
        yield Row(f"row {number}", _object(path, f"row {number}", value))


def read_csv(path: Path) -> Iterator[Row]:
    """Comma-separated values with a header, quoted as by RFC 4180."""
    return _separated(path, ",")


def read_tsv(path: Path) -> Iterator[Row]:
    """Tab-separated values with a header, quoted as spreadsheets do."""
    return _separated(path, "\t")


def read_parquet(path: Path) -> Iterator[Row]:
    """One parquet file."""
    import pyarrow as pa
    from pyarrow import parquet

    content = read_bytes(path, DataError, piped=True)
    # not read_table(): that would read columns out of directory names such as "seed=1"
    with reading(f"{path} as parquet", DataError), parquet.ParquetFile(pa.BufferReader(content)) as file:
        rows = arrow_rows(str(path), file.read())
    return (Row(f"row {number}", values) for number, values in enumerate(rows))


def arrow_rows(name: str, table: Any) -> list[dict[str, object]]:
    """The rows of an Arrow table.

    A float of 16 or 32 bits becomes the shortest number that is the same one: 0.1, where plain conversion gives
    0.10000000149011612, which no answer says. A class label of ``datasets`` becomes its name.

    Raises:
        DataError: A column's name is there twice, or Python has no such value (a date after the year 9999).
    """
    refuse_twice(name, table.column_names)
    labels, columns = _labels(table.schema.metadata or {}), []
    for field in table.schema:
        with reading(f"{name}, column {field.name!r}", DataError, "write it as text, or leave the column out"):
            cells = table.column(field.name).to_pylist()
        if narrow := _narrow(field.type):
            cells = [_each(cell, lambda value: float(str(narrow(value)))) for cell in cells]
        if names := labels.get(field.name):
            cells = [_each(cell, lambda value: names[value] if 0 <= value < len(names) else None) for cell in cells]
        columns.append(cells)
    return [dict(zip(table.column_names, cells, strict=True)) for cells in zip(*columns, strict=True)]


def _narrow(of: Any) -> Callable[[float], object] | None:
    """The numbers of a column of floats, or of lists of them, that are less wide than Python's; None of others."""
    import numpy as np
    import pyarrow as pa

    while pa.types.is_list(of) or pa.types.is_large_list(of) or pa.types.is_fixed_size_list(of):
        of = of.value_type
    return np.float32 if pa.types.is_float32(of) else np.float16 if pa.types.is_float16(of) else None


def _labels(metadata: Mapping[bytes, bytes]) -> dict[str, list[str]]:
    """The names of the columns' class labels, as ``datasets`` keeps them: there a cell is a label's number, -1 none."""
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        found = {name: of.get("feature", of) if isinstance(of, dict) else {} for name, of in features.items()}
        return {name: of["names"] for name, of in found.items() if of.get("_type") == "ClassLabel" and of.get("names")}
    return {}


def _each(cell: Any, change: Callable[[Any], Any]) -> Any:
    """A cell, or every entry of one that is a list, changed; null stays."""
    if isinstance(cell, list):
        return [_each(entry, change) for entry in cell]
    return None if cell is None else change(cell)


READERS: Mapping[str, Callable[[Path], Iterator[Row]]] = {
    ".jsonl": read_jsonl,
    ".json": read_json,
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".parquet": read_parquet,
}


def _object(path: Path, place: str, value: object, remedy: str = "") -> dict[str, object]:
    if not isinstance(value, dict):
        remedy = remedy if isinstance(value, list) else ""
        raise DataError(f"{path}, {place}: must be a JSON object, got {type(value).__name__}{remedy}")
    return value


def refuse_twice(name: str, header: Sequence[str]) -> None:
    """Make sure that no two columns have one name, of which a row would hold but one.

    Raises:
        DataError: Two have.
    """
    if twice := [column for column, times in Counter(header).items() if times > 1]:
        raise DataError(f"{name}: the column {twice[0]!r} is there twice; rename one, of {some(header, 20)}")


def cells_of(path: Path, delimiter: str, quoting: Literal[0, 3] = csv.QUOTE_MINIMAL) -> Any:
    """A file's cells, line by line: what `csv.reader` gives."""
    csv.field_size_limit(LONGEST_CELL)
    return csv.reader(io.StringIO(read_text(path), newline=""), delimiter=delimiter, strict=True, quoting=quoting)


def _separated(path: Path, delimiter: str) -> Iterator[Row]:
    reader = cells_of(path, delimiter)
    try:
        header: list[str] = next(filter(None, reader), [])
        refuse_twice(str(path), header)
        previous = reader.line_num
        for cells in reader:
            # where it starts: a cell may hold newlines
            place, previous = f"line {previous + 1}", reader.line_num
            if cells and len(cells) != len(header):
                raise DataError(f"{path}, {place}: {len(cells)} cells under a header of {len(header)}")
            if cells:
                yield Row(place, dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        what = f"{error}; a quotation mark in a cell is written twice, and the cell in quotation marks"
        raise DataError(f"{path}, line {reader.line_num}: {what}") from error
