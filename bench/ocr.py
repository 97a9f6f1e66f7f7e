"""How fast and how well scanned pages are read: `python -m bench.ocr FILE[=TRUE_TEXT]...`.

Each file goes through the real reading process. The text beside it, if given, is what its pages
say; a file of several pages must say the same on each.
"""

import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loaders.document import LoadedDocument
from loaders.reader_process import ReaderProcess
from loaders.settings import IngestSettings
from tests.fixtures.scans import SCANS, character_error_rate

OWN_SCANS = (
    "brochure.pdf=brochure.txt",
    "brochure_askew.pdf=brochure.txt",
    "brochure_four_ways_up.pdf=brochure.txt",
    "typewriter.png=typewriter.txt",
)


@dataclass(frozen=True, kw_only=True)
class Scan:
    """A file, and what it says if that is known."""

    name: str
    data: bytes
    truth: str | None

    @classmethod
    def named(cls, argument: str) -> "Scan":
        """The files that an argument names."""
        path, _, truth = argument.partition("=")
        return cls(
            name=Path(path).name,
            data=Path(path).read_bytes(),
            truth=Path(truth).read_text(encoding="utf-8") if truth else None,
        )


async def main(scans: Sequence[Scan]) -> None:
    """Print a line for each file."""
    reader = ReaderProcess(IngestSettings())
    await reader.start()
    try:
        for each in scans:
            await _measure(reader, each)
    finally:
        await reader.close()


async def _measure(reader: ReaderProcess, scan: Scan) -> None:
    start = time.perf_counter()
    document = await reader.read(scan.data, scan.name)
    seconds = (time.perf_counter() - start) / (document.pages or 1)
    rates = [] if scan.truth is None else _error_rates(document, scan.truth)
    shown = ", ".join(f"{rate:.2%}" for rate in rates) or "not known"
    print(f"{scan.name}: {seconds:.2f} s a page, characters wrong {shown}")


def _error_rates(document: LoadedDocument, truth: str) -> list[float]:
    pages = sorted({each.page or 1 for each in document.elements})
    return [
        character_error_rate(
            "\n".join(each.text for each in document.elements if (each.page or 1) == page), truth
        )
        for page in pages
    ]


if __name__ == "__main__":
    own = ["=".join(str(SCANS / part) for part in each.split("=")) for each in OWN_SCANS]
    asyncio.run(main([Scan.named(each) for each in sys.argv[1:] or own]))
