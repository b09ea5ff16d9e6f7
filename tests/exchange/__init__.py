"""Tests of moving files."""
