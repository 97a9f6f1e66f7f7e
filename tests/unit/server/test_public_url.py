"""Where browsers come back to."""

from typing import Any

import pytest
from cryptography.fernet import Fernet

from server.errors import ConfigurationError
from server.settings import Settings, check_production


def settings(app_env: str, **api: Any) -> Settings:
    return Settings.model_validate({"app_env": app_env, "api": api})


def test_it_is_what_somebody_has_said():
    for app_env in ("development", "production"):
        assert settings(app_env, public_url="https://ai.example.org").public_url == (
            "https://ai.example.org"
        )


def test_in_development_it_is_this_machine_and_in_production_nobody_knows():
    assert settings("development", port=9000).public_url == "http://127.0.0.1:9000"
    assert settings("production", port=9000).public_url is None


def test_in_production_nobody_comes_back_without_tls():
    made = Settings.model_validate(
        {
            "app_env": "production",
            "allow_embedded": True,
            "api": {"public_url": "http://ai.example.org"},
            "security": {
                "root_api_key": "yw_root_0123456789abcdefghijklmnop",
                "jwt_secret": "0123456789abcdefghijklmnopqrstuvwxyz",
                "chat_message_encryption_secret": Fernet.generate_key().decode(),
            },
        }
    )
    with pytest.raises(ConfigurationError, match="API__PUBLIC_URL"):
        check_production(made)


@pytest.mark.parametrize(
    "url", ["ai.example.org", "ftp://ai.example.org", "https://", "https://a/#b"]
)
def test_what_is_no_address_is_refused(url: str):
    with pytest.raises(ValueError, match="address"):
        settings("development", public_url=url)
