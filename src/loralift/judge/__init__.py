"""A model as a judge: asked which of two answers to one question is better, in both orders, once it has proved itself.

::

    Contest --rubric--> two Requests --asking--> Replies --reply, contest--> Outcome --proof--> Proof

``endpoint`` says who is asked, ``asking`` asks by `loralift.endpoints`. Both orders, and a tie where they
contradict, are MT-Bench's (Zheng et al., 2023); a rubric that can be replaced and a pattern for the verdict are
inspect_ai's; the proof is our own. No file is read or written here but the rubric: `loralift.workflow.judging` does it.
"""

from __future__ import annotations

from loralift.judge.asking import ask_all
from loralift.judge.contest import Contest, Outcome, Request, outcome, requests
from loralift.judge.endpoint import Endpoint, endpoint_of
from loralift.judge.proof import FEWEST, judged_proof, proof_contests
from loralift.judge.reply import Reply, read_verdict
from loralift.judge.rubric import Rubric, load_rubric

__all__ = [
    "FEWEST",
    "Contest",
    "Endpoint",
    "Outcome",
    "Reply",
    "Request",
    "Rubric",
    "ask_all",
    "endpoint_of",
    "judged_proof",
    "load_rubric",
    "outcome",
    "proof_contests",
    "read_verdict",
    "requests",
]
