"""`python -m pogo.cli` is `pogo`."""

from pogo.cli import main

main()
