"""Grammars, in llama.cpp's notation, for the values that arguments mostly are."""

import json
from collections.abc import Sequence
from typing import Any

# The answer goes on after a colon: most texts the model learnt from have a blank there.
_BLANK = '" "? '
_GRAMMARS = {
    "string": rf'root ::= {_BLANK}"\"" ([^"\\\x00-\x1f] | "\\" ["\\/bfnrt]){{1,200}} "\""',
    "number": rf'root ::= {_BLANK}"-"? [0-9]{{1,15}} ("." [0-9]{{1,15}})?',
    "integer": rf'root ::= {_BLANK}"-"? [0-9]{{1,15}}',
    "boolean": rf'root ::= {_BLANK}("true" | "false")',
}


def grammar_for(kind: str, choices: Sequence[Any] | None) -> str | None:
    """The grammar of a JSON value; None for kinds that only a whole schema can describe."""
    if choices:
        options = " | ".join(_quote(json.dumps(choice, ensure_ascii=False)) for choice in choices)
        return f"root ::= {_BLANK}({options})"
    return _GRAMMARS.get(kind)


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
