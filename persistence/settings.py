"""The slices of the configuration that this folder owns."""

from pydantic import BaseModel, Field, SecretStr


class DatabaseSettings(BaseModel):
    """Where the database is and how hard it may be leaned on."""

    url: SecretStr | None = None
    """`postgresql://…`; without one the embedded PostgreSQL serves."""
    pool_size: int = Field(default=10, ge=1)
    max_overflow: int = Field(default=20, ge=0)
    """Connections beyond `pool_size` that a peak may open; each process has a few more for what
    all runs depend on, and for the agent's memory."""
    pool_timeout_seconds: float = Field(default=10, gt=0)
    """How long a unit of work waits for a free connection."""
    statement_timeout_seconds: float = Field(default=30, gt=0)


class EncryptionSettings(BaseModel):
    """What protects the data at rest."""

    chat_message_encryption_secret: SecretStr | None = None
    """Fernet keys separated by commas; the first one writes, all of them read."""


class VectorSettings(BaseModel):
    """Where the vectors are and which model makes them."""

    qdrant_url: str | None = None
    """Without one Qdrant's engine runs in process."""
    qdrant_api_key: SecretStr | None = None
    embed_model: str = "all-minilm"
