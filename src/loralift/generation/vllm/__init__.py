"""The engine on vLLM: base and adapters on one engine in this process."""
