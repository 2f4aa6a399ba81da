"""Every architecture that transformers has for text: does the engine answer as plain transformers and PEFT do?

    python -m benchmarks.architectures                        all, a line each; some 15 minutes on one core
    python -m benchmarks.architectures --only llama mixtral   some
    python -m benchmarks.architectures --out docs/architectures.md --json architectures.json
    python -m benchmarks.architectures --dtype bfloat16 --device cuda   likelihoods on a GPU beside float32

For each model type of transformers' causal language models a tiny random model is built (``tiny.py``; sizes in
``sizes.py``, what single ones need in ``kinds.py``), with a LoRA of all linear layers and, where it has experts, one of
these too (``lora.py``). 70 questions of 1 to 90 tokens, and 16 that share a beginning (``prompts.py``), are answered
with fewer slots than questions, and references scored (``matrix.py``, in bfloat16 ``rounded.py``). The truth is
transformers' ``generate`` and PEFT's layers, one row at a time in float32 (``reference.py``). ``report.py`` makes the
page.
"""
