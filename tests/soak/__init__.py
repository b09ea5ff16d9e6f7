"""Two organisations for a long time, under load and faults at random: see `tests/soak/run.py`."""
