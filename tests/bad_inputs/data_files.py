"""Files of questions. `given` is the file's name and its content; the error must name the file besides the culprit."""

from __future__ import annotations

import io
from typing import Any

from tests.bad_inputs.case import (
    BOM,
    DIGITS,
    GZIP,
    UTF16,
    Case,
    a_folder,
    a_link_to_itself,
    a_link_to_nothing,
    lines,
    nested,
)

ROW = {"id": "1", "question": "What are bonds?", "reference": "Bonds are 5 letters."}
OTHER = {**ROW, "id": "2", "question": "What is cash?"}


def parquet(**columns: Any) -> bytes:
    """A parquet file of these columns; a value may be an Arrow array."""
    import pyarrow as pa
    from pyarrow import parquet as writer

    stream = io.BytesIO()
    writer.write_table(pa.table(columns), stream)
    return stream.getvalue()


def parquet_of(kind: str, values: list[Any]) -> bytes:
    """A parquet file whose reference is of one kind."""
    import pyarrow as pa

    types = {
        "timestamp": pa.timestamp("us"),
        "duration": pa.duration("ns"),
        "binary": pa.binary(),
        "struct": pa.struct([("a", pa.string())]),
        "map": pa.map_(pa.string(), pa.string()),
        "nested": pa.list_(pa.list_(pa.string())),
    }
    return parquet(id=["1"], question=["What are bonds?"], reference=pa.array(values, types[kind]))


JSONL = (
    Case("a folder", ("d.jsonl", a_folder), "d.jsonl"),
    Case("a link to nothing", ("d.jsonl", a_link_to_nothing), "d.jsonl"),
    Case("a link to itself", ("d.jsonl", a_link_to_itself), "d.jsonl"),
    Case("empty", ("d.jsonl", ""), "no rows"),
    Case("blank lines", ("d.jsonl", "\n\n \n"), "no rows"),
    Case("only a byte order mark", ("d.jsonl", BOM), "no rows"),
    Case("UTF-16", ("d.jsonl", lines(ROW).encode(UTF16)), "UTF-16"),
    Case("compressed", ("d.jsonl", GZIP), "decompress"),
    Case("Latin-1", ("d.jsonl", lines(ROW).encode() + b'{"id": "caf\xe9"}\n'), "line 2"),
    Case("broken", ("d.jsonl", lines(ROW, "{broken")), "line 2"),
    Case("torn", ("d.jsonl", lines(ROW) + '{"id": "2", "quest'), "line 2"),
    Case("a list", ("d.jsonl", "[1]\n"), "line 1"),
    Case("a JSON document", ("d.jsonl", '[\n{"id": 1}\n]\n'), "line 1"),
    Case("a number", ("d.jsonl", "7\n"), "line 1"),
    Case("null", ("d.jsonl", "null\n"), "line 1"),
    Case("CSV", ("d.jsonl", "id,question,reference\n1,a,b\n"), "line 1"),
    Case("two objects in a line", ("d.jsonl", '{"id": 1} {"id": 2}\n'), "line 1"),
    Case("single quotes", ("d.jsonl", "{'id': '1'}\n"), "line 1"),
    Case("nested too deeply", ("d.jsonl", nested() + "\n"), "deep"),
    Case("objects nested too deeply", ("d.jsonl", nested('{"a":', "}") + "\n"), "deep"),
    Case("5,000 digits", ("d.jsonl", f'{{"id": {DIGITS}}}\n'), "digits"),
    Case("a key twice", ("d.jsonl", '{"id": "1", "question": "a", "question": "b", "reference": "c"}\n'), "question"),
    Case("half a character in the question", ("d.jsonl", lines({**ROW, "question": "\ud800"})), "line 1"),
    Case("half a character in the reference", ("d.jsonl", lines({**ROW, "reference": "a\udfff"})), "line 1"),
    Case("half a character in the id", ("d.jsonl", lines({**ROW, "id": "\ud800"})), "line 1"),
    Case("half a character in a further column", ("d.jsonl", lines({**ROW, "topic": "\ud800"})), "line 1"),
    Case("half a character in a column's name", ("d.jsonl", lines({**ROW, "\ud800": "x"})), "line 1"),
    Case("an id that is null", ("d.jsonl", lines({**ROW, "id": None})), "id"),
    Case("an id that is empty", ("d.jsonl", lines({**ROW, "id": ""})), "id"),
    Case("an id that is true", ("d.jsonl", lines({**ROW, "id": True})), "id"),
    Case("an id with a fraction", ("d.jsonl", lines({**ROW, "id": 1.5})), "id"),
    Case("an id that is a list", ("d.jsonl", lines({**ROW, "id": ["1"]})), "id"),
    Case("an id twice", ("d.jsonl", lines(ROW, ROW)), "more than once"),
    Case("an id twice, as number and text", ("d.jsonl", lines(ROW, {**OTHER, "id": 1})), "more than once"),
    Case("an id of a megabyte twice", ("d.jsonl", lines(*[{**ROW, "id": "x" * 1_000_000}] * 2)), "more than once"),
    Case("a question that is a list", ("d.jsonl", lines({**ROW, "question": ["a"]})), "question"),
    Case("a question that is an object", ("d.jsonl", lines({**ROW, "question": {"a": "b"}})), "question"),
    Case("a question that is a conversation",
         ("d.jsonl", lines({**ROW, "question": [{"role": "user", "content": "a"}]})), "question"),
    Case("a reference that is an object", ("d.jsonl", lines({**ROW, "reference": {"text": ["a"]}})), "reference"),
    Case("a reference of lists", ("d.jsonl", lines({**ROW, "reference": [["a"]]})), "reference"),
    Case("only blank questions", ("d.jsonl", lines({**ROW, "question": " \n"})), "empty"),
    Case("only null references", ("d.jsonl", lines({**ROW, "reference": None})), "null"),
    Case("only infinite references", ("d.jsonl", '{"id": "1", "question": "a", "reference": 1e999}\n'), "null"),
    Case("no question", ("d.jsonl", lines({"id": "1", "reference": "a"})), "question"),
    Case("no reference", ("d.jsonl", lines({"id": "1", "question": "a"})), "reference"),
    Case("no known column", ("d.jsonl", lines({"x": 1})), "column"),
    Case("no column", ("d.jsonl", "{}\n"), "column"),
    Case("two columns that may be it", ("d.jsonl", lines({"query": "a", "prompt": "b", "answer": "c"})), "several"),
    Case("a terminal sequence in a column's name", ("d.jsonl", lines({"\x1b[2J": "a"})), r"\x1b[2J"),
)  # fmt: skip

OTHERS = (
    Case("JSON empty", ("d.json", ""), "not JSON"),
    Case("JSON broken", ("d.json", "[{]"), "not JSON"),
    Case("JSON an object", ("d.json", '{"data": []}'), "list"),
    Case("JSON a text", ("d.json", '"a"'), "list"),
    Case("JSON an empty list", ("d.json", "[]"), "no rows"),
    Case("JSON a list of lists", ("d.json", "[[1]]"), "row 0"),
    Case("JSON too deep", ("d.json", nested()), "deep"),
    Case("JSON a key twice", ("d.json", '[{"id": 1, "id": 2}]'), "twice"),
    Case("JSON lines", ("d.json", lines(ROW, OTHER)), "d.json"),
    Case("JSON in UTF-16", ("d.json", "[]".encode(UTF16)), "UTF-16"),
    Case("JSON a folder", ("d.json", a_folder), "d.json"),
    Case("CSV empty", ("d.csv", ""), "d.csv"),
    Case("CSV only a header", ("d.csv", "id,question,reference\n"), "no rows"),
    Case("CSV with a column twice", ("d.csv", "id,question,question,reference\n1,a,b,c\n"), "question"),
    Case("CSV with too many cells", ("d.csv", "id,question,reference\n1,a,b,c\n"), "line 2"),
    Case("CSV with too few cells", ("d.csv", "id,question,reference\n1,a\n"), "line 2"),
    Case("CSV with a quote that is not closed", ("d.csv", 'id,question,reference\n1,"a,b\n'), "d.csv"),
    Case("CSV with semicolons", ("d.csv", "id;question;reference\n1;a;b\n"), "column"),
    Case("CSV in UTF-16", ("d.csv", "id,question\n".encode(UTF16)), "UTF-16"),
    Case("CSV compressed", ("d.csv", GZIP), "decompress"),
    Case("CSV with an id twice", ("d.csv", "id,question,reference\n1,a,b\n1,c,d\n"), "more than once"),
    Case("TSV with commas", ("d.tsv", "id,question,reference\n1,a,b\n"), "column"),
    Case("TSV with a column twice", ("d.tsv", "id\tid\tquestion\treference\n1\t1\ta\tb\n"), "id"),
    Case("TSV with too many cells", ("d.tsv", "question\treference\na\tb\tc\n"), "line 2"),
    Case("Parquet empty", ("d.parquet", b""), "parquet"),
    Case("Parquet that is none", ("d.parquet", b"PAR1 not really PAR1"), "parquet"),
    Case("Parquet torn", ("d.parquet", lambda p: p.write_bytes(parquet(id=["1"], question=["a"])[:-20])), "parquet"),
    Case("Parquet a folder", ("d.parquet", a_folder), "d.parquet"),
    Case("Parquet without rows", ("d.parquet", lambda p: p.write_bytes(parquet(id=[], question=[]))), "no rows"),
    Case("Parquet with a moment", ("d.parquet", lambda p: p.write_bytes(parquet_of("timestamp", [2**62]))),
         "d.parquet"),
    Case("Parquet with a time span", ("d.parquet", lambda p: p.write_bytes(parquet_of("duration", [2**62 + 1]))),
         "d.parquet"),
    Case("Parquet with bytes", ("d.parquet", lambda p: p.write_bytes(parquet_of("binary", [b"\xff"]))), "reference"),
    Case("Parquet with an object", ("d.parquet", lambda p: p.write_bytes(parquet_of("struct", [{"a": "b"}]))),
         "reference"),
    Case("Parquet with a map", ("d.parquet", lambda p: p.write_bytes(parquet_of("map", [[("a", "b")]]))), "reference"),
    Case("Parquet with lists of lists", ("d.parquet", lambda p: p.write_bytes(parquet_of("nested", [[["a"]]]))),
         "reference"),
    Case("a suffix that is unknown", ("d.xlsx", b"PK"), ".xlsx"),
    Case("no suffix", ("data", "x"), "suffix"),
)  # fmt: skip

CORPUS = lines({"_id": "d1", "text": "Bonds are 5 letters."})
QUERIES = lines({"_id": "q1", "text": "What are bonds?"})
QRELS = "query-id\tcorpus-id\tscore\nq1\td1\t1\n"

BEIR = (
    Case("no corpus", {"corpus.jsonl": None}, "corpus.jsonl"),
    Case("no queries", {"queries.jsonl": None}, "queries.jsonl"),
    Case("no judgements", {"qrels/test.tsv": None}, "test"),
    Case("the corpus a folder", {"corpus.jsonl": a_folder}, "corpus.jsonl"),
    Case("the corpus broken", {"corpus.jsonl": "{"}, "corpus.jsonl, line 1"),
    Case("a document without a text", {"corpus.jsonl": lines({"_id": "d1"})}, "corpus.jsonl, line 1"),
    Case("a document without an id", {"corpus.jsonl": lines({"text": "a"})}, "_id"),
    Case("a document twice", {"corpus.jsonl": CORPUS + CORPUS}, "twice"),
    Case("a query that is no text", {"queries.jsonl": lines({"_id": "q1", "text": 7})}, "queries.jsonl, line 1"),
    Case("judgements with another header", {"qrels/test.tsv": "q\td\ts\nq1\td1\t1\n"}, "line 1"),
    Case("judgements with commas", {"qrels/test.tsv": QRELS.replace("\t", ",")}, "line 1"),
    Case("a judgement that is no number", {"qrels/test.tsv": QRELS + "q1\td1\tyes\n"}, "line 3"),
    Case("a judgement of 5,000 digits", {"qrels/test.tsv": QRELS + f"q1\td1\t{DIGITS}\n"}, "line 3"),
    Case("a judgement with two cells", {"qrels/test.tsv": QRELS + "q1\td1\n"}, "line 3"),
    Case("no relevant document", {"qrels/test.tsv": QRELS.replace("1\n", "0\n")}, "no rows"),
    Case("a document that is not there", {"qrels/test.tsv": QRELS.replace("d1", "d9")}, "d9"),
)

INDICES = (
    Case("not JSON", "1, 2", "not JSON"),
    Case("empty", "", "not JSON"),
    Case("an object", '{"test": [1]}', "list"),
    Case("an empty list", "[]", "list"),
    Case("a number", "1", "list"),
    Case("texts", '["1"]', "integers"),
    Case("fractions", "[1.0]", "integers"),
    Case("truth values", "[true]", "integers"),
    Case("null", "[null]", "integers"),
    Case("lists", "[[1]]", "integers"),
    Case("negative", "[-1]", "from 0"),
    Case("beyond the rows", "[1000000]", "from 0"),
    Case("one twice", "[1, 1]", "several of 1"),
    Case("5,000 digits", f"[{DIGITS}]", "digits"),
    Case("too deep", nested(), "deep"),
    Case("UTF-16", "[1]".encode(UTF16), "UTF-16"),
    Case("a folder", a_folder, "indices.json"),
    Case("a link to nothing", a_link_to_nothing, "indices.json"),
)

TRAINING = (
    Case("empty text", ("t.txt", " \n"), "no text"),
    Case("text in UTF-16", ("t.txt", "abc".encode(UTF16)), "UTF-16"),
    Case("text compressed", ("t.txt", GZIP), "decompress"),
    Case("broken", ("t.jsonl", "{"), "line 1"),
    Case("too deep", ("t.jsonl", nested() + "\n"), "deep"),
    Case("no texts", ("t.jsonl", "{}\n"), "no text"),
    Case("an unknown suffix", ("t.docx", b"PK"), ".docx"),
)
