"""Whole organisations in one process, with a simulated clock, network and disk, driven by a seed."""
