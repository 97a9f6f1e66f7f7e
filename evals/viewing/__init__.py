"""Runs, looked at in a browser on this machine."""
