"""Which evaluation rows stand in the data that an adapter was trained on.

A question or reference is **exact** where a training row holds its words one after the other, and **near** where the
row holds a large share of its word n-grams: 5-grams, or 3-grams for a text of fewer than 20 words, where one changed
word would break too many 5-grams. A training row is a prompt *and* an answer, longer than either, so what is measured
is containment (how much of the evaluation text the row holds), never the Jaccard similarity of the two (Broder, "On
the resemblance and containment of documents", 1997).

Short texts raise false alarms, so the shorter, the stricter:

==================  ======================================================================
words               what counts
==================  ======================================================================
fewer than 3        nothing
3 to 6              a question that is the whole of a line, a label like ``Question:`` aside; a reference never:
                    "It depends on your income" leaks nothing
7 to 19             exact anywhere in a row, or 70 % of the 3-grams
20 and more         exact anywhere in a row, or 40 % of the 5-grams
==================  ======================================================================

On FiQA's test split, no row of its train and validation data at hand, none of its 5,500 training questions and none
of the 846 further documents is taken for a leak; the nearest are at 0.67 for a short text ("Does the IRS reprieve …"
beside "Does the CRA reprieve …"), 0.25 for a long question and below 0.08 for a reference.

What this cannot see: the same meaning in other words, a translation, and text without spaces between words (Chinese,
Japanese), which is found only where a whole run of characters is the same.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from loralift.data.files import READERS, read_file, read_text
from loralift.data.table import Row
from loralift.errors import DataError
from loralift.reading import reading
from loralift.records import Leak, Question

LEAST_WORDS = 3
ANYWHERE_WORDS = 7
LONG_WORDS = 20
SHORT_GRAM, SHORT_SHARE = 3, 0.7
LONG_GRAM, LONG_SHARE = 5, 0.4

BATCH_WORDS = 500_000
"""Training words looked at together: some 50 MB of integers, whatever the file's size."""

WORD = re.compile(r"[^\W_]+")
MARKER = re.compile(r"<\|[^|<>]*\|>|</?s>|\[/?INST\]|<<?/?SYS>>?")
"""What chat templates put between turns; it ends a line."""

LABEL = re.compile(
    r"^\W*(?:question|query|q|instruction|input|prompt|user|human|answer|a|output|response|assistant)\s*\d*\W*[:：]\W*",
    re.IGNORECASE,
)
LONGEST_LABEL = 200
"""Characters in which a label is looked for: a long run of spaces and signs would be tried in every way."""

NOT_SAID = {"role", "from", "type", "name", "tool_call_id"}
"""Keys of a chat message that hold no text of it."""


def read_training_texts(path: Path) -> list[str]:
    """Everything that a training file says, one text a row.

    Args:
        path: ``.jsonl``, ``.json``, ``.csv``, ``.tsv``, ``.parquet``, or ``.txt``, of which a row is a paragraph (what
            stands between blank lines). Of other files a row's text is every text in it, a line each: of all columns,
            of lists, and of chat messages without their roles.

    Raises:
        DataError: The file cannot be read, or holds no text at all.
    """
    if path.suffix.lower() == ".txt":
        texts = [paragraph for paragraph in re.split(r"\n\s*\n", read_text(path)) if paragraph.strip()]
    else:
        with reading(path, DataError):
            is_file = path.is_file() and path.parts[:2] != ("/", "dev")
        if is_file and path.suffix.lower() not in READERS:
            allowed = ", ".join([*READERS, ".txt"])
            raise DataError(f"{path}: the suffix of training data must be one of {allowed}, got {path.suffix!r}")
        rows = [row for row in read_file(path).rows if isinstance(row, Row)]
        texts = ["\n".join((*said_in(row.values), *_alpaca(row.values))) for row in rows]
    if not any(text.strip() for text in texts):
        raise DataError(f"{path}: there is no text in it to look for leaks in")
    return texts


def find_leaks(questions: Sequence[Question], training: Sequence[str]) -> tuple[Leak, ...]:
    """Evaluation rows that stand, exactly or nearly, in training data.

    Time grows with the words of both, memory with those of the evaluation rows alone: 648 questions of FiQA against
    100,000 rows of 200 words take some ten seconds on one core.

    Args:
        questions: The evaluation data.
        training: A text a training row, as ``read_training_texts`` gives them.

    Returns:
        In the order of the questions, a question before its references; at most one leak a text: its exact place, or
        else the most similar one, the first of equals.
    """
    from loralift.data.shingles import Shingles  # numpy, which reading data does not need

    texts = [text for question in questions for text in _texts(question)]
    shingles = Shingles([(text.words, text.gram, text.share) for text in texts])
    whole = _whole_lines(texts)
    found: dict[int, Leak] = {}
    for first, rows in _batches(training):
        for place, row in enumerate(rows, start=first):
            for line in row.lines:
                for text in whole.get(line, ()):
                    _keep(found, text, texts[text], 1.0, place, exact=True)
        for position, text, similarity in shingles.found_in([row.words for row in rows]):
            exact = similarity == 1.0 and f" {texts[text].joined} " in f" {' '.join(rows[position].words)} "
            _keep(found, text, texts[text], similarity, first + position, exact=exact)
    return tuple(found[text] for text in sorted(found))


@dataclass(frozen=True, slots=True)
class _Text:
    """A question or reference as its words, in lower case."""

    id: str
    part: Literal["question", "reference"]
    words: tuple[str, ...]

    @property
    def joined(self) -> str:
        return " ".join(self.words)

    @property
    def gram(self) -> int:
        """How many words its n-grams have; 0: it is looked for as a whole line alone."""
        if len(self.words) < ANYWHERE_WORDS:
            return 0
        return SHORT_GRAM if len(self.words) < LONG_WORDS else LONG_GRAM

    @property
    def share(self) -> float:
        """From which share of its n-grams on a row is a near copy."""
        return SHORT_SHARE if self.gram == SHORT_GRAM else LONG_SHARE


@dataclass(frozen=True, slots=True)
class _TrainingRow:
    """A training row as its words, and the lines that could be a short question."""

    words: list[str]
    lines: list[str]


def _keep(found: dict[int, Leak], number: int, text: _Text, similarity: float, place: int, *, exact: bool) -> None:
    """Keep a text's best place."""
    before = found.get(number)
    if before is None or (exact, similarity) > (before.kind == "exact", before.similarity):
        found[number] = Leak(text.id, text.part, "exact" if exact else "near", similarity, place)


def _texts(question: Question) -> Iterator[_Text]:
    """What is looked for of one evaluation row."""
    references = (("reference", text, ANYWHERE_WORDS) for text in question.references)
    # "Can you say more?" stands in many a conversation: it asks nothing without the turns before it
    least_asked = ANYWHERE_WORDS if question.turns else LEAST_WORDS
    for part, text, least in (("question", question.question, least_asked), *references):
        words = tuple(_words(text))
        if len(words) >= least:
            yield _Text(question.id, "question" if part == "question" else "reference", words)


def _whole_lines(texts: Sequence[_Text]) -> dict[str, list[int]]:
    """The texts that are too short to be looked for inside a line."""
    lines = defaultdict(list)
    for number, text in enumerate(texts):
        if not text.gram:
            lines[text.joined].append(number)
    return lines


def _batches(training: Sequence[str]) -> Iterator[tuple[int, list[_TrainingRow]]]:
    """Training rows with the 1-based number of the first, some BATCH_WORDS at a time."""
    rows: list[_TrainingRow] = []
    words, first = 0, 1
    for place, text in enumerate(training, start=1):
        rows.append(_training_row(text))
        words += len(rows[-1].words)
        if words >= BATCH_WORDS or place == len(training):
            yield first, rows
            rows, words, first = [], 0, place + 1


def _training_row(text: str) -> _TrainingRow:
    words: list[str] = []
    short = []
    for line in MARKER.sub("\n", text).splitlines():
        said = _words(line)
        words += said
        if len(said) <= ANYWHERE_WORDS + 2:  # a label may have two: "Question 12:"
            short.append(" ".join(said))
            if (labelled := LABEL.match(line, 0, LONGEST_LABEL)) is not None:
                short.append(" ".join(_words(line[labelled.end() :])))
    return _TrainingRow(words, short)


def _words(text: str) -> list[str]:
    return WORD.findall(text.casefold())


def _alpaca(values: Mapping[str, object]) -> Iterator[str]:
    """An instruction and its input in one line, as a short question is looked for; elsewhere they are two."""
    halves = [values.get(column) for column in ("instruction", "input")]
    if all(isinstance(text, str) and text.strip() for text in halves):
        yield " ".join(word for text in halves for word in str(text).split())


def said_in(value: object) -> Iterator[str]:
    """Every text in a row's values, however deep; a chat's roles aside."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if key not in NOT_SAID or not isinstance(item, str):
                yield from said_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from said_in(item)
