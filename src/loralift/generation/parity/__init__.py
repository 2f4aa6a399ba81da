"""The modes in which one model can be run (loop, generate, vLLM; merged or not), and what each of them answers."""
