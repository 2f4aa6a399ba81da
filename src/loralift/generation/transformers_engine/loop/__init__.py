"""Our own decoding loop (continuous batching) with its KV caches and attention. Only this engine imports it."""
