"""Local files: .jsonl, .json (a list of objects), .csv, .tsv, .parquet. All text is UTF-8."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from loralift import reading
from loralift.data.table import Row, Table
from loralift.errors import DataError, first_line, some
from loralift.reading import parse_json


def read_file(path: Path) -> Table:
    """Read a local file, by its suffix.

    Raises:
        DataError: There is no such file, its suffix is unknown, or a line of it cannot be read.
    """
    if not path.is_file():
        hint = "it is a directory; for BEIR's layout write beir:DIR" if path.is_dir() else "no such file"
        raise DataError(f"{path}: {hint}; a data set on the Hugging Face hub is hf://ORG/NAME")
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: the suffix must be one of {', '.join(READERS)}, got {path.suffix!r}")
    return Table(name=str(path), source=str(path), rows=list(reader(path)))


def read_text(path: Path) -> str:
    """The whole of a UTF-8 file or pipe, line ends as they are, without a byte order mark.

    Raises:
        DataError: It cannot be opened or is not UTF-8.
    """
    return reading.read_text(path, DataError, piped=True)


def read_jsonl(path: Path) -> Iterator[Row]:
    """One JSON object a line; blank lines are passed over."""
    # not splitlines(): U+2028 and U+0085 are allowed inside a JSON string, and real answers have them
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            place = f"line {number}"
            yield Row(place, _object(path, place, parse_json(line, f"{path}, {place}", DataError)))


def read_json(path: Path) -> Iterator[Row]:
    """A list of objects."""
    rows = parse_json(read_text(path), path, DataError)
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

    try:
        # not read_table(): that would read columns out of directory names such as "seed=1"
        with parquet.ParquetFile(path) as file:
            rows = arrow_rows(file.read())
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as parquet: {first_line(error)}") from error
    return (Row(f"row {number}", values) for number, values in enumerate(rows))


def arrow_rows(table: Any) -> list[dict[str, object]]:
    """The rows of an Arrow table.

    A float of 32 bits becomes the shortest number that is the same one: 0.1, where plain conversion gives
    0.10000000149011612, which no answer says.
    """
    import pyarrow as pa

    single, double = pa.float32(), pa.float64()
    for number, field in enumerate(table.schema):
        for narrow, text, wide in (
            (single, pa.string(), double),
            (pa.list_(single), pa.list_(pa.string()), pa.list_(double)),
        ):
            if field.type == narrow:
                table = table.set_column(number, field.name, table.column(number).cast(text).cast(wide))
    rows: list[dict[str, object]] = table.to_pylist()
    return rows


READERS: Mapping[str, Callable[[Path], Iterator[Row]]] = {
    ".jsonl": read_jsonl,
    ".json": read_json,
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".parquet": read_parquet,
}


def _object(path: Path, place: str, value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise DataError(f"{path}, {place}: must be a JSON object, got {type(value).__name__}")
    return value


def _separated(path: Path, delimiter: str) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(read_text(path), newline=""), delimiter=delimiter, strict=True)
    try:
        header = next(reader, [])
        if len(set(header)) < len(header):
            raise DataError(f"{path}: a column name is there twice in the header {', '.join(header)}")
        previous = reader.line_num
        for cells in reader:
            place, previous = (
                f"line {previous + 1}",
                reader.line_num,
            )  # where it starts: a cell may hold newlines
            if cells and len(cells) != len(header):
                raise DataError(f"{path}, {place}: {len(cells)} cells under a header of {len(header)}")
            if cells:
                yield Row(place, dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}") from error
