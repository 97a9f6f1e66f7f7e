"""The end of the chain that this server saw, kept where the database's owner does not reach."""

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from persistence.encryption import KeyRing
from persistence.errors import AuditHeadUnusable
from persistence.repositories.audit_seals import SealLink

FILE = "audit-head.json"
"""In the data folder."""


@dataclass(frozen=True, kw_only=True)
class _Kept:
    position: int
    digest: str
    proof: str


class HeadMemory:
    """A small file, which nobody can write anew without the keys."""

    def __init__(self, data_dir: Path, key_ring: KeyRing) -> None:
        self.path = data_dir / FILE
        self._key_ring = key_ring

    def recall(self) -> SealLink | None:
        """Return the newest head that was kept; None if there is none.

        Raises:
            AuditHeadUnusable: The file cannot be read, was changed, or belongs to other keys.
        """
        try:
            text = self.path.read_text("ascii")
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as exc:
            raise AuditHeadUnusable(f"{FILE} cannot be read") from exc
        try:
            kept = _Kept(**json.loads(text))
            head = SealLink(position=int(kept.position), digest=bytes.fromhex(kept.digest))
        except (TypeError, ValueError) as exc:
            raise AuditHeadUnusable(f"{FILE} was changed") from exc
        if kept != self._form(head):
            raise AuditHeadUnusable(f"{FILE} was changed, or was written with other keys")
        return head

    def keep(self, head: SealLink) -> None:
        """Remember a head in the place of an earlier one.

        Two processes on one folder may come in each other's way by a seal; the older of two true
        heads is a true one.

        Raises:
            AuditHeadUnusable: The file cannot be written.
        """
        form = json.dumps(vars(self._form(head)))
        draft = None
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, draft = tempfile.mkstemp(dir=self.path.parent, prefix=f".{FILE}.")
            with os.fdopen(descriptor, "w", encoding="ascii") as file:  # mode 0600
                file.write(form)
                file.flush()
                os.fsync(file.fileno())
            Path(draft).replace(self.path)
        except OSError as exc:
            if draft is not None:
                Path(draft).unlink(missing_ok=True)
            raise AuditHeadUnusable(f"{FILE} cannot be written") from exc

    def forget(self) -> None:
        """Remember nothing.

        Raises:
            AuditHeadUnusable: The file cannot be removed.
        """
        try:
            self.path.unlink(missing_ok=True)
        except OSError as exc:
            raise AuditHeadUnusable(f"{FILE} cannot be removed") from exc

    def _form(self, head: SealLink) -> _Kept:
        said = json.dumps([head.position, head.digest.hex()]).encode()
        proof = self._key_ring.seal(b"audit head 1\0" + said)
        return _Kept(position=head.position, digest=head.digest.hex(), proof=proof.hex())
