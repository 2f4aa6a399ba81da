"""LoraLift's version, for what must know it without importing the whole package."""

VERSION = "0.1.0"
