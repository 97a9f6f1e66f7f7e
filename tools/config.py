"""The servers file: MCP servers in the ecosystem's `mcpServers` JSON form."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

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
)

from tools.errors import McpConfigError

FILE_MAX_BYTES = 1_048_576
HIDDEN = "***"
RESERVED_NAMES = frozenset({"datetime", "semantic", "units", "web"})

_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
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
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = ".".join(str(part) for part in (place, *first["loc"]))
        raise McpConfigError(f"{field}: {first['msg']}.") from None


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


def describe_server(config: ServerConfig) -> dict[str, Any]:
    """Return an entry without anything that may be secret: arguments and paths hold keys, too."""
    shown: dict[str, Any] = {
        "disabled": config.disabled,
        "forwardCaller": config.forward_caller,
        "trustAnnotations": config.trust_annotations,
        "session": config.session,
        "roots": [HIDDEN] * len(config.roots),
        "elicitation": config.elicitation,
        "sampling": config.sampling,
    }
    if isinstance(config, StdioServer):
        return shown | {
            "command": config.command,
            "args": [HIDDEN] * len(config.args),
            "env": dict.fromkeys(config.env, HIDDEN),
            "cwd": config.cwd,
        }
    url = config.url
    return shown | {
        "url": f"{url.scheme}://{url.host}:{url.port}/{HIDDEN}",
        "headers": dict.fromkeys(config.headers, HIDDEN),
    }
