"""A field of a form that is filled in at a terminal."""

from collections.abc import Callable, Mapping
from typing import Any

_YES, _NO = {"y", "yes", "true"}, {"n", "no", "false"}


class FormField:
    """Reads what is typed as what the field takes."""

    def __init__(self, name: str, schema: Mapping[str, Any], *, is_required: bool) -> None:
        self._name = name
        self._schema = schema
        self._is_required = is_required
        items = schema.get("items", schema)
        options = items.get("oneOf") or items.get("anyOf") or []
        self._choices: dict[str, str] = {each["const"]: each["title"] for each in options}
        names = items.get("enumNames") or items.get("enum", [])
        self._choices |= dict(zip(items.get("enum", []), names, strict=True))

    @property
    def explanation(self) -> list[str]:
        """Lines about it: what it is for, and what there is to choose from."""
        lines = [self._schema["description"]] if self._schema.get("description") else []
        lines += [
            f"{number}) {title}" + (f" ({value})" if title != value else "")
            for number, (value, title) in enumerate(self._choices.items(), 1)
        ]
        return lines

    @property
    def prompt(self) -> str:
        """The question, with what the answer has to be."""
        facts = [self._kind]
        if "default" in self._schema:
            facts.append(f"empty: {self._shown_default}")
        elif not self._is_required:
            facts.append("may be empty")
        return f"{self._schema.get('title') or self._name} ({', '.join(facts)})"

    def read(self, typed: str) -> Any:
        """The value; None where nothing is given.

        Raises:
            ValueError: It is none; the message says what one is.
        """
        typed = typed.strip()
        if not typed:
            if "default" in self._schema:
                return self._schema["default"]
            if self._is_required:
                raise ValueError("This is needed.")
            return None
        readers: dict[str, Callable[[str], Any]] = {
            "boolean": _read_yes_or_no,
            "integer": lambda text: self._within(_read_number(text, int)),
            "number": lambda text: self._within(_read_number(text, float)),
            "array": self._read_several,
        }
        return readers.get(self._schema["type"], self._read_text)(typed)

    @property
    def _kind(self) -> str:
        if self._schema["type"] == "array":
            return "numbers, separated by commas"
        if self._choices:
            return "a number of these"
        plain = {"boolean": "yes or no", "integer": "a whole number", "number": "a number"}
        return plain.get(self._schema["type"]) or str(self._schema.get("format", "text"))

    @property
    def _shown_default(self) -> str:
        default = self._schema["default"]
        if isinstance(default, bool):
            return "yes" if default else "no"
        if isinstance(default, list):
            return ", ".join(self._choices.get(each) or each for each in map(str, default))
        return str(self._choices.get(default, default))

    def _read_text(self, typed: str) -> str:
        if self._choices:
            return self._choice(typed)
        least, most = self._schema.get("minLength", 0), self._schema.get("maxLength")
        if len(typed) < least or (most is not None and len(typed) > most):
            raise ValueError(f"This takes {least} to {most or 'any number of'} characters.")
        return typed

    def _read_several(self, typed: str) -> list[str]:
        chosen = [self._choice(part.strip()) for part in typed.split(",") if part.strip()]
        least, most = self._schema.get("minItems", 0), self._schema.get("maxItems")
        if len(chosen) < least or (most is not None and len(chosen) > most):
            raise ValueError(f"Choose {least} to {most or 'any number'} of these.")
        return chosen

    def _choice(self, typed: str) -> str:
        values = list(self._choices)
        if typed in values:
            return typed
        if typed.isdecimal() and 1 <= int(typed) <= len(values):
            return values[int(typed) - 1]
        raise ValueError(f"Give a number from 1 to {len(values)}.")

    def _within(self, value: float) -> float:
        least, most = self._schema.get("minimum"), self._schema.get("maximum")
        if least is not None and value < least:
            raise ValueError(f"This is at least {least}.")
        if most is not None and value > most:
            raise ValueError(f"This is at most {most}.")
        return value


def _read_yes_or_no(typed: str) -> bool:
    if typed.lower() in _YES:
        return True
    if typed.lower() in _NO:
        return False
    raise ValueError("Say yes or no.")


def _read_number(typed: str, kind: type[int] | type[float]) -> float:
    try:
        return kind(typed)
    except ValueError as exc:
        raise ValueError("That is not such a number.") from exc
