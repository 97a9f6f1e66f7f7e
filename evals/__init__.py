"""Measure: suites run from the command line against the served graph."""
