"""The engine on transformers and PEFT: one loaded base model whose adapters are switched on and off."""
