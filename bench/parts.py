"""The parts of the comparison: the same loads, each part asking in its own way."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from bench.arrangements import Arrangement, open_pair
from bench.processes import Served

PartName = Literal["chat", "socket", "tools", "pair"]
PARTS: tuple[PartName, ...] = get_args(PartName)
TITLES: dict[PartName, str] = {
    "chat": "Answers over server-sent events, no tools offered",
    "socket": "The same over WebSockets, one for each answer; its handshake is in the CPU",
    "tools": "Answers after one tool call; the product offers all its tools, bare one",
    "pair": "Answers over server-sent events, 'pair' being two processes on one database",
}


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What parts are opened with."""

    arrangements: list[Arrangement]
    """Those of the chat: direct, bare and, unless it is left out, the product."""
    database_url: str
    work_dir: Path


@contextmanager
def open_part(name: PartName, setting: Setting) -> Iterator[list[Arrangement]]:
    """Yields what is compared; what only this part needs is stopped afterwards."""
    direct, *others = setting.arrangements
    match name:
        case "chat":
            yield [direct, *others]
        case "socket":
            yield [direct, *(one.over_socket() for one in others)]
        case "tools":
            # Reading directly stays without: what the call takes is in what comes on top.
            yield [direct, *(one.with_tool() for one in others)]
        case "pair":
            model = direct.served
            assert isinstance(model, Served)
            with open_pair(setting.database_url, model, setting.work_dir) as pair:
                yield [direct, *others, pair]
