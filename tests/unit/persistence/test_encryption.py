import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from persistence.encryption import KeyRing
from persistence.errors import DecryptionError, EncryptionKeyError

KEYS = [KeyRing.generate_key() for _ in range(3)]
RING = KeyRing(KEYS[:1])


@given(st.text(alphabet=st.characters()), st.text(max_size=20))
def test_any_text_survives(text: str, context: str) -> None:
    context = context.replace("\0", "").encode(errors="ignore").decode()
    assert RING.decrypt_text(RING.encrypt_text(text, context=context), context=context) == text


@pytest.mark.parametrize(
    "text", ["perché", "👩‍👩‍👧‍👦", "שלום עולם", "日本語", "a\0b", "\ud83d", "", "\u202eabc"]
)
def test_difficult_text_survives_as_text_and_in_json(text: str) -> None:
    assert RING.decrypt_text(RING.encrypt_text(text)) == text
    assert RING.decrypt_json(RING.encrypt_json({"text": text})) == {"text": text}


def test_integers_beyond_64_bits_survive_in_json() -> None:
    assert RING.decrypt_json(RING.encrypt_json([2**80])) == [2**80]


def test_tokens_of_equal_data_differ() -> None:
    assert RING.encrypt(b"data") != RING.encrypt(b"data")


def test_a_token_shows_nothing_of_its_data_or_its_context() -> None:
    token = RING.encrypt(b"a secret phrase", context="messages.body/17")
    assert b"secret" not in token
    assert b"messages" not in token


@pytest.mark.parametrize("context", ["", "messages.body/1", "messages.body/170", "titles/17"])
def test_a_token_is_refused_in_another_place(context: str) -> None:
    token = RING.encrypt(b"data", context="messages.body/17")
    with pytest.raises(DecryptionError):
        RING.decrypt(token, context=context)


@pytest.mark.parametrize(
    "stored",
    [b"", b"plain text", b"{}", b"\x80", Fernet(KEYS[1]).encrypt(b"\0data")],
    ids=["empty", "text", "JSON", "one byte", "token of another key"],
)
def test_what_is_no_token_of_these_keys_is_refused(stored: bytes) -> None:
    with pytest.raises(DecryptionError):
        RING.decrypt(stored)
    with pytest.raises(DecryptionError):
        RING.rotate(stored)


def test_plain_text_is_refused_whatever_characters_it_has() -> None:
    with pytest.raises(DecryptionError):
        RING.decrypt_text("perché \ud800 no")


def test_a_token_with_one_changed_character_is_refused() -> None:
    token = bytearray(RING.encrypt(b"data"))
    for position in range(len(token) - 3):  # of the last ones not every bit counts
        changed = bytearray(token)
        changed[position] = ord("A") if changed[position] != ord("A") else ord("B")
        with pytest.raises(DecryptionError):
            RING.decrypt(bytes(changed))


def test_a_new_key_in_front_writes_while_old_ones_still_read() -> None:
    old = KeyRing([KEYS[0]])
    both = KeyRing([KEYS[1], KEYS[0]])
    token = old.encrypt(b"data", context="here")
    assert both.decrypt(token, context="here") == b"data"
    with pytest.raises(DecryptionError):
        old.decrypt(both.encrypt(b"data", context="here"), context="here")


def test_a_rotated_token_needs_only_the_new_key() -> None:
    both = KeyRing([KEYS[1], KEYS[0]])
    token = both.rotate(KeyRing([KEYS[0]]).encrypt(b"data", context="here"))
    assert KeyRing([KEYS[1]]).decrypt(token, context="here") == b"data"


def test_a_token_of_the_first_key_is_not_rotated_again() -> None:
    both = KeyRing([KEYS[1], KEYS[0]])
    token = both.encrypt(b"data")
    assert both.rotate(token) == token
    with pytest.raises(DecryptionError):
        both.rotate(b"no token")


def test_lasting_keys_hash_and_seal_the_same_under_other_keys() -> None:
    before = KeyRing([KEYS[0]])
    after = KeyRing([KEYS[1]]).with_lasting(before.lasting)
    assert after.keyed_hash("a value") == before.keyed_hash("a value")
    assert after.seal(b"a value") == before.seal(b"a value")
    with pytest.raises(DecryptionError):
        after.decrypt(before.encrypt(b"data"))


def test_lookups_go_on_working_while_keys_are_added_in_front() -> None:
    before = KeyRing([KEYS[0]]).keyed_hash("a value")
    assert KeyRing([KEYS[2], KEYS[1], KEYS[0]]).keyed_hash("a value") == before
    assert KeyRing([KEYS[1]]).keyed_hash("a value") != before


def test_the_keyed_hash_takes_text_and_bytes_alike() -> None:
    assert RING.keyed_hash("a\0é") == RING.keyed_hash("a\0é".encode())
    assert len(RING.keyed_hash("\ud800")) == 64


@pytest.mark.parametrize("keys", [[], [""], ["short"], ["x" * 44], ["é" * 44]])
def test_a_missing_or_malformed_key_is_refused_without_showing_it(keys: list[str]) -> None:
    with pytest.raises(EncryptionKeyError) as raised:
        KeyRing(keys)
    assert not any(key and key in str(raised.value) for key in keys)


def test_keys_are_read_from_a_comma_separated_secret() -> None:
    ring = KeyRing.parse(f" {KEYS[1]} , {KEYS[0]},")
    assert ring.decrypt(KeyRing([KEYS[0]]).encrypt(b"data")) == b"data"
    with pytest.raises(EncryptionKeyError):
        KeyRing.parse(" , ")


def test_the_key_ring_shows_no_key() -> None:
    assert KEYS[0] not in repr(RING)
    assert KEYS[0] not in str(vars(RING))
