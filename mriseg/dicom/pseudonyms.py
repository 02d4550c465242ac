"""Replacements for identifiers that only the holder of a secret can link to the originals."""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass
from pathlib import Path

from mriseg.errors import DicomError

WELL_KNOWN = "1.2.840.10008."
SHIFT_DAYS = (365, 3650)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pseudonyms:
    """Consistent replacements that only the holder of ``secret`` can link to the originals."""

    secret: bytes

    def __post_init__(self) -> None:
        if len(self.secret) < 16:
            raise DicomError("the secret for pseudonyms is too short; expected at least 16 bytes.")

    def uid(self, original: str) -> str:
        """Replace an instance UID; identifiers that the standard itself defines stay."""
        if original.startswith(WELL_KNOWN):
            return original
        return f"2.25.{int.from_bytes(self._digest('uid', original)[:16], 'big')}"

    def patient(self, key: str) -> str:
        """Return the pseudonym of a patient."""
        return "P" + self._digest("patient", key).hex()[:12].upper()

    def days(self, key: str) -> int:
        """Number of days to go back for all dates of one patient, so that intervals survive."""
        low, high = SHIFT_DAYS
        return low + int.from_bytes(self._digest("days", key)[:8], "big") % (high - low)

    def _digest(self, purpose: str, value: str) -> bytes:
        return hmac.new(self.secret, f"{purpose}\0{value}".encode(), hashlib.sha256).digest()


def read_secret(path: Path) -> Pseudonyms:
    """Read the secret of a study, or make one that only its owner can read."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(os.urandom(32).hex() + "\n")
    return Pseudonyms(secret=path.read_text(encoding="ascii").strip().encode())
