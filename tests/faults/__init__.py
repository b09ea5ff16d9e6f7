"""Faults at single system calls of the real program: killed there, or told there that the call failed."""
