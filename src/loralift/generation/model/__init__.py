"""A base model before its weights are loaded: where its files are, what it is, and its tokenizer."""
