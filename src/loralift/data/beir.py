"""BEIR's retrieval layout (corpus, queries, qrels) as questions with their references.

A query's reference is its first relevant document: the first line of the qrels, in the file's order, that names
the query with a score above 0. The first ground truth of ``explodinggradients/fiqa`` is just that document of BEIR's
FiQA-2018. Further relevant documents are further references. White space around a query is left out; documents are
given as they are.

Thakur et al., "BEIR: A Heterogeneous Benchmark for Zero-shot Evaluation of Information Retrieval Models", NeurIPS
2021 (arXiv:2104.08663).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from loralift.data.files import cells_of, read_jsonl
from loralift.data.hub import read_split
from loralift.data.spec import BeirDirectory, BeirHub
from loralift.data.table import Dropped, Row, Table
from loralift.errors import DataError, shown, some
from loralift.reading import reading

QRELS_HEADER = ("query-id", "corpus-id", "score")

Judgement = tuple[str, str, int]
"""Query id, document id, relevance (0: not relevant)."""


def pair(
    judgements: Iterable[Judgement], queries: Mapping[str, str], corpus: Mapping[str, str]
) -> Iterator[Row | Dropped]:
    """Give every judged query its first relevant document.

    Args:
        judgements: In the order of the qrels.
        queries: Query id to text.
        corpus: Document id to text.

    Yields:
        In the order in which the judgements first name each query: a row of ``id``, ``question`` and
        ``reference`` (the texts of all its relevant documents that are there, the first in front), or what was
        missing. A query judged without any relevant document has no answer to miss, and is passed over
        (``_unanswerable`` counts them).
    """
    for query, relevant in _relevant(judgements).items():
        if not relevant:
            continue
        if not queries.get(query, "").strip():
            yield Dropped(query, f"it is {'empty' if query in queries else 'missing'} in the queries")
        elif not _says(corpus, relevant[0]):
            state = "empty" if relevant[0] in corpus else "missing"
            yield Dropped(query, f"its first relevant document {relevant[0]} is {state} in the corpus")
        else:
            # BEIR's FiQA ends some queries with a space; explodinggradients/fiqa asks its test questions without
            question = queries[query].strip()
            texts = [corpus[document] for document in relevant if document in corpus]
            yield Row(f"query {query}", {"id": query, "question": question, "reference": texts})


def _relevant(judgements: Iterable[Judgement]) -> dict[str, list[str]]:
    """Query to its relevant documents, in the order of the qrels."""
    relevant: dict[str, list[str]] = {}
    for query, document, score in judgements:
        documents = relevant.setdefault(query, [])
        if score > 0:
            documents.append(document)
    return relevant


def _unanswerable(judgements: Iterable[Judgement]) -> tuple[str, ...]:
    """A note on the queries that are judged but have no relevant document."""
    none = [query for query, documents in _relevant(judgements).items() if not documents]
    if not none:
        return ()
    return (f"queries that are judged without any relevant document are not asked: {len(none)} ({some(none)})",)


def _not_there(judgements: Iterable[Judgement], corpus: Mapping[str, str]) -> tuple[str, ...]:
    """A note on relevant documents after the first that say nothing; without its first a query is not asked."""
    asked = (relevant for relevant in _relevant(judgements).values() if relevant and _says(corpus, relevant[0]))
    lost = list(dict.fromkeys(each for relevant in asked for each in relevant if not _says(corpus, each)))
    if not lost:
        return ()
    said = "further relevant documents that are missing or empty in the corpus are no references"
    return (f"{said}: {len(lost)} ({some(lost)})",)


def _says(corpus: Mapping[str, str], document: str) -> bool:
    return bool(corpus.get(document, "").strip())


def read_beir_directory(source: BeirDirectory) -> Table:
    """Read ``corpus.jsonl``, ``queries.jsonl`` and ``qrels/SPLIT.tsv`` of a directory.

    Raises:
        DataError: A file or the split is not there, or a line cannot be read.
    """
    with reading(source.name, DataError, "beir:DIR must name a folder in BEIR's layout"):
        return _read_folder(source)


def _read_folder(source: BeirDirectory) -> Table:
    folder = source.path
    if Path(source.split).name != source.split:
        raise DataError(f"{source.name}: the split must be the name of a file in qrels, got {source.split!r}")
    qrels = folder / "qrels" / f"{source.split}.tsv"
    for path in (folder, folder / "corpus.jsonl", folder / "queries.jsonl", folder / "qrels"):
        if not path.exists():
            raise DataError(f"{source.name}: BEIR's layout needs {path}, which does not exist")
    if not qrels.is_file():
        splits = sorted(path.stem for path in qrels.parent.glob("*.tsv"))
        raise DataError(f"{source.name}: no split {source.split!r}; it has {some(splits) or 'none'}")
    queries = _texts(str(folder / "queries.jsonl"), read_jsonl(folder / "queries.jsonl"))
    corpus = _texts(str(folder / "corpus.jsonl"), read_jsonl(folder / "corpus.jsonl"))
    judgements = list(read_qrels(qrels))
    rows = list(pair(judgements, queries, corpus))
    identity = f"BEIR directory {folder}, split {source.split}"
    return Table(source.name, identity, rows, (*_unanswerable(judgements), *_not_there(judgements, corpus)))


def read_beir_hub(source: BeirHub) -> Table:
    """Read ``BeIR/NAME`` (configurations corpus, queries) and ``BeIR/NAME-qrels`` from the Hugging Face hub.

    Raises:
        DataError: The hub cannot be reached, or has no such data set, split or revision.
    """
    repository, judged = f"BeIR/{source.dataset}", f"BeIR/{source.dataset}-qrels"
    qrels = read_split(judged, None, source.split, source.qrels_revision)
    queries = read_split(repository, "queries", "queries", source.revision)
    corpus = read_split(repository, "corpus", "corpus", queries.revision)  # both of one commit
    judgements = [_judgement(source.name, row) for row in _rows(qrels.rows)]
    documents = _texts(repository, _rows(corpus.rows))
    rows = pair(judgements, _texts(repository, _rows(queries.rows)), documents)
    identity = f"{repository}, revision {queries.revision}; {judged}, split {source.split}, revision {qrels.revision}"
    return Table(source.name, identity, list(rows), (*_unanswerable(judgements), *_not_there(judgements, documents)))


def read_qrels(path: Path) -> Iterator[Judgement]:
    """The judgements of a qrels file, in its order.

    Raises:
        DataError: The header or a line is not query, document and score.
    """
    lines = cells_of(path, "\t", csv.QUOTE_NONE)
    header = tuple(next(lines, ()))
    if header != QRELS_HEADER:
        raise DataError(f"{path}, line 1: the columns must be {', '.join(QRELS_HEADER)}, got {', '.join(header)}")
    for cells in lines:
        if cells:
            place = f"line {lines.line_num}"
            if len(cells) != len(header):
                raise DataError(f"{path}, {place}: {len(cells)} cells under a header of {len(header)}")
            yield _judgement(str(path), Row(place, dict(zip(header, cells, strict=True))))


def _judgement(name: str, row: Row) -> Judgement:
    query, document, score = (row.values.get(column) for column in QRELS_HEADER)
    if not re.fullmatch(r"[+-]?[0-9]{1,9}", str(score)):
        raise DataError(f"{name}, {row.place}: the score must be an integer, got {shown(score)}")
    return str(query), str(document), int(str(score))


def _rows(rows: Iterable[Mapping[str, object]]) -> Iterator[Row]:
    return (Row(f"row {number}", values) for number, values in enumerate(rows))


def _texts(name: str, rows: Iterable[Row]) -> dict[str, str]:
    """Id to text; a title that is not empty stands before it, as BEIR's own retrievers read it."""
    texts = {}
    for row in rows:
        key, title, text = (row.values.get(column) for column in ("_id", "title", "text"))
        if isinstance(key, bool) or not isinstance(key, str | int) or not isinstance(text, str):
            raise DataError(f"{name}, {row.place}: must have _id and text, got {some(row.values) or 'nothing'}")
        if not isinstance(title, str | None):
            raise DataError(f"{name}, {row.place}: the title must be text or null, got {shown(title)}")
        if str(key) in texts:
            raise DataError(f"{name}, {row.place}: the _id {key} is there twice")
        texts[str(key)] = f"{title} {text}" if title else text
    return texts
