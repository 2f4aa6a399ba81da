"""The same examples every time; with HYPOTHESIS_PROFILE=long many more, and others each time."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# a machine that does other work is no fault of the code
COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow], "database": None}

settings.register_profile("ci", derandomize=True, max_examples=60, **COMMON)
settings.register_profile("long", max_examples=3_000, **COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
