"""Continuous batching: our own decoding loop, its caches and its attention. Only this engine imports it."""
