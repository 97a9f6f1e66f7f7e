"""The secrets of an installation: from the settings, or made once and kept in the data folder."""

import fcntl
import json
import os
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet
from pydantic import SecretStr

from server.errors import ConfigurationError
from server.settings import Settings

FILE = "secrets.json"
LOCK_TIMEOUT_SECONDS = 10.0
LOCK_POLL_SECONDS = 0.02


@dataclass(frozen=True, kw_only=True, repr=False)
class InstallationSecrets:
    """What must stay the same for data to stay readable and keys to stay valid."""

    root_api_key: str
    jwt_secret: str
    encryption_keys: str
    """Comma-separated Fernet keys; the first one writes."""

    @property
    def key_list(self) -> list[str]:
        """The Fernet keys, the writing one first."""
        return [key.strip() for key in self.encryption_keys.split(",") if key.strip()]


def load_secrets(settings: Settings, *, create: bool = True) -> InstallationSecrets:
    """The configured secrets; in development, those not set are made and kept for the next start.

    Processes that start at once on an empty folder end with the same secrets.

    Args:
        settings: What was configured, and where the data folder is.
        create: Whether secrets that are nowhere are made; whoever only reads must not.

    Raises:
        ConfigurationError: The data folder cannot be written, its secrets cannot be read, or
            there are none and none shall be made.
    """
    security = settings.security
    configured = {
        "root_api_key": _text(security.root_api_key),
        "jwt_secret": _text(security.jwt_secret),
        "encryption_keys": _text(security.chat_message_encryption_secret),
    }
    missing = [name for name, value in configured.items() if not value]
    kept = _kept(settings.data_dir / FILE, missing, create=create) if missing else {}
    return InstallationSecrets(**{name: configured[name] or kept[name] for name in configured})


def _kept(path: Path, names: list[str], *, create: bool) -> dict[str, str]:
    try:
        kept = _read(path)
        if not kept.keys() >= set(names):
            if not create:
                raise ConfigurationError(
                    f"{path} holds no key yet: start the server first, or give one with --key."
                )
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _locked(path.with_suffix(".lock")):
                kept = _read(path)  # again: another process may have made them meanwhile
                made = {name: _make(name) for name in names if name not in kept}
                if made:
                    kept |= made
                    _replace(path, json.dumps(kept, indent=1))
    except (OSError, ValueError) as exc:
        raise ConfigurationError(f"{path} cannot be used for the secrets: {exc}.") from exc
    return kept


def _read(path: Path) -> dict[str, str]:
    kept: dict[str, str] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return kept


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Waits for the other starting processes, each of which holds this for milliseconds."""
    deadline = time.monotonic() + LOCK_TIMEOUT_SECONDS
    with path.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(LOCK_POLL_SECONDS)
        yield


def _replace(path: Path, text: str) -> None:
    """Writes the file whole or not at all, for its owner alone."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
    fresh = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(path)
    finally:
        fresh.unlink(missing_ok=True)


def _make(name: str) -> str:
    if name == "encryption_keys":
        return Fernet.generate_key().decode()
    return ("yw_root_" if name == "root_api_key" else "") + secrets.token_urlsafe(36)


def _text(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None
