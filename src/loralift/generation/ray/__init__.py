"""The generator that spreads prompts over workers: processes, here or on a Ray cluster, that each have the model."""
