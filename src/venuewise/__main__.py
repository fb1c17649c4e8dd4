"""`python -m venuewise`."""

from venuewise.cli import main

main()
