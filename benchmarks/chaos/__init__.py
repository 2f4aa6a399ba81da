"""Runs of the demo's models that are killed, starved of disk and run into each other: none may lose or mix answers.

``python -m benchmarks.chaos`` is the long form, a quarter of an hour; `tests/test_chaos.py` runs a short one.
"""
