"""`python -m loralift` is `loralift`."""

from loralift.cli import main

main()
