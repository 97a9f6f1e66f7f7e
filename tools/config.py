"""The servers file: MCP servers in the ecosystem's `mcpServers` JSON form."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    BaseModel,
    ConfigDict,
    Field,
    FileUrl,
    SecretStr,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from tools.errors import McpConfigError
from tools.origins import is_loopback

FILE_MAX_BYTES = 1_048_576
HIDDEN = "***"
RESERVED_NAMES = frozenset({"datetime", "semantic", "units", "web"})

_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,256}")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


def _require_no_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("must not contain NUL")
    return text


def _require_variable_name(name: str) -> str:
    if not name or "=" in name or "\x00" in name:
        raise ValueError("is not the name of an environment variable")
    return name


def _require_header_name(name: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError("is not the name of an HTTP header")
    return name


def _require_header_value(value: SecretStr) -> SecretStr:
    if not _HEADER_VALUE.fullmatch(value.get_secret_value()):
        raise ValueError("is not the value of an HTTP header")
    return value


def _require_variable_value(value: SecretStr) -> SecretStr:
    _require_no_nul(value.get_secret_value())
    return value


_Text: TypeAlias = Annotated[str, AfterValidator(_require_no_nul)]
_Variables: TypeAlias = dict[
    Annotated[str, AfterValidator(_require_variable_name)],
    Annotated[SecretStr, AfterValidator(_require_variable_value)],
]
_Headers: TypeAlias = dict[
    Annotated[str, AfterValidator(_require_header_name)],
    Annotated[SecretStr, AfterValidator(_require_header_value)],
]


def _require_scope(scope: str) -> str:
    if not _SCOPE.fullmatch(scope):
        raise ValueError("is not the name of a scope")
    return scope


class OAuthEntry(BaseModel):
    """How people let the product act for them at a server."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, hide_input_in_errors=True
    )

    type: Literal["oauth"]
    client_id: Annotated[str, Field(min_length=1)] | None = Field(default=None, alias="clientId")
    """As registered with the authorization server; without one the product registers itself."""
    client_secret: SecretStr | None = Field(default=None, alias="clientSecret")
    scopes: list[Annotated[str, AfterValidator(_require_scope)]] | None = None
    """All that is asked for; what the server says is needed when left out."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.client_secret is not None and self.client_id is None:
            raise ValueError("a clientSecret needs a clientId as well")
        return self


class IdentityEntry(BaseModel):
    """That a server is told who is asking, in a form that it can check."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    audience: Annotated[str, Field(min_length=1, max_length=2048)]
    """Whom the tokens are for: one made for another server is worth nothing at this one."""


class _ServerEntry(BaseModel):
    # Files written for other programs carry keys that mean nothing here.
    model_config = ConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, hide_input_in_errors=True
    )

    disabled: bool = False
    forward_caller: bool = Field(default=False, alias="forwardCaller")
    """Send the signed caller token to this server too; only for services that verify it."""
    trust_annotations: bool = Field(default=False, alias="trustAnnotations")
    """Believe the server which of its tools only read, and which can be called again."""
    session: Literal["shared", "user"] = "shared"
    """Whether all share a session with the server, or each person has one, as where the server
    remembers what was said or wants to ask back."""
    roots: list[FileUrl] = Field(default_factory=list, repr=False)
    """The folders that the server is told to work in."""
    elicitation: bool = True
    """Whether the server may put questions to the person who has the session."""
    sampling: Literal["ask", "allow", "deny"] = "deny"
    """Whether the server may have the run's model answer it in such a session."""
    identity: IdentityEntry | None = None
    """Send it a signed token with each call that says who is asking."""


class StdioServer(_ServerEntry):
    """A server started as a child process."""

    command: Annotated[_Text, Field(min_length=1)]
    args: list[_Text] = Field(default_factory=list, repr=False)
    env: _Variables = Field(default_factory=dict, repr=False)
    cwd: _Text | None = None


class HttpServer(_ServerEntry):
    """A server reached over streamable HTTP."""

    url: AnyHttpUrl = Field(repr=False)
    headers: _Headers = Field(default_factory=dict, repr=False)
    auth: OAuthEntry | None = None
    """Each person lets the product act for them there, and has a session of their own."""

    @model_validator(mode="before")
    @classmethod
    def _give_each_a_session(cls, given: Any) -> Any:
        if not isinstance(given, dict) or given.get("auth") is None:
            return given
        if given.get("session", "user") != "user":
            raise ValueError("with auth each person has a session: leave out session")
        return {**given, "session": "user"}

    @model_validator(mode="after")
    def _keep_tokens_safe(self) -> Self:
        if self.url.scheme != "https" and not is_loopback(self.url.host or ""):
            for name, value in (("auth", self.auth), ("identity", self.identity)):
                if value is not None:
                    raise ValueError(f"with {name} the url must be https")
        if self.auth is None:
            return self
        if "authorization" in map(str.lower, self.headers):
            raise ValueError("with auth there can be no Authorization header")
        return self


ServerConfig: TypeAlias = StdioServer | HttpServer


def read_servers(path: Path) -> dict[str, ServerConfig]:
    """Read a servers file; a missing file holds no servers.

    Raises:
        McpConfigError: The file cannot be used; the message names the place and never a value.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise McpConfigError(f"{path}: cannot be read ({error.strerror}).") from error
    if len(data) > FILE_MAX_BYTES:
        raise McpConfigError(f"{path}: is larger than {FILE_MAX_BYTES} bytes.")
    try:
        document = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_without_duplicates)
    except UnicodeDecodeError as error:
        raise McpConfigError(f"{path}: is not UTF-8 text.") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise McpConfigError(f"{path}: {place}: {error.msg}.") from error
    except (RecursionError, ValueError) as error:
        raise McpConfigError(f"{path}: is not usable JSON.") from error
    except _DuplicateKey as error:
        raise McpConfigError(f"{path}: {error.key!r} is given twice.") from error
    servers = document.get("mcpServers") if isinstance(document, dict) else None
    if not isinstance(servers, dict):
        raise McpConfigError(f'{path}: must be an object with the key "mcpServers".')
    found: dict[str, ServerConfig] = {}
    for name, entry in servers.items():
        if name.casefold() in {other.casefold() for other in found}:
            raise McpConfigError(f"{path}: mcpServers.{name[:64]}: is there in other letter case.")
        found[name] = parse_server(name, entry, origin=f"{path}: mcpServers")
    return found


def parse_server(name: str, entry: object, *, origin: str = "mcpServers") -> ServerConfig:
    """Check one entry of the `mcpServers` form.

    Raises:
        McpConfigError: The name or the entry is not usable; the message starts with `origin`.
    """
    place = f"{origin}.{name[:64]}"
    if not _NAME.fullmatch(name) or "__" in name or name.strip("_-") != name:
        raise McpConfigError(
            f"{place}: a server's name has 1 to 32 letters, digits, '-' or single '_' between them."
        )
    if name.lower() in RESERVED_NAMES:
        raise McpConfigError(f"{place}: the name belongs to a built-in server; choose another.")
    if not isinstance(entry, Mapping):
        raise McpConfigError(f"{place}: must be an object.")
    try:
        return _model_for(place, entry).validate_python(dict(entry))
    except ValidationError as error:
        fault = _explain(error)
    raise McpConfigError(f"{place}{fault}")  # here, so that it does not carry the other one along


def _explain(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    steps = first["loc"]
    if steps[-1:] == ("[key]",):  # what stands where a name belongs may be a secret
        steps = (*steps[:-2], HIDDEN)
    return "".join(f".{step}" for step in steps) + f": {first['msg']}."


_STDIO: TypeAdapter[ServerConfig] = TypeAdapter(StdioServer)
_HTTP: TypeAdapter[ServerConfig] = TypeAdapter(HttpServer)


def _model_for(place: str, entry: Mapping[str, Any]) -> TypeAdapter[ServerConfig]:
    if ("command" in entry) == ("url" in entry):
        raise McpConfigError(f'{place}: needs either "command" or "url".')
    if entry.get("type") == "sse" or entry.get("transport") == "sse":
        raise McpConfigError(f"{place}: SSE is not supported; use streamable HTTP.")
    return _STDIO if "command" in entry else _HTTP


class _DuplicateKey(Exception):
    def __init__(self, key: str) -> None:
        self.key = key


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique: dict[str, Any] = {}
    for key, value in pairs:
        if key in unique:
            raise _DuplicateKey(key)
        unique[key] = value
    return unique


def is_authorized(config: ServerConfig | None) -> bool:
    """Return whether each person lets the product act for them there."""
    return isinstance(config, HttpServer) and config.auth is not None


def audience_of(config: ServerConfig | None) -> str | None:
    """Return whom the tokens are for with which a server is told who is asking, if it is."""
    return None if config is None or config.identity is None else config.identity.audience
