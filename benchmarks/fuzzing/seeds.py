"""Good inputs, from which a fuzzer goes on, and the words that it puts in."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Iterable, Mapping
from dataclasses import asdict

from benchmarks.fuzzing.readers import PARTS
from loralift.comparison import Settings, compare, summarise
from loralift.records import MetricInfo, Score
from loralift.workflow.codec import plain
from loralift.workflow.comparing import comparison_document

ROWS: list[dict[str, object]] = [
    {"id": "1", "question": "Why?", "reference": "Because.", "topic": "x"},
    {"id": 2, "question": "What is it?", "reference": ["It", "is"], "n": 1.5},
]
SCORES: list[dict[str, object]] = [
    {"id": "1", "f1": 0.5, "statistics": {"x": [1.0, 2.0]}, "unscored": {"x": "no"}},
    {"id": "2", "f1": 1},
]
ANSWERS: list[dict[str, object]] = [
    {"id": "1", "prediction": "a b", "reference": "a"},
    {"id": "2", "prediction": "", "reference": ["a", "b"]},
]
LOG: list[dict[str, object]] = [
    {"doc_id": 0, "doc": {"id": "a", "question": "Why?"}, "target": "['a', 'b']", "resps": [["a"]], "doc_hash": "h",
     "filtered_resps": ["a"], "filter": "none", "metrics": ["f1"], "f1": 0.5}
]  # fmt: skip
RECORDS: list[dict[str, object]] = [
    {"id": "1", "text": "a", "finish_reason": "stop", "prompt_tokens": 3, "output_tokens": 1, "seconds": 0.5},
    {"id": "2", "text": "", "finish_reason": None, "prompt_tokens": None, "output_tokens": None, "seconds": None},
]
CONFIG = b"""model: a/b
adapters: {mine: ./x}
dataset: a.jsonl
columns: {question: q}
limit: 3
metrics: [f1, rouge]
margins: {f1: 0.02}
stop: ["\\n"]
temperature: 0.5
seed: 2
"""
ADAPTER = {
    "peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM",
    "bias": "none", "modules_to_save": None, "rank_pattern": {}, "alpha_pattern": {}, "use_dora": False,
    "init_lora_weights": True,
}  # fmt: skip
TEMPLATE = (
    b"{% for m in messages %}{% if m.role == 'user' %}<|{{ m['role'] }}|>{{ m.content | trim }}{% endif %}{% endfor %}"
    b"{% if add_generation_prompt %}{{ bos_token }}{% else %}{{ raise_exception('no') }}{% endif %}"
)
SHOWN = b"\xff".join(
    [
        b"title",
        b"mine",
        b"f1",
        b"F1",
        b"**fact** `x`",
        b"note @all #1",
        b"100 % <b>",
        b"why\n",
        b"Q|?",
        b"ref",
        b"a",
        b"p",
    ]
)


def lines(rows: Iterable[Mapping[str, object]]) -> bytes:
    """JSON lines."""
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def parquet() -> bytes:
    """A parquet file."""
    import pyarrow as pa
    from pyarrow import parquet as writer

    stream = io.BytesIO()
    writer.write_table(pa.table({"question": ["Why?", "What?"], "answer": ["a", "b"], "n": [1.5, None]}), stream)
    return stream.getvalue()


def safetensors() -> bytes:
    """A safetensors file of one tensor."""
    header = json.dumps({"a.lora_B.weight": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    return struct.pack("<Q", len(header)) + header + struct.pack("<2f", 1, 2)


def comparison() -> bytes:
    """comparison.json."""
    info = {"f1": MetricInfo("f1", "F1", margin=0.1)}
    sides = [[Score(str(n), {"f1": (n + shift) / 9}) for n in range(4)] for shift in (0, 1)]
    made = compare("base", sides[0], {"mine": sides[1]}, info, Settings("f1", resamples=100))
    return json.dumps({**comparison_document(made, ()), "confounds": {}, "findings": []}).encode()


def results() -> bytes:
    """baseline_results.json."""
    info = MetricInfo("f1", "F1", margin=0.1)
    summary = summarise([Score(str(n), {"f1": n / 9}) for n in range(4)], info)
    return json.dumps(plain({"metrics": {"f1": {"info": info, **asdict(summary)}}})).encode()


def seeds() -> dict[str, list[bytes]]:
    """Target to its good inputs."""
    data, listed = lines(ROWS), json.dumps(ROWS).encode()
    table = b'id,question,reference\n1,Why?,"a, ""b"""\n2,What?,b\n'
    beir = PARTS.join(
        [lines([{"_id": "d", "title": "t", "text": "x"}]), lines([{"_id": "q", "text": "Why?"}]),
         b"query-id\tcorpus-id\tscore\nq\td\t1\n"]
    )  # fmt: skip
    return {
        "json": [listed, b'{"a": [1, -2.5e3, null, true, "\\ud83d\\ude00"]}'],
        "data .jsonl": [data],
        "data .json": [listed],
        "data .csv": [table],
        "data .tsv": [table.replace(b",", b"\t")],
        "data .parquet": [parquet()],
        "beir": [beir],
        "indices": [b"[0, 2, 5]"],
        "training .txt": [b"Why?\n\nBecause.\n"],
        "training .jsonl": [data],
        "yaml": [CONFIG],
        "flags": [b"--model\0a/b\0--adapter\0m=./x\0--margin\0f1=0.1\0--limit\0003\0--dataset\0hf://a/b?split=x"],
        "side": [lines(SCORES), lines(ANSWERS), lines(LOG)],
        "scores.jsonl": [lines(SCORES)],
        "answers.jsonl": [lines(RECORDS)],
        "results": [results()],
        "comparison.json": [comparison()],
        "adapter_config": [json.dumps(ADAPTER).encode()],
        "safetensors": [safetensors()],
        "page": [SHOWN],
        "markdown": [SHOWN],
        "terminal": [SHOWN],
        "chat template": [TEMPLATE],
    }


WORDS: tuple[bytes, ...] = (
    b"null", b"true", b"NaN", b"1e999", b"-1", b"0", b"1" + b"0" * 30, b"9" * 4_400, b'""', b"[]", b"{}", b"[" * 3_000,
    b'{"a":' * 3_000, b"\\ud800", b"\\u0000", b"\0", b"\x1b[2J", b"\xe2\x80\xae", b"\xe2\x80\xa8",
    b"\xef\xbb\xbf",
    b"\xff\xfe", b"\x1f\x8b", b"\x80", b"\n", b"\r", b"\t", b'"', b"'", b"<script>", b"</script>", b"-->", b"&", b"`",
    b"|", b"{{", b"}}", b"{%", b"%}", b"!!python/object/apply:os.getpid []", b"&a [*a]", b"<<: ", b"---\n",
    b"2001-99-99", b"__class__", b"range(10**9)",
    b"'x' * 10**9", b"id", b"question", b"statistics", b"unscored", b"=", b"..", b"/",
)  # fmt: skip
"""What has broken readers before."""
