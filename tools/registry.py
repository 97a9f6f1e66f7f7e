"""Which servers there are, as values."""

from dataclasses import dataclass
from typing import Literal

from tools.config import ServerConfig


@dataclass(frozen=True, kw_only=True)
class RegisteredServer:
    """A server, where it comes from and whom it is for."""

    name: str
    source: Literal["built-in", "file", "api"]
    id: int | None = None
    """As the database numbers it; None where there is no database, and of built-in ones."""
    config: ServerConfig | None = None
    """How it is reached; None for built-in ones."""
    groups: frozenset[int] | None = None
    """Whose members may use it; everybody when None."""
    is_enabled: bool = True

    def is_reached_as(self, other: "RegisteredServer") -> bool:
        """Whether what is held with the other one can be held on to."""
        return self.config == other.config and self.id == other.id

    @property
    def is_ours(self) -> bool:
        """Whether it is part of the product."""
        return self.source == "built-in"

    @property
    def is_wanted(self) -> bool:
        """Whether it is to be held."""
        return self.is_enabled and not (self.config is not None and self.config.disabled)

    @property
    def tells_the_truth(self) -> bool:
        """Whether it is believed that a tool only reads, or can be called again."""
        return self.is_ours or (self.config is not None and self.config.trust_annotations)
