"""What the settings of single sign-on take and refuse."""

import pytest
from pydantic import ValidationError

from server.errors import ConfigurationError
from server.security.sso.settings import AuthentikSettings, OidcSettings
from server.settings import SecuritySettings, Settings, check_production

OIDC = {
    "issuer": "https://auth.example",
    "client_id": "youworker",
    "redirect_url": "https://agent.example/v1/auth/oidc/callback",
}
AUTHENTIK = {
    "issuer": "https://auth.example/application/o/agent/",
    "audience": "a client",
    "jwks_url": "https://auth.example/application/o/agent/jwks/",
}
STRONG = {
    "root_api_key": "0123456789abcdef0123456789abcdefg",
    "jwt_secret": "0123456789abcdef0123456789abcdefg",
    "chat_message_encryption_secret": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
}


def test_without_an_issuer_both_are_off():
    assert not OidcSettings().configured
    assert not AuthentikSettings().configured


@pytest.mark.parametrize("missing", ["client_id", "redirect_url"])
def test_an_issuer_alone_is_not_enough(missing: str):
    with pytest.raises(ValidationError, match="client_id and a redirect_url"):
        OidcSettings.model_validate(OIDC | {missing: ""})


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "auth.example"},
        {"issuer": "ftp://auth.example"},
        {"issuer": "https://"},
        {"redirect_url": "/v1/auth/oidc/callback"},
        {"scopes": "profile"},
        {"landing_path": "//evil.example"},
        {"landing_path": "https://evil.example"},
        {"clock_skew_seconds": 3600},
        {"timeout_seconds": 0},
    ],
    ids=str,
)
def test_values_that_would_be_unsafe_are_refused(change: dict[str, object]):
    OidcSettings.model_validate(OIDC)
    with pytest.raises(ValidationError):
        OidcSettings.model_validate(OIDC | change)


@pytest.mark.parametrize(
    "change",
    [{"audience": ""}, {"jwks_url": ""}, {"jwks_file": __file__}, {"jwks_file": "/no/such/file"}],
    ids=str,
)
def test_authentik_needs_an_audience_and_its_keys_from_one_place(change: dict[str, object]):
    AuthentikSettings.model_validate(AUTHENTIK)
    with pytest.raises(ValidationError):
        AuthentikSettings.model_validate(AUTHENTIK | change)


def test_authentik_needs_a_trusted_proxy():
    with pytest.raises(ValidationError, match="trusted_proxies"):
        SecuritySettings.model_validate({"authentik": AUTHENTIK})
    SecuritySettings.model_validate({"authentik": AUTHENTIK, "trusted_proxies": "10.0.0.0/8"})


def test_they_come_from_the_environment(monkeypatch: pytest.MonkeyPatch):
    for name, value in OIDC.items():
        monkeypatch.setenv(f"SECURITY__OIDC__{name.upper()}", value)
    monkeypatch.setenv("SECURITY__OIDC__CLIENT_SECRET", "a secret")
    oidc = Settings(_env_file=None).security.oidc
    assert oidc.configured
    assert oidc.client_secret is not None
    assert "a secret" not in repr(oidc)


@pytest.mark.parametrize(
    ("security", "named"),
    [
        ({"oidc": OIDC | {"issuer": "http://auth.example"}}, "SECURITY__OIDC__ISSUER"),
        (
            {"oidc": OIDC | {"redirect_url": "http://agent.example/"}},
            "SECURITY__OIDC__REDIRECT_URL",
        ),
        (
            {
                "authentik": AUTHENTIK | {"jwks_url": "http://auth.example/"},
                "trusted_proxies": "10.0.0.0/8",
            },
            "SECURITY__AUTHENTIK__JWKS_URL",
        ),
    ],
)
def test_production_speaks_with_providers_over_tls_alone(security: dict[str, object], named: str):
    values = {"app_env": "production", "allow_embedded": True}
    check_production(Settings.model_validate(values | {"security": STRONG}))
    with pytest.raises(ConfigurationError, match=named):
        check_production(Settings.model_validate(values | {"security": STRONG | security}))
