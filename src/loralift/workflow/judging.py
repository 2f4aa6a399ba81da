"""A judge of a finished run: it proves itself, is asked, and its figures go into comparison.json and the report.

Every figure is made of the replies on the disk alone, so that it can be made again without the judge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loralift.comparison import lower_bound
from loralift.errors import JudgeError, RunDirectoryError
from loralift.judge import (
    FEWEST,
    Contest,
    Endpoint,
    Reply,
    Request,
    Rubric,
    ask_all,
    judged_proof,
    outcome,
    proof_contests,
    requests,
)
from loralift.records import JudgeProof, Judging, Question, Report
from loralift.workflow import files
from loralift.workflow.codec import plain
from loralift.workflow.judge_figures import contests_of, judging_of
from loralift.workflow.judge_files import (
    KnownJudge,
    known_judges,
    new_judge,
    read_replies,
    recording,
    write_judge,
)
from loralift.workflow.progress import Watcher
from loralift.workflow.reporting import Written, build_report, write_report
from loralift.workflow.run_directory import RunDirectory, refuse_stopped

QUESTIONS = 200
"""Questions that a judge is asked about at most, spread evenly over the data."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Who is asked what.

    Attributes:
        endpoint: The judge.
        rubric: What it is told.
        questions: How many questions it is asked about at most.
        at_a_time: Requests under way at most.
    """

    endpoint: Endpoint
    rubric: Rubric
    questions: int = QUESTIONS
    at_a_time: int = 8


def judge_run(directory: RunDirectory, asked: Asked, watcher: Watcher) -> Written:
    """Let a judge prove itself on a run's references, and judge its answers if it does; nothing is asked twice.

    Args:
        directory: A finished run.
        asked: Who is asked what.
        watcher: Told what is being done.

    Returns:
        The run's report with what all its judges found, which is in comparison.json too. A judge that does not judge is
        in it with its figures and without a verdict: `refuse_unproved` raises.

    Raises:
        JudgeError: The judge cannot be asked, or the data are too few to prove any; its replies so far are kept.
        RunDirectoryError: The folder is no finished run, or in use.
    """
    with _finished(directory).locked():
        report = build_report(directory)
        if report.comparison is None:
            raise RunDirectoryError(f"{directory.root} has nothing to judge: no adapter was compared with its base")
        _known(directory)  # what is spoiled is said before anything is paid for
        judge = new_judge(directory, asked.endpoint, asked.rubric, asked.questions)
        proofs = proof_contests(_questions(report))
        if not proofs:
            raise JudgeError(
                f"no judge can be proved on {directory.root}: it takes {FEWEST} questions whose references differ, "
                f"and it has {len({row.reference for row in report.rows})}; run it on more"
            )
        files.remove_leftovers([judge.folder.root])
        write_judge(judge)
        session = _Session(judge, asked.at_a_time, watcher)
        every = [contest for contests in proofs.values() for contest in contests]
        session.ask(every, f"{judge.name} proves itself")
        if not proof_of(judge, report, read_replies(judge)).refused:
            session.ask(list(contests_of(report, judge.questions).values()), f"{judge.name} judges")
        _recall(directory, report)
        return write_report(directory, build_report(directory))


def recall(directory: RunDirectory) -> list[str]:
    """Put into comparison.json, once a run has written it again, what its judges found of the same answers.

    Returns:
        Why it could not be, a sentence; empty: it is there, or no judge was asked.
    """
    try:
        if known_judges(directory):
            _recall(directory, build_report(directory))
    except RunDirectoryError as error:  # what a judge left is no reason to show nothing of the run
        return [str(error)]
    return []


def _finished(directory: RunDirectory) -> RunDirectory:
    # an error too where there is none, before a lock makes the folder
    refuse_stopped(directory.read_run(), directory.root)
    return directory


def _recall(directory: RunDirectory, report: Report) -> None:
    judging = judging_of(report, _known(directory), proof_of)
    document = files.read_json(directory.comparison)
    files.write_json(directory.comparison, {**document, "judging": plain(judging)})


def refuse_unproved(judging: Judging | None, name: str) -> None:
    """Refuse a judge that does not judge.

    Args:
        judging: What all judges of the run found.
        name: Its folder's name.

    Raises:
        JudgeError: It did not prove itself, or left most pairs without a verdict; the message has the figures.
    """
    for judge in judging.judges if judging else ():
        if judge.name == name and judge.proof is not None and judge.proof.refused:
            raise JudgeError(
                f"the judge {judge.model} is refused, none of its verdicts is shown: {judge.proof.refused}"
            )
        for judged in judge.judged if judge.name == name else ():
            if judged.row.verdict is None:
                why = "; ".join(f"{count}: {reason}" for reason, count in judged.unscored.items())
                raise JudgeError(
                    f"the judge {judge.model} gave no verdict on most of {judged.row.candidate}'s answers "
                    f"({sum(judged.unscored.values())} of {judged.asked}; {why}), so it is not believed there"
                )


def proof_of(judge: KnownJudge, report: Report, replies: Mapping[str, Reply]) -> JudgeProof:
    """What a judge's replies prove.

    Raises:
        KeyError: Some are not there.
    """
    contests = proof_contests(_questions(report))
    outcomes = {
        check: [outcome(requests(contest, judge.rubric, judge.digest), replies) for contest in of]
        for check, of in contests.items()
    }
    return judged_proof(contests, outcomes, lower_bound)


def _known(directory: RunDirectory) -> list[tuple[KnownJudge, dict[str, Reply]]]:
    return [(judge, read_replies(judge)) for judge in known_judges(directory)]


def _questions(report: Report) -> list[Question]:
    """The report's questions, each once."""
    rows = {row.question_id or row.id: row for row in report.rows}
    return [Question(name, row.question, row.reference) for name, row in rows.items()]


@dataclass(slots=True)
class _Session:
    """What is asked of one judge now.

    Attributes:
        judge: The judge.
        at_a_time: Requests under way at most.
        watcher: Told what is being done.
    """

    judge: KnownJudge
    at_a_time: int
    watcher: Watcher

    def ask(self, contests: Sequence[Contest], description: str) -> None:
        """Ask what was not asked before, each message once.

        Raises:
            JudgeError: The judge cannot be asked, or its server refuses the very first requests.
        """
        wanted = {
            request.key: request
            for contest in contests
            for request in requests(contest, self.judge.rubric, self.judge.digest)
        }
        known = read_replies(self.judge)
        left = [request for key, request in wanted.items() if key not in known]
        self.watcher.say(f"{description}: {len(left)} requests{self._said(len(wanted) - len(left), left, known)}")
        if not left:
            return
        done = tokens = 0
        with recording(self.judge) as record, self.watcher.task(description, len(left)) as advance:

            def keep(request: Request, reply: Reply) -> None:
                nonlocal done, tokens
                if reply.refused and not known and not done:
                    raise JudgeError(
                        f"the judge at {self.judge.endpoint.url} refuses what it is asked: {reply.refused}; fields of "
                        "the request are set by --judge-option NAME=VALUE, and left out by NAME=null"
                    )
                record(request, reply)
                done, tokens = done + 1, tokens + (reply.output_tokens or 0)
                advance(done, tokens)

            ask_all(self.judge.endpoint, left, keep, at_a_time=self.at_a_time)

    @staticmethod
    def _said(before: int, left: Sequence[Request], known: Mapping[str, Reply]) -> str:
        """How many were answered before, and about how many tokens the others will take, by the mean so far."""
        kept = f", {before} more were answered before" if before else ""
        counted = [
            reply.prompt_tokens + reply.output_tokens
            for reply in known.values()
            if reply.prompt_tokens is not None and reply.output_tokens is not None
        ]
        if not counted or not left:
            return kept
        return f"{kept}, about {round(len(left) * sum(counted) / len(counted)):,} tokens"
