"""What Inspect leaves behind is no failure of a test."""

import gc
import warnings
from contextlib import contextmanager


@contextmanager
def quiet():
    """Lets Inspect leave a stream unclosed for each sample: it is found when it is collected."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        warnings.simplefilter("ignore", DeprecationWarning)  # Inspect's use of tenacity
        try:
            yield
        finally:
            gc.collect()


def run_quietly(command, *given, **options):
    """Runs a command; returns what it does."""
    with quiet():
        return command(*given, **options)
