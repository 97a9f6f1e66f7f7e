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
    files_per_user: int = Field(default=3, ge=1)
    """Files of one user that all processes together work on at a time: the others wait, so that
    nobody's files keep everybody else's from being taken."""


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


class RerankSettings(BaseModel):
    """A model that reads question and passage together; none unless its address is set."""

    rerank_url: str | None = None
    """`http://host:port`, or the whole address of `/rerank` or `/v1/rerank`."""
    rerank_model: str | None = None
    """For servers that have several."""
    rerank_api_key: SecretStr | None = None
    rerank_timeout_seconds: float = Field(default=3.0, gt=0)
    """After that the passages come in the order that they were found in."""
