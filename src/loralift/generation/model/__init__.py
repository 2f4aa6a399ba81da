"""A base model before anything is loaded: where it lies, what it is, and its tokenizer."""
