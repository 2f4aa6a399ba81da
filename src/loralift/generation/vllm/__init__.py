"""The engine on vLLM: base and adapters in one vLLM engine, which runs in this process."""
