"""LoRA adapters: read from their files, checked against the base, and shown to change the model's output."""
