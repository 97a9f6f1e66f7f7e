"""What rules about tools are written in, over HTTP."""

import unicodedata
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from server.dependencies import ROW_ID_MAX


def require_visible(text: str) -> str:
    """The text, if all of it shows.

    Raises:
        ValueError: It holds control characters.
    """
    if any(unicodedata.category(each) in {"Cc", "Cs", "Zl", "Zp"} for each in text):
        raise ValueError("a pattern holds no control characters")
    return text


ToolPattern = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(require_visible),
]
"""`server.tool`; `*` in it stands for any characters: `mail.*`, `*.delete`, `*`."""
RowNumber = Annotated[int, Field(ge=1, le=ROW_ID_MAX)]


class RuleUpdate(BaseModel):
    """What of a rule is to change; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    tool: ToolPattern | None = None

    @model_validator(mode="after")
    def _require_change(self) -> Self:
        if not self.changes:
            raise ValueError("give what is to change")
        return self

    @property
    def changes(self) -> dict[str, object]:
        """The new values, by name."""
        return self.model_dump(exclude_none=True)
