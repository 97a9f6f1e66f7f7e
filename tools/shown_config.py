"""Entries of the servers file as they are shown."""

from typing import Any

from tools.config import HIDDEN, OAuthEntry, ServerConfig, StdioServer


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
    if config.identity is not None:
        shown["identity"] = {"audience": config.identity.audience}
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
        **({} if config.auth is None else {"auth": _describe_auth(config.auth)}),
    }


def _describe_auth(auth: OAuthEntry) -> dict[str, Any]:
    return {
        "type": auth.type,
        "clientId": auth.client_id,
        "clientSecret": None if auth.client_secret is None else HIDDEN,
        "scopes": auth.scopes,
    }
