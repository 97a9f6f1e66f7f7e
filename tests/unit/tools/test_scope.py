import base64
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from persistence.access import AccessScope
from tools.errors import InvalidCaller
from tools.scope import AUDIENCE, ISSUER, ScopeSigner

SECRET = "a secret that is long enough for everybody"
SCOPE = AccessScope(user_id=7, is_root=False)
NOW = 1_800_000_000.0


def signer(*, secret: str = SECRET, now: float = NOW, ttl_seconds: float = 60) -> ScopeSigner:
    return ScopeSigner(secret, ttl_seconds=ttl_seconds, clock=lambda: now)


def claims(**changes: object) -> dict[str, Any]:
    sound = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "7",
        "root": False,
        "run": "run-1",
        "scopes": [],
        "iat": int(NOW),
        "exp": int(NOW) + 60,
    }
    return {key: value for key, value in (sound | changes).items() if value is not None}


def test_a_scope_survives_the_round_trip() -> None:
    caller = signer().verify(signer().sign(SCOPE, run_id="run-1"))

    assert caller.scope == SCOPE
    assert caller.run_id == "run-1"


def test_a_token_says_what_the_callers_key_is_restricted_to() -> None:
    unrestricted = signer().verify(signer().sign(SCOPE, run_id="r"))
    restricted = signer().verify(signer().sign(SCOPE, run_id="r", scopes={"chat"}))

    assert (unrestricted.may("chat"), unrestricted.may("documents:read")) == (True, True)
    assert (restricted.may("chat"), restricted.may("documents:read")) == (True, False)


def test_a_token_carries_no_groups_for_they_may_change_while_it_lasts() -> None:
    token = signer().sign(AccessScope(user_id=7, group_ids=frozenset({3})), run_id="run-1")
    claimed = jwt.encode(claims(groups=[3]), signer()._key)

    assert signer().verify(token).scope.group_ids == frozenset()
    assert signer().verify(claimed).scope.group_ids == frozenset()


def test_a_sound_token_made_with_the_key_itself_is_accepted() -> None:
    """So that each refusal below has one reason only."""
    assert signer().verify(jwt.encode(claims(), signer()._key)).scope.user_id == 7


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "somebody-else"},
        {"aud": [AUDIENCE, "somebody-else"]},
        {"aud": None},
        {"iss": "somebody-else"},
        {"iss": None},
        {"exp": None},
        {"exp": int(NOW)},
        {"exp": int(NOW) - 1},
        {"exp": "9999999999"},
        {"exp": 1e99},
        {"sub": None},
        {"sub": ""},
        {"sub": "0"},
        {"sub": "-1"},
        {"sub": "07"},
        {"sub": "٧"},
        {"sub": "admin"},
        {"sub": 7},
        {"root": None},
        {"root": 1},
        {"root": "true"},
        {"run": None},
        {"run": 5},
        {"scopes": None},
        {"scopes": "chat"},
        {"scopes": [1]},
    ],
)
def test_a_token_with_wrong_claims_is_refused(changes: dict[str, object]) -> None:
    token = jwt.encode(claims(**changes), signer()._key)

    with pytest.raises(InvalidCaller):
        signer().verify(token)


def _unsigned(token: str) -> str:
    head = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode())
    return f"{head.decode().rstrip('=')}.{token.split('.')[1]}."


def _promoted(token: str) -> str:
    head, _, signature = token.split(".")
    body = base64.urlsafe_b64encode(json.dumps(claims(root=True)).encode()).decode()
    return f"{head}.{body.rstrip('=')}.{signature}"


def _with_deep_header(_: str) -> str:
    return base64.urlsafe_b64encode(b"[" * 9_000).decode() + ".e30."


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize(
    "forge",
    [
        _unsigned,
        _promoted,
        _with_deep_header,
        lambda token: token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB"),
        lambda token: token.rpartition(".")[0],
        lambda token: token.rpartition(".")[0] + ".",
        lambda _: jwt.encode(claims(), SECRET),
        lambda _: jwt.encode(claims(), signer()._key, algorithm="HS384"),
        lambda _: "",
        lambda _: "not a token",
        lambda _: "\ud800",
        lambda _: "a" * 1_000_000,
    ],
)
def test_a_forged_token_is_refused(forge: Callable[[str], str]) -> None:
    token = signer().sign(SCOPE, run_id="run-1")

    with pytest.raises(InvalidCaller):
        signer().verify(forge(token))


def test_a_token_of_another_secret_is_refused() -> None:
    token = signer(secret="another secret, also long enough for all").sign(SCOPE, run_id="r")

    with pytest.raises(InvalidCaller):
        signer().verify(token)


def test_a_token_expires() -> None:
    token = signer(ttl_seconds=60).sign(SCOPE, run_id="r")

    assert signer(now=NOW + 59).verify(token)
    with pytest.raises(InvalidCaller, match="expired"):
        signer(now=NOW + 60).verify(token)


def test_the_systems_own_scope_is_never_signed() -> None:
    with pytest.raises(ValueError, match="Only a user's scope"):
        signer().sign(AccessScope.system("recovery"), run_id="r")
    with pytest.raises(ValueError, match="Only a user's scope"):
        signer().sign(AccessScope(user_id=7, reason="recovery"), run_id="r")


def test_an_empty_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        ScopeSigner("")


def test_the_signer_does_not_show_its_key() -> None:
    assert SECRET not in repr(vars(signer()))
