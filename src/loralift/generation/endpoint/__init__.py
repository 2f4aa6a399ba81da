"""The engine for served models: any OpenAI-compatible server; base and adapters are names of models there."""
