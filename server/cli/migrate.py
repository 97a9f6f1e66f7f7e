"""`youworker migrate`: the newest schema, without starting a server."""

from persistence.database import open_database
from persistence.encryption import KeyRing
from server.installation import load_secrets
from server.settings import Settings


async def migrate_database(settings: Settings) -> str:
    """Migrates and says where the database stands."""
    key_ring = KeyRing(load_secrets(settings).key_list)
    data_dir = settings.data_dir.absolute()
    async with open_database(settings.database, key_ring=key_ring, data_dir=data_dir) as database:
        await database.ping()
    return "The database is at the newest schema."
