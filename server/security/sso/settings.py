"""How the identity providers are reached and what their tokens must say."""

from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, FilePath, SecretStr, model_validator

LOCAL_PATH_PATTERN = r"^/(?:[!-.0-\[\]-~][!-\[\]-~]*)?$"
"""A path on this origin: printable ASCII without backslash, and no second slash at the start, which
browsers would read as the name of another host."""
LocalPath = Annotated[str, Field(pattern=LOCAL_PATH_PATTERN, max_length=512)]


def _checked_url(value: str) -> str:
    parts = urlsplit(value)
    if value and (parts.scheme not in {"http", "https"} or not parts.hostname or parts.fragment):
        raise ValueError("this is no http or https address")
    return value


WebAddress = Annotated[str, AfterValidator(_checked_url)]


class ProviderSettings(BaseModel):
    """What all providers have in common."""

    issuer: WebAddress = ""
    """As the provider spells it in its tokens, to the last slash."""
    username_claim: str = "preferred_username"
    groups_claim: str = "groups"
    """A token without this claim leaves the user's groups as they are."""
    clock_skew_seconds: Annotated[int, Field(ge=0, le=300)] = 60
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 10.0
    """How long one request to the provider may take."""

    @property
    def configured(self) -> bool:
        """Whether the provider is used at all."""
        return bool(self.issuer)


class OidcSettings(ProviderSettings):
    """Login by OpenID Connect (`SECURITY__OIDC__*`); off without an issuer."""

    client_id: str = ""
    client_secret: SecretStr | None = None
    """None for a public client, which proves itself by PKCE alone."""
    redirect_url: WebAddress = ""
    """The public address of `/v1/auth/oidc/callback`, as registered with the provider."""
    scopes: str = "openid profile"
    landing_path: LocalPath = "/docs"
    """Where the browser goes after the login when it asked for no other path."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.configured and not (self.client_id and self.redirect_url):
            raise ValueError("an issuer needs a client_id and a redirect_url as well")
        if self.configured and "openid" not in self.scopes.split():
            raise ValueError("scopes must contain 'openid'")
        return self


class AuthentikSettings(ProviderSettings):
    """Authentik's forward authentication (`SECURITY__AUTHENTIK__*`); off without an issuer."""

    audience: str = ""
    """The client id of the proxy provider."""
    jwks_url: WebAddress = ""
    jwks_file: FilePath | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.configured and not self.audience:
            raise ValueError("an issuer needs an audience as well")
        if self.configured and bool(self.jwks_url) == bool(self.jwks_file):
            raise ValueError("give either jwks_url or jwks_file")
        return self
