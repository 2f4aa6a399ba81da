"""`python -m benchmarks`: every measurement that this machine can make."""

from benchmarks import verdicts

verdicts.main()
