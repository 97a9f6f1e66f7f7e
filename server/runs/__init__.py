"""Runs: executed in tasks of their own, watched by any number of streams."""
