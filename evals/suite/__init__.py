"""What is asked: suites, as files of YAML with samples beside them, or tasks in Python."""
