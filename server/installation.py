"""The secrets of an installation: from the settings, or made once and kept in the data folder."""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet
from pydantic import SecretStr

from server.errors import ConfigurationError
from server.settings import Settings

FILE = "secrets.json"


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


def load_secrets(settings: Settings) -> InstallationSecrets:
    """The configured secrets; in development, those not set are made and kept for the next start.

    Raises:
        ConfigurationError: The data folder cannot be written or its secrets cannot be read.
    """
    security = settings.security
    configured = {
        "root_api_key": _text(security.root_api_key),
        "jwt_secret": _text(security.jwt_secret),
        "encryption_keys": _text(security.chat_message_encryption_secret),
    }
    missing = [name for name, value in configured.items() if not value]
    kept = _keep(settings.data_dir / FILE, missing) if missing else {}
    return InstallationSecrets(**{name: configured[name] or kept[name] for name in configured})


def _keep(path: Path, names: list[str]) -> dict[str, str]:
    try:
        kept: dict[str, str] = json.loads(path.read_text("utf-8")) if path.exists() else {}
        made = {name: _make(name) for name in names if name not in kept}
        if made:
            kept |= made
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh = path.with_suffix(".new")
            fresh.touch(mode=0o600)
            fresh.write_text(json.dumps(kept, indent=1), "utf-8")
            fresh.rename(path)
    except (OSError, ValueError) as exc:
        raise ConfigurationError(f"{path} cannot be used for the secrets: {exc}.") from exc
    return kept


def _make(name: str) -> str:
    if name == "encryption_keys":
        return Fernet.generate_key().decode()
    return ("yw_root_" if name == "root_api_key" else "") + secrets.token_urlsafe(36)


def _text(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None
