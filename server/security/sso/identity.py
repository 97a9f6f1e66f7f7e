"""Whom a provider's token speaks of."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from server.errors import LoginFailed
from server.security.sso.settings import ProviderSettings
from server.security.usernames import USERNAME_PATTERN

SUBJECT_MAX_CHARS = 255
"""OpenID Connect Core 1.0, section 2."""
GROUPS_MAX = 1000
_USERNAME = re.compile(USERNAME_PATTERN)


@dataclass(frozen=True, kw_only=True)
class ProviderIdentity:
    """Somebody, as a provider knows them."""

    issuer: str
    subject: str
    """The provider's own name for the user, which never passes to another person."""
    username: str | None
    """None if the token has none that could be used here."""
    groups: tuple[str, ...] | None = None
    """None if the token does not speak of groups."""


def read_identity(claims: Mapping[str, Any], settings: ProviderSettings) -> ProviderIdentity:
    """Reads the claims of a token that has been verified.

    Raises:
        LoginFailed: It does not say whom it is about, or its groups are no list of names.
    """
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_MAX_CHARS:
        raise LoginFailed
    username = claims.get(settings.username_claim)
    usable = isinstance(username, str) and _USERNAME.fullmatch(username) is not None
    return ProviderIdentity(
        issuer=settings.issuer,
        subject=subject,
        username=username if usable else None,
        groups=_groups(claims.get(settings.groups_claim)),
    )


def _groups(claim: object) -> tuple[str, ...] | None:
    if claim is None:
        return None
    names = [claim] if isinstance(claim, str) else claim
    if not isinstance(names, list) or len(names) > GROUPS_MAX:
        raise LoginFailed
    if not all(isinstance(name, str) for name in names):
        raise LoginFailed
    return tuple(dict.fromkeys(name for name in names if name.strip()))
