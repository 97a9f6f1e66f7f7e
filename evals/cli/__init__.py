"""`youworker eval`: what evaluators type."""
