"""The database as the command line reaches it, whoever else has it open."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from persistence.database import Database, attach_database
from persistence.encryption import KeyRing
from server.installation import load_secrets
from server.observability import configure_logging
from server.settings import Settings

STATEMENT_TIMEOUT_SECONDS = 600.0
"""A few statements look at whole tables."""


@asynccontextmanager
async def attached(settings: Settings) -> AsyncIterator[Database]:
    """Opens it as it is, also while a server has it open.

    Raises:
        ConfigurationError: There are no keys.
        PersistenceError: It cannot be opened, or not with these keys.
    """
    configure_logging(level="error", json=settings.production)
    secret = settings.security.chat_message_encryption_secret
    key_ring = (
        KeyRing.parse(secret.get_secret_value())
        if secret
        else KeyRing(load_secrets(settings, create=False).key_list)
    )
    patient = settings.database.model_copy(
        update={"statement_timeout_seconds": STATEMENT_TIMEOUT_SECONDS}
    )
    data_dir = settings.data_dir.absolute()
    async with attach_database(patient, key_ring=key_ring, data_dir=data_dir) as database:
        yield database
