"""MLflow's table of an evaluation, the artefact ``eval_results_table.json`` of ``mlflow.models.evaluate``.

It is ``{"columns": […], "data": [[…], …]}``: the columns of the data, and ``METRIC/score`` for each metric that scores
rows; those that score the whole alone are not in it. Rows have no ids but those of the data.
"""

from __future__ import annotations

from collections.abc import Mapping

from loralift.errors import ComparisonError
from loralift.workflow.external_formats import (
    QUESTIONS,
    REFERENCES,
    Row,
    Texts,
    has_ids,
    id_columns,
    numbered,
    references_of,
    with_ids,
    without_ids,
)
from loralift.workflow.sides.columns import column_info
from loralift.workflow.sides.contents import Content
from loralift.workflow.sides.logs.log import Log, Sample, Tool, log_of, number, wanted
from loralift.workflow.sides.side import document

SIGNATURE = "tool:mlflow"
SCORE = "/score"
PREDICTIONS = ("predictions", "outputs")
TARGETS = ("targets", *REFERENCES)
INPUTS = ("inputs", *QUESTIONS)


def _is_log(content: Content) -> bool:
    return set(content.whole) == {"columns", "data"}


def _read(content: Content, chosen: str | None) -> Log:
    place = str(content.path)
    columns, data = wanted(place, content.whole, "columns", list), wanted(place, content.whole, "data", list)
    if len(set(map(str, columns))) < len(columns):
        raise ComparisonError(f"{place}: a column is there twice")
    rows: list[Row] = []
    for at, cells in enumerate(data, start=1):
        if not isinstance(cells, list) or len(cells) != len(columns):
            raise ComparisonError(f"{place}, row {at}: must have {len(columns)} cells, one a column")
        rows.append(dict(zip(map(str, columns), cells, strict=True)))
    known = has_ids(rows)
    lines = with_ids(place, rows) if known else numbered(rows)
    samples = [_sample(f"{place}, row {at}", row) for at, row in enumerate(lines, start=1)]
    names = dict.fromkeys(name for sample in samples for name in sample.values)
    infos = {name: column_info(name, SIGNATURE) for name in names}
    ids = {"id_column": id_columns(rows)[0]} if known else {"no_ids": without_ids(place, rows)}
    return log_of(content, "MLflow", samples, infos, **ids)


def _sample(place: str, row: Row) -> Sample:
    values = {
        column.removesuffix(SCORE): number(place, column, of) for column, of in row.items() if column.endswith(SCORE)
    }
    answer, right, question = (_one(row, names) for names in (PREDICTIONS, TARGETS, INPUTS))
    found, asked = references_of(right), question if isinstance(question, str) else ""
    texts = Texts(row["id"], answer, found[0], asked, others=found[1:]) if found and isinstance(answer, str) else None
    return Sample(row["id"], values, texts, document(asked, found[0] if found else ""))


def _one(row: Mapping[str, object], names: tuple[str, ...]) -> object:
    """The one column of these names that a row has; None where it has none or several."""
    found = [row[name] for name in names if name in row]
    return found[0] if len(found) == 1 else None


TOOL = Tool(is_log=_is_log, read=_read)
