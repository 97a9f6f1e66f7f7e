"""How a job says that it is to be done once more."""


class TryAgain(Exception):
    """The job has not come to its end: it goes back into the queue."""

    def __init__(self, after_seconds: float) -> None:
        super().__init__(after_seconds)
        self.after_seconds = after_seconds
