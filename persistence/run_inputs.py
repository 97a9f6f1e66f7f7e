"""What a run was asked, sealed so that only this run's row can hold it."""

from dataclasses import asdict
from uuid import UUID

from persistence.encryption import KeyRing
from persistence.large_values import apart_if_large
from persistence.run_records import RunInput


async def seal_input(key_ring: KeyRing, run_id: UUID, run_input: RunInput) -> bytes:
    """Protect what is in `runs.input`."""
    size = len(run_input.text) + sum(len(image["data_b64"]) for image in run_input.images)
    return await apart_if_large(
        size, lambda: key_ring.encrypt_json(asdict(run_input), context=_context(run_id))
    )


def open_input(key_ring: KeyRing, run_id: UUID, token: bytes) -> RunInput:
    """Read what is in `runs.input`.

    Raises:
        DecryptionError: It was not written for this run.
    """
    body = key_ring.decrypt_json(token, context=_context(run_id))
    known = {name: body[name] for name in RunInput.__dataclass_fields__ if name in body}
    rewind_to = known.get("rewind_to")
    return RunInput(
        **known
        | {
            "thread_id": UUID(known["thread_id"]),
            "images": tuple(known.get("images", ())),
            "scopes": tuple(known.get("scopes", ())),
            "rewind_to": rewind_to and UUID(rewind_to),
        }
    )


def _context(run_id: UUID) -> str:
    return f"runs.input/{run_id}"
