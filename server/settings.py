"""The settings of the product: each folder's slice, composed once and checked for production."""

from pathlib import Path
from typing import Annotated, Literal, Self

from cryptography.fernet import Fernet
from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from graph.settings import AgentSettings, ChatModelSettings
from loaders.settings import IngestSettings
from loaders.speech.settings import SpeechSettings
from persistence.settings import (
    DatabaseSettings,
    EncryptionSettings,
    RerankSettings,
    VectorSettings,
)
from server.errors import ConfigurationError
from server.job_settings import JobSettings
from server.run_settings import RunSettings
from server.security.door_settings import DoorSettings
from server.security.sso.settings import AuthentikSettings, OidcSettings, WebAddress
from server.security.web_origins import OriginList
from tools.settings import LISTED, McpSettings, OutboundSettings, WebSettings

ROOT_KEY_MIN_CHARS = 32
JWT_SECRET_MIN_CHARS = 32
MAKE_TOKEN = "python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"  # noqa: S105 - a command, no secret
MAKE_FERNET_KEY = (
    "python3 -c 'import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())'"
)


def _require_absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("must begin with /")
    return path


AbsolutePath = Annotated[Path, AfterValidator(_require_absolute)]


class ApiSettings(BaseModel):
    """Where the server listens and how much it takes (`API__*`)."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8001
    max_body_bytes: Annotated[int, Field(ge=1024)] = 1024 * 1024
    """Largest request body, messages and uploads aside."""
    max_message_bytes: Annotated[int, Field(ge=1024)] = 32 * 1024 * 1024
    """Largest message: with images or a recording in base64 it may be large."""
    max_socket_message_bytes: Annotated[int, Field(ge=1024)] = 8 * 1024 * 1024
    """Largest message over a WebSocket. Each that is open may be receiving one; what has come and
    waits takes at most 64 MiB a user and 256 MiB in all. Larger ones, with images or long
    recordings, are for `POST /v1/chat`. No more than `max_message_bytes` counts."""
    max_upload_bytes: Annotated[int, Field(ge=1024)] = 256 * 1024 * 1024
    """Largest upload, all its files together; it is held in memory while it is read."""
    max_upload_files: Annotated[int, Field(ge=1)] = 20
    max_sockets_per_user: Annotated[int, Field(ge=1)] = 50
    """WebSockets that a user may have open at this server."""
    heartbeat_seconds: Annotated[float, Field(gt=0)] = 15.0
    """Silence on an event stream after which a comment line keeps proxies awake."""
    shutdown_seconds: Annotated[int, Field(ge=1)] = 5
    """How long open requests may take to end when the server stops."""
    public_url: WebAddress = ""
    """Where browsers find the product, as `https://ai.example.org`: they come back to it from the
    authorization servers of MCP servers, and identity tokens are issued in its name. In development
    it is this machine unless it is set."""
    cors_origins: OriginList = ()
    """Pages of other origins that may act for a user whose browser has a cookie of ours."""

    @property
    def socket_message_limit(self) -> int:
        """What a WebSocket takes."""
        return min(self.max_socket_message_bytes, self.max_message_bytes)


class SourceSettings(IngestSettings):
    """What may be read, what reading may cost, and from where (`INGEST__*`)."""

    roots: Annotated[tuple[AbsolutePath, ...], *LISTED] = ()
    """Folders of this server that documents may be taken in from; without any there are none."""
    paths_for_everyone: bool = False
    """Whether every user may take in what lies there, or root alone."""
    max_path_files: Annotated[int, Field(ge=1)] = 10_000
    """Files of one folder that are taken in at once."""


class ImageSettings(BaseModel):
    """Which images a message may hold (`IMAGES__*`)."""

    max_count: Annotated[int, Field(ge=0)] = 4
    """In one message; 0 takes none."""
    max_bytes: Annotated[int, Field(ge=1024)] = 5 * 1024 * 1024
    """Of one image."""
    max_pixels: Annotated[int, Field(ge=1)] = 25_000_000
    """Of one image, as its header says: what a model has to unpack."""


class SecuritySettings(DoorSettings, EncryptionSettings):
    """The secrets of the installation (`SECURITY__*`)."""

    root_api_key: SecretStr | None = None
    jwt_secret: SecretStr | None = None
    """Signs the tokens of logins and the scope that tools receive."""
    access_token_seconds: Annotated[int, Field(ge=1, le=86_400)] = 900
    """After so long a login's token is refreshed."""
    login_seconds: Annotated[int, Field(ge=60, le=365 * 86_400)] = 7 * 86_400
    """After so long a login ends, however often it was refreshed."""
    oidc: OidcSettings = OidcSettings()
    authentik: AuthentikSettings = AuthentikSettings()

    @model_validator(mode="after")
    def _authentik_stands_behind_a_proxy(self) -> Self:
        if self.authentik.configured and not self.trusted_proxies:
            raise ValueError("authentik needs trusted_proxies, from which its word is taken")
        return self


class LlmSettings(ChatModelSettings, VectorSettings, RerankSettings):
    """Language models, the embedding model, the vector index and a reranker (`LLM__*`)."""


class Settings(BaseSettings):
    """Everything that the environment (or a `.env` file) says."""

    model_config = SettingsConfigDict(
        env_nested_delimiter="__",
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        hide_input_in_errors=True,
    )

    app_env: Literal["development", "production", "test"] = "development"
    data_dir: Path = Path(".data")
    """Everything that the embedded defaults keep, and the encrypted originals."""
    allow_embedded: bool = False
    """Lets production run on the embedded database, index and model."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    api: ApiSettings = ApiSettings()
    database: DatabaseSettings = DatabaseSettings()
    security: SecuritySettings = SecuritySettings()
    llm: LlmSettings = LlmSettings()
    agent: AgentSettings = AgentSettings()
    mcp: McpSettings = McpSettings()
    outbound: OutboundSettings = OutboundSettings()
    web: WebSettings = WebSettings()
    ingest: SourceSettings = SourceSettings()
    speech: SpeechSettings = SpeechSettings()
    images: ImageSettings = ImageSettings()
    runs: RunSettings = RunSettings()
    jobs: JobSettings = JobSettings()

    @property
    def production(self) -> bool:
        """Whether the strict rules of production hold."""
        return self.app_env == "production"

    @property
    def public_url(self) -> str | None:
        """Where browsers find the product; None where nobody can know it."""
        if self.api.public_url or self.production:
            return self.api.public_url or None
        return f"http://127.0.0.1:{self.api.port}"

    @property
    def offers_web(self) -> bool:
        """Whether the agent may look into the web."""
        wanted = not self.production if self.web.enabled is None else self.web.enabled
        return wanted and self.outbound.enabled


def load_settings() -> Settings:
    """Reads the environment and checks it.

    Raises:
        ConfigurationError: A value is malformed, or production lacks a secret or a server.
    """
    try:
        settings = Settings()
    except ValidationError as exc:
        raise ConfigurationError(_first_fault(exc)) from exc
    if not settings.jobs.in_api and None in (settings.database.url, settings.llm.qdrant_url):
        raise ConfigurationError(
            "JOBS__IN_API is false, and on the embedded database and index no other process can "
            "make files searchable: set DATABASE__URL and LLM__QDRANT_URL, or leave JOBS__IN_API."
        )
    if settings.production:
        check_production(settings)
    return settings


def check_production(settings: Settings) -> None:
    """Refuses what only development may do without.

    Raises:
        ConfigurationError: One sentence: which setting, and how to make a good value.
    """
    security = settings.security
    _require_strong("SECURITY__ROOT_API_KEY", security.root_api_key, ROOT_KEY_MIN_CHARS)
    _require_strong("SECURITY__JWT_SECRET", security.jwt_secret, JWT_SECRET_MIN_CHARS)
    _require_fernet_keys(security.chat_message_encryption_secret)
    _require_tls("API__PUBLIC_URL", settings.api.public_url)
    _require_tls("SECURITY__OIDC__ISSUER", security.oidc.issuer)
    _require_tls("SECURITY__OIDC__REDIRECT_URL", security.oidc.redirect_url)
    _require_tls("SECURITY__AUTHENTIK__JWKS_URL", security.authentik.jwks_url)
    if settings.allow_embedded:
        return
    embedded = {
        "DATABASE__URL": settings.database.url,
        "LLM__OLLAMA_BASE_URL": settings.llm.ollama_base_url,
        "LLM__QDRANT_URL": settings.llm.qdrant_url,
    }
    for name, value in embedded.items():
        if value is None:
            raise ConfigurationError(
                f"{name} is not set and APP_ENV is production: point it at a real server, "
                "or set ALLOW_EMBEDDED=true to run on the embedded one."
            )


def _require_strong(name: str, secret: SecretStr | None, least: int) -> None:
    value = secret.get_secret_value() if secret else ""
    if len(value) < least or len(set(value)) < 10:
        state = "too weak" if value else "not set"
        raise ConfigurationError(f"{name} is {state}: make one with {MAKE_TOKEN}")


def _require_tls(name: str, address: str) -> None:
    if address and not address.startswith("https://"):
        raise ConfigurationError(f"{name} must begin with https:// when APP_ENV is production.")


def _require_fernet_keys(secret: SecretStr | None) -> None:
    name = "SECURITY__CHAT_MESSAGE_ENCRYPTION_SECRET"
    if secret is None:
        raise ConfigurationError(f"{name} is not set: make one with {MAKE_FERNET_KEY}")
    for key in secret.get_secret_value().split(","):
        try:
            Fernet(key.strip())
        except ValueError as exc:
            raise ConfigurationError(
                f"{name} holds something that is no Fernet key: make one with {MAKE_FERNET_KEY}"
            ) from exc


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_input=False, include_url=False)[0]
    name = "__".join(part for part in fault["loc"] if isinstance(part, str)).upper()
    return f"{name} is not usable: {fault['msg']}."
