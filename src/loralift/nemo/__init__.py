"""LoraLift on NVIDIA's NeMo Evaluator SDK: it drives scoring, holds the bundles and runs its own paired tests.

::

    Example --batching--> environment --run_evaluation--> Score --bundles--> RUN/nemo/VARIANT/BENCH.METRIC/eval-*.json

The SDK takes over a second to import, so nothing here is imported before scoring begins.
"""
