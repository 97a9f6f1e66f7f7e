"""The tokens of logins: what is believed, and all that is not."""

import base64
import hmac
import json
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from server.errors import NotAuthenticated, TokenExpired
from server.security.tokens import (
    ACCESS_AUDIENCE,
    CLOCK_SKEW_SECONDS,
    ISSUER,
    REFRESH_AUDIENCE,
    TOKEN_MAX_CHARS,
    TokenSigner,
    looks_like_token,
)

SECRET = "a secret that is long enough for everybody"
NOW = 1_800_000_000
LOGIN = UUID("0190a6f2-0000-7000-8000-000000000001")
JTI = "0190a6f2-0000-4000-8000-000000000002"


def signer(*, secret: str = SECRET, now: float = NOW) -> TokenSigner:
    return TokenSigner(secret, clock=lambda: now)


def access(*, expires_at: float = NOW + 60, by: TokenSigner | None = None) -> str:
    return (by or signer()).sign_access(user_id=7, login_id=LOGIN, expires_at=expires_at)


def refresh(*, generation: int = 3) -> str:
    return signer().sign_refresh(
        user_id=7, login_id=LOGIN, generation=generation, expires_at=NOW + 60
    )


def claims(**changes: object) -> dict[str, Any]:
    sound = {
        "iss": ISSUER,
        "aud": ACCESS_AUDIENCE,
        "sub": "7",
        "sid": str(LOGIN),
        "jti": JTI,
        "iat": NOW,
        "exp": NOW + 60,
    }
    return {key: value for key, value in (sound | changes).items() if value is not None}


def part(value: object) -> str:
    return encoded(json.dumps(value).encode())


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forged(payload: object, key: bytes, algorithm: str = "HS256") -> str:
    """A token signed by hand: the library signs nothing that is not sound."""
    text = f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(payload)}"
    digest = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}[algorithm]
    return f"{text}.{encoded(hmac.digest(key, text.encode(), digest))}"


def test_what_was_signed_is_read_again() -> None:
    read = signer().read_access(access())
    assert (read.user_id, read.login_id) == (7, LOGIN)
    renewed = signer().read_refresh(refresh(generation=3))
    assert (renewed.user_id, renewed.login_id, renewed.generation) == (7, LOGIN, 3)


def test_no_two_tokens_are_the_same() -> None:
    assert access() != access()


def test_a_sound_token_made_with_the_key_itself_is_accepted() -> None:
    """So that each refusal below has one reason only."""
    assert signer().read_access(forged(claims(), signer()._access_key)).user_id == 7


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "somebody-else"},
        {"aud": REFRESH_AUDIENCE},
        {"aud": [ACCESS_AUDIENCE, "somebody-else"]},
        {"aud": None},
        {"iss": "somebody-else"},
        {"iss": [ISSUER]},
        {"iss": None},
        {"sub": None},
        {"sub": ""},
        {"sub": " "},
        {"sub": "0"},
        {"sub": "-1"},
        {"sub": "07"},
        {"sub": "7\n"},
        {"sub": "٧"},
        {"sub": "root"},
        {"sub": 7},
        {"sid": None},
        {"sid": ""},
        {"sid": "not a uuid"},
        {"sid": str(LOGIN) + "\n"},
        {"sid": 7},
        {"jti": None},
        {"jti": ""},
        {"jti": "not a uuid"},
        {"iat": None},
        {"iat": "now"},
        {"iat": NOW + CLOCK_SKEW_SECONDS + 1},
        {"exp": None},
        {"exp": "9999999999"},
        {"exp": 1e99},
        {"exp": True},
    ],
    ids=str,
)
def test_a_token_with_an_unsound_claim_is_refused(changes: dict[str, object]) -> None:
    token = forged(claims(**changes), signer()._access_key)
    with pytest.raises(NotAuthenticated) as refused:
        signer().read_access(token)
    assert refused.value.code == "NOT_AUTHENTICATED"


@pytest.mark.parametrize("generation", [None, -1, "0", 1.5, True])
def test_a_refresh_token_counts_its_uses_in_whole_numbers(generation: object) -> None:
    payload = claims(aud=REFRESH_AUDIENCE, gen=generation)
    with pytest.raises(NotAuthenticated):
        signer().read_refresh(forged(payload, signer()._refresh_key))


def test_a_token_is_good_until_the_second_that_it_names() -> None:
    token = access(expires_at=NOW + 60)
    signer(now=NOW + 59.9).read_access(token)
    for later in (60, 61, 10**9):
        with pytest.raises(TokenExpired):
            signer(now=NOW + later).read_access(token)


def test_a_forged_token_is_not_told_that_it_has_expired() -> None:
    token = jwt.encode(claims(exp=NOW - 1), b"another key, long enough for the algorithm")
    with pytest.raises(NotAuthenticated) as refused:
        signer().read_access(token)
    assert refused.value.code == "NOT_AUTHENTICATED"


def test_a_refresh_token_opens_no_route_and_an_access_token_refreshes_nothing() -> None:
    with pytest.raises(NotAuthenticated):
        signer().read_access(refresh())
    with pytest.raises(NotAuthenticated):
        signer().read_refresh(access())


def test_the_secret_itself_and_another_secret_sign_nothing() -> None:
    for key in (SECRET.encode(), b"x" * 32):
        with pytest.raises(NotAuthenticated):
            signer().read_access(jwt.encode(claims(), key))
    with pytest.raises(NotAuthenticated):
        signer().read_access(access(by=signer(secret="another secret altogether")))


def test_an_empty_secret_makes_no_signer() -> None:
    with pytest.raises(ValueError, match="empty"):
        signer(secret="")


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", ""])
def test_an_unsigned_token_is_refused(algorithm: str) -> None:
    signature = access().rpartition(".")[2]
    for end in ("", signature):
        token = f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(claims())}.{end}"
        with pytest.raises(NotAuthenticated):
            signer().read_access(token)


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_another_algorithm_with_the_right_key_is_refused(algorithm: str) -> None:
    with pytest.raises(NotAuthenticated):
        signer().read_access(forged(claims(), signer()._access_key, algorithm))


def test_a_key_pair_of_ones_own_signs_nothing_whatever_the_header_says() -> None:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    header = {"jwk": {"kty": "oct", "k": "AAAA"}, "jku": "https://evil.example/k", "kid": "../x"}
    tokens = [
        jwt.encode(claims(), private, algorithm="RS256"),
        jwt.encode(claims(), private, algorithm="RS256", headers=header),
        jwt.encode(claims(), b"A" * 32, headers=header),
        # The public key as the secret of an HMAC, which is how the confusion works.
        forged(claims(), public),
    ]
    for token in tokens:
        with pytest.raises(NotAuthenticated):
            signer().read_access(token)


def test_a_token_with_any_character_changed_is_refused() -> None:
    token = access()
    for place in (2, token.index(".") + 5, len(token) - 10):
        other = "A" if token[place] != "A" else "B"
        with pytest.raises(NotAuthenticated):
            signer().read_access(token[:place] + other + token[place + 1 :])


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b.c",
        "é.é.é",
        "\x00.\x00.\x00",
        f"{part({'alg': 'HS256'})}..",
        f"{part({'alg': 'HS256'})}.{part([1])}.x",
        f"{part([])}.{part({})}.x",
    ],
)
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(NotAuthenticated):
        signer().read_access(token)


def test_a_token_of_absurd_length_is_refused_before_it_is_looked_at() -> None:
    token = jwt.encode(claims(more="x" * TOKEN_MAX_CHARS), signer()._access_key)
    with pytest.raises(NotAuthenticated):
        signer().read_access(token)
    nested = "[" * 1500 + "]" * 1500
    with pytest.raises(NotAuthenticated):
        signer().read_access(f"{part({'alg': 'HS256'})}.{encoded(nested.encode())}.x")


def test_a_token_has_a_form_that_no_key_has() -> None:
    assert looks_like_token(access())
    assert not looks_like_token("yw_8RyVpo1Dxi6F4cDf_oEJx-Qp0m4M9mX8XWc2kYzAbCd")
