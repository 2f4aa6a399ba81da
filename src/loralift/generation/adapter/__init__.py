"""An adapter before and after it is loaded: what it is, that it fits its base, that it acts."""
