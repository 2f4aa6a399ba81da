"""LoraLift: did the LoRA lift the model?"""

__version__ = "0.1.0"
