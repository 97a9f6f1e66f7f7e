"""How the command line reaches a server: its address, a key, and errors as one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

import httpx
import typer

from server.installation import load_secrets
from server.settings import Settings, load_settings

CONNECT_TIMEOUT_SECONDS = 5.0
ANSWER_TIMEOUT_SECONDS = 600.0
"""A model on a small machine may think for minutes."""
SILENCE_SECONDS = 60.0
"""On an event stream, which a heartbeat keeps awake: who hears nothing for so long comes again."""
NOT_READY = {429, 502, 503, 504}
BUSY = {429, 503}
"""Of these, the ones that say when to come again."""

UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url", envvar="YOUWORKER_URL", help="The server; the configured address by default."
    ),
]
KeyOption = Annotated[
    str | None,
    typer.Option(
        "--key",
        envvar="YOUWORKER_API_KEY",
        help="An API key; this installation's root key by default.",
        show_envvar=True,
    ),
]


class ApiFailure(Exception):
    """The server refused or could not be reached; the message is for the person at the terminal."""

    def __init__(
        self, message: str, *, code: str | None = None, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after_seconds = retry_after_seconds
        """When the server wants to be asked again, where it is busy and says so."""


class ConnectionLost(ApiFailure):
    """The server is away, for a moment perhaps: the same may be tried again."""


@dataclass(frozen=True, kw_only=True)
class Connection:
    """An address and a key."""

    url: str
    key: str = field(repr=False)

    @classmethod
    def choose(
        cls, settings: Settings, url: str | None, key: str | None, *, create: bool = True
    ) -> "Connection":
        """Takes what was given, else what this installation is configured with.

        Args:
            settings: What this installation is configured with.
            url: The address that was given.
            key: The key that was given.
            create: Whether an installation without secrets makes them.

        Raises:
            ConfigurationError: No key was given, and there is none and none shall be made.
        """
        host = "127.0.0.1" if settings.api.host in {"0.0.0.0", "::"} else settings.api.host  # noqa: S104 - compared, not bound
        return cls(
            url=(url or f"http://{host}:{settings.api.port}").rstrip("/"),
            key=key or _root_key(settings, create=create),
        )


class Api:
    """The server's HTTP API, with failures as `ApiFailure`."""

    def __init__(self, connection: Connection) -> None:
        """Raises ApiFailure where the address is none, or the key cannot be one."""
        self.url = connection.url
        if not connection.key.isascii():
            raise ApiFailure("the key has letters that no key has: copy it once more.")
        with self._failing():
            self._client = httpx.Client(
                base_url=connection.url,
                headers={"Authorization": f"Bearer {connection.key}"},
                timeout=httpx.Timeout(ANSWER_TIMEOUT_SECONDS, connect=CONNECT_TIMEOUT_SECONDS),
            )

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def request(self, method: str, path: str, **options: Any) -> Any:
        """Sends a request and returns the JSON of its answer, or None.

        Raises:
            ApiFailure: Not reachable, or an error answer.
        """
        with self._failing():
            answer = self._client.request(method, path, **options)
        _require_success(answer)
        try:
            return answer.json() if answer.content else None
        except ValueError as exc:
            raise ApiFailure(
                f"what answers at {self.url} is no YouWorker: its answer is no JSON."
            ) from exc

    @contextmanager
    def stream(self, method: str, path: str, **options: Any) -> Iterator[httpx.Response]:
        """Opens an event stream.

        Raises:
            ConnectionLost: Not reachable, not ready, or the connection broke off.
            ApiFailure: Another error answer.
        """
        timeout = httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_TIMEOUT_SECONDS)
        with (
            self._failing(),
            self._client.stream(method, path, timeout=timeout, **options) as answer,
        ):
            if answer.is_error:
                answer.read()
            _require_success(answer)
            yield answer

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except httpx.ConnectError as exc:
            raise ConnectionLost(
                f"nothing answers at {self.url}; start it with 'make run' or give --url."
            ) from exc
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as exc:
            raise ApiFailure(
                f"{self.url!r} is no address of a server: give one such as http://host:port."
            ) from exc
        except httpx.TimeoutException as exc:
            raise ConnectionLost(f"{self.url} did not answer in time.") from exc
        except httpx.HTTPError as exc:
            raise ConnectionLost(f"the connection to {self.url} broke off.") from exc


@contextmanager
def connect(url: str | None, key: str | None) -> Iterator[Api]:
    """Opens the API that the options and the settings name."""
    settings = Settings() if url and key else load_settings()
    api = Api(Connection.choose(settings, url, key, create=False))
    try:
        yield api
    finally:
        api.close()


def _root_key(settings: Settings, *, create: bool) -> str:
    configured = settings.security.root_api_key
    if configured:
        return configured.get_secret_value()
    return load_secrets(settings, create=create).root_api_key


def _require_success(answer: httpx.Response) -> None:
    if answer.is_redirect:
        place = answer.headers.get("Location", "")
        raise ApiFailure(
            f"the server is elsewhere: give the address that it redirects to ({place})."
        )
    if not answer.is_error:
        return
    kind = ConnectionLost if answer.status_code in NOT_READY else ApiFailure
    retry_after_seconds = _retry_after(answer)
    try:
        error = answer.json()["error"]
        message, code = str(error["message"]), str(error["code"])
        faults = _faults(error.get("details"))
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise kind(
            f"the server answered with status {answer.status_code}.",
            retry_after_seconds=retry_after_seconds,
        ) from exc
    raise kind(
        f"{message} {faults}".strip() + f" [{code}]",
        code=code,
        retry_after_seconds=retry_after_seconds,
    )


def _faults(details: dict[str, Any] | None) -> str:
    return "; ".join(
        f"{fault.get('field', fault.get('argument', ''))}: {fault['problem']}"
        for fault in (details or {}).get("errors", [])
    )


def _retry_after(answer: httpx.Response) -> float | None:
    """In seconds; a date, which this server never sends, says nothing."""
    told = answer.headers.get("Retry-After", "")
    return float(told) if answer.status_code in BUSY and told.isdecimal() else None
