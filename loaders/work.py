"""The work on one file, as those see it who do it in steps."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from loaders.errors import LoaderLimit
from loaders.limits import ReadLimits
from loaders.ocr_choice import OcrChoice
from loaders.settings import IngestSettings


class Work:
    """Counts steps against what one file may take; each step has its own limit of time."""

    def __init__(
        self,
        limits: ReadLimits,
        ocr: OcrChoice,
        *,
        report: Callable[[int, int], None] | None = None,
    ) -> None:
        self.limits = limits
        self.ocr = ocr
        self._report = report
        self._done = 0
        self._total = 0
        self._ocr_pages = 0

    def begin(self, pages: int) -> None:
        """Say how many pages there are, before the first; anew for each file in a file.

        Raises:
            LoaderLimit: there are too many.
        """
        if pages > self.limits.pages:
            raise LoaderLimit(f"the file has {pages} pages; {self.limits.pages} are read at most")
        self._done, self._total = 0, pages
        self._tell()

    def finish_page(self) -> None:
        """Say that one more page is read."""
        self._done = min(self._done + 1, self._total)
        self._tell()

    def begin_ocr(self) -> None:
        """Say that a page is about to be recognised as a picture.

        Raises:
            LoaderLimit: too many were.
        """
        self._ocr_pages += 1
        if self._ocr_pages > self.limits.ocr_pages:
            raise LoaderLimit(
                f"the file has more than {self.limits.ocr_pages} scanned pages or pictures"
            )

    def _tell(self) -> None:
        if self._report is not None:
            self._report(self._done, self._total)


_in_hand: ContextVar[Work | None] = ContextVar("work_in_hand", default=None)


@contextmanager
def taking_in_hand(work: Work) -> Iterator[None]:
    """Within it, this is the work that `work_in_hand` gives."""
    token = _in_hand.set(work)
    try:
        yield
    finally:
        _in_hand.reset(token)


def work_in_hand() -> Work:
    """The work on the file that is being read; with the usual limits if nobody set any."""
    return _in_hand.get() or Work(ReadLimits.of(IngestSettings()), OcrChoice())
