"""What the pool makes of workers that answer, die, keep dying, or are not the same; no Ray is needed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any

import pytest

from loralift.errors import AdapterError, ModelError
from loralift.generation.ray.blocks import parted
from loralift.generation.ray.cluster import Died, Ended
from loralift.generation.ray.pool import Pool, Witness
from loralift.generation.ray.worker import Part
from loralift.records import Answer
from tests.generation.ray.workplace import KILLED, Scripted, answers, loaded, value

ROWS = {f"q{n}": f"q{n}" for n in range(40)}


def pool_of(place: Scripted, said: list[str] | None = None) -> Pool:
    return Pool(place, lambda say: None, (said if said is not None else []).append)


def answered(pool: Pool, full: int = 8) -> list[Any]:
    blocks = parted(ROWS, len(pool), full)
    return [one for part in pool.run(blocks, "generate", lambda rows: (rows,)) for one in part]


def once_each(found: Sequence[Any]) -> bool:
    return sorted(one.id for one in found) == sorted(ROWS)


def dying(when: Any) -> Any:
    """A worker that answers two rows and dies, when a test says so."""

    def script(start: int, method: str, arguments: Sequence[Any]) -> Any:
        if when(start, list(arguments[0])):
            yield next(answers(start, method, arguments))
            yield KILLED
        else:
            yield from answers(start, method, arguments)

    return script


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_each_row_is_answered_once_and_all_workers_answer(workers):
    said = []
    found = answered(pool_of(Scripted(workers), said), full=2)
    assert once_each(found)
    assert {one.text for one in found} == {str(number) for number in range(workers)}
    assert said == ["it was loaded"]


def test_a_worker_that_dies_loses_and_repeats_nothing():
    said, place = [], Scripted(2, dying(lambda start, rows: start == 0))
    pool = pool_of(place, said)
    assert once_each(answered(pool))
    asked = [row for _, _, (rows,) in place.asked for row in rows]
    # the first two of the block that died were answered before, and are not asked again
    first = place.asked[0][2][0]
    assert sorted(asked) == sorted([*ROWS, *first[2:]])
    assert place.starts == 3
    assert said[1:] == [f"worker 0 died with {len(first) - 2} rows, which are done again (killed); it is started again"]


def test_a_worker_that_dies_within_a_batch_does_it_again_as_a_whole():
    """Without the rows that came before it would not be the same batch, and likelihoods not the same numbers."""
    said, place = [], Scripted(2, dying(lambda start, rows: start == 0))
    pool = pool_of(place, said)
    batches = [list(ROWS)[begin : begin + 5] for begin in range(0, len(ROWS), 5)]
    blocks = parted(ROWS, len(pool), 10, batches)
    found = [one for part in pool.run(blocks, "generate", lambda rows: (rows,)) for one in part]
    assert once_each(found)
    first, *others = [rows for _, _, (rows,) in place.asked]
    assert first in others  # its first two rows were answered, and their batch was not
    for rows in others:
        assert all(set(batch) <= set(rows) or not set(batch) & set(rows) for batch in batches)
    assert f"worker 0 died with {len(first) - 2} rows" in said[1]


def test_a_worker_that_dies_after_its_last_row_is_asked_nothing_again():
    def script(start: int, method: str, arguments: Sequence[Any]) -> Any:
        *parts, end = answers(start, method, arguments) if method == "generate" else value(start)
        return iter([*parts, KILLED if start < 2 else end])

    said, place = [], Scripted(2, script)
    pool = pool_of(place, said)
    assert once_each(answered(pool))
    asked = [row for _, _, (rows,) in place.asked for row in rows]
    assert sorted(asked) == sorted(ROWS)
    assert said[1] == "worker 0 died while it was free or loading (killed); it is started again"
    assert sorted(pool_of(Scripted(2, script)).all("proof")) == [(0, 0), (1, 1)]


def test_an_answer_is_not_taken_twice():
    def twice(start: int, method: str, arguments: Sequence[Any]) -> Any:
        row = Answer(arguments[0][0], "", "stop", 1, 1)
        return iter([Part([row, row])])

    with pytest.raises(RuntimeError, match="answered 'q0', which it was not asked"):
        answered(pool_of(Scripted(1, twice)))


def test_a_worker_that_keeps_dying_is_left_out_and_named_while_others_go_on():
    said, place = [], Scripted(2, dying(lambda start, rows: start != 1))
    pool = pool_of(place, said)
    found = answered(pool, full=4)
    assert once_each(found)
    assert len(pool) == 1
    assert said[-1].startswith("worker 0 died with ")
    assert said[-1].endswith("it is left out, as it died 3 times")
    assert once_each(answered(pool))


def test_a_worker_that_dies_as_it_loads_is_left_out():
    place = Scripted(2, loads=lambda start: loaded() if start == 1 else KILLED)
    pool = pool_of(place)
    assert once_each(answered(pool))
    assert len(pool) == 1


def test_no_worker_left_is_an_error():
    with pytest.raises(ModelError, match="all 2 workers died 3 times each, the last: out of memory; if memory ran out"):
        pool_of(place := Scripted(2, loads=lambda start: Died("out of memory")))
    assert place.closed


def test_rows_that_kill_every_worker_are_named():
    def script(start: int, method: str, arguments: Sequence[Any]) -> Any:
        return iter([KILLED]) if "q3" in arguments[0] else answers(start, method, arguments)

    place = Scripted(2, script)
    with pytest.raises(ModelError) as stopped:
        answered(pool_of(place), full=40)
    assert "workers 0, 1 died 3 times with the same 20 rows (q1, q3, q5, q7, q9 and 15 more), the last: killed" in str(
        stopped.value
    )
    assert "leave these rows out" in str(stopped.value)


def test_a_block_waits_for_a_worker_that_it_has_not_killed():
    """Else a machine that is broken would let its rows seem deadly."""
    place = Scripted(2, dying(lambda start, rows: start != 1))
    assert once_each(answered(pool_of(place), full=40))
    firsts = [(start, rows[0]) for start, _, (rows,) in place.asked]
    assert all(sum(1 for start, row in firsts if row == name and start != 1) <= 1 for _, name in firsts)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"identity": {"base": "c"}}, "base is 'c' and not 'b'"),
        ({"numerics": {"dtype": "bfloat16"}}, "dtype is 'bfloat16' and not 'float32'"),
        ({"information": {"device_name": "A100"}}, "device_name is 'A100' and not 'cpu'"),
    ],
)
def test_workers_that_are_not_the_same_are_refused(other, said):
    place = Scripted(2, loads=lambda start: loaded(**(other if start == 1 else {})))
    with pytest.raises(ModelError, match=said):
        pool_of(place)
    assert place.closed


def test_a_worker_that_is_started_again_must_agree_with_what_all_agreed_on():
    def script(start: int, method: str, arguments: Sequence[Any]) -> Any:
        if method == "proof":
            return value(start)
        return dying(lambda start, rows: start == 0)(start, method, arguments)

    def refuse(number: int, it: Any) -> None:
        if it == 2:
            raise ModelError(f"worker {number} says {it}")

    pool = pool_of(Scripted(2, script))
    pool.witness = Witness("proof", (), refuse)
    with pytest.raises(ModelError, match="worker 0 says 2"):
        answered(pool)


@pytest.mark.parametrize("dies", [(), (0,), (1,)])
def test_a_worker_that_is_not_told_where_answers_end_answers_nothing(dies):
    told = set()

    def script(start: int, method: str, arguments: Sequence[Any]) -> Any:
        if method == "describe":
            return value(loaded(identity={"ends": start in told}).description)
        told.add(start)
        part, end = value(None)
        return iter([part, KILLED if start in dies else end])

    pool = pool_of(Scripted(2, script))
    if not dies:
        pool.end_at(7)
        assert (pool.ends, pool.loaded.description.identity) == ((7,), {"ends": True})
        return
    with pytest.raises(ModelError, match="worker 1 died while all were told where answers end: run it once more"):
        pool.end_at(7)


def test_each_worker_is_asked_and_one_that_is_left_out_is_not_waited_for():
    def script(start: int, method: str, arguments: Sequence[Any]) -> Any:
        return value(start * 10) if start == 1 else iter([KILLED])

    pool = pool_of(Scripted(2, script))
    assert pool.all("proof") == [(1, 10)]
    assert pool.one("proof") == 10


def test_what_a_worker_refuses_is_raised_and_the_pool_is_usable():
    def script(start: int, method: str, arguments: Sequence[Any]) -> Any:
        return iter([AdapterError("no")]) if method == "bad" else answers(start, method, arguments)

    pool = pool_of(place := Scripted(2, script))
    with pytest.raises(AdapterError, match="no"):
        pool.one("bad")
    assert place.ended == [0]  # which may be at work
    assert once_each(answered(pool))


def test_answers_that_were_given_up_never_come_later():
    pool = pool_of(place := Scripted(2))
    with closing(pool.run(parted(ROWS, 2, 8), "generate", lambda rows: (rows,))) as parts:
        next(parts)
        with pytest.raises(RuntimeError, match="must be taken, or given up"):
            answered(pool)
    assert sorted(place.ended) == [0, 1]
    assert once_each(answered(pool))


@pytest.mark.parametrize(
    ("given", "said"),
    [([Part([])], "ended without an answer to q0"), ([Part([type("Row", (), {"id": "x"})])], "answered 'x'")],
)
def test_an_answer_too_few_or_too_many_is_a_bug_that_is_seen(given, said):
    place = Scripted(1, lambda start, method, arguments: iter([*given, Ended()]))
    with pytest.raises(RuntimeError, match=said):
        answered(pool_of(place))
