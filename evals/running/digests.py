"""What a suite asks, and about what, in a few letters: for records, for going on and for caches."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from evals.records.surroundings import file_digest, samples_digest
from evals.running.placeholders import paths_beside
from evals.suite.loading import Suite

_PACKAGE = "__init__.py"


def suite_digest(suite: Suite) -> str:
    """The same for the same questions, judged in the same way, about the same documents."""
    fixtures = fixtures_digest(suite).encode()
    return samples_digest(suite.samples, suite.path.read_bytes(), fixtures)


def fixtures_digest(suite: Suite) -> str:
    """The same for the same documents, users, groups, MCP servers, recordings and pictures."""
    if suite.spec is None:
        return samples_digest([])
    fixtures = suite.spec.fixtures
    documents = [(suite.path.parent / each.path).read_bytes() for each in fixtures.documents]
    servers = [_named_digest(suite, path) for path in server_files(suite)]
    return samples_digest([fixtures], *documents, *suite.read_media(), *servers)


def server_files(suite: Suite) -> list[Path]:
    """The files of the MCP servers that a suite brings, as far as `{suite}` tells of them.

    They are the named ones, what stands beside them, and the Python packages there; but nothing
    that is hidden, nor the suite's own file and its samples, of which a server knows nothing.
    """
    if suite.spec is None:
        return []
    folder = suite.path.parent.resolve()
    named = {
        Path(path)
        for server in suite.spec.fixtures.mcp_servers
        for path in paths_beside(server.config, folder)
    }
    found = {file for path in named for file in _files_of(path)}
    own = {suite.path.resolve()}
    if isinstance(suite.spec.samples, str):
        own.add((folder / suite.spec.samples).resolve())
    return sorted(found - own)


def _files_of(path: Path) -> Iterator[Path]:
    for each in (path if path.is_dir() else path.parent).iterdir():
        if each.is_file() and (each == path or not each.name.startswith(".")):
            yield each
        elif (each / _PACKAGE).is_file():
            yield from each.rglob("*.py")


def _named_digest(suite: Suite, path: Path) -> bytes:
    folder = suite.path.parent.resolve()
    name = path.relative_to(folder) if path.is_relative_to(folder) else path
    return hashlib.sha256(f"{name}\0{file_digest(path)}".encode()).digest()
