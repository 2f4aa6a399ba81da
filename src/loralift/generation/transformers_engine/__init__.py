"""The engine on transformers and PEFT: one loaded base, adapters switched on and off on it."""
