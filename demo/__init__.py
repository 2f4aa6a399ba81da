"""Makes the models that `loralift demo` evaluates: `python -m demo.make`."""
