"""What is kept of a run: every answer with its scores, and under what they came about."""
