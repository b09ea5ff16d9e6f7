"""Tests of what a verification recomputes."""
