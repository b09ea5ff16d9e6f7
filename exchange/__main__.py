"""`python -m exchange` is `handover`: how the demo starts its daemons with the Python that runs it."""

from exchange.cli import main

main()
