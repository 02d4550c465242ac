"""SHA-256 of files, remembered from one command to the next by what the file system says of them.

The memory lies outside of the study, in the user's cache folder, and holds no path: only device, inode, size and the
times of writing and of any change. A copied, touched or edited file differs in one of them and is read again, so that
the memory can save reading and never decides anything. Losing it costs time alone.
"""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mriseg.files import read_json, sha256, write_json

SETTLED_NS = 3_000_000_000  # a file changed within this time might change again without another time of change


def cache_folder() -> Path:
    """Folder of what may be lost: ``$XDG_CACHE_HOME/mriseg``, or ``~/.cache/mriseg``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "mriseg"


@dataclass(slots=True)
class Hashes:
    """Hashes of the files of one patient; ``memory`` is the file that keeps them, None keeps nothing."""

    memory: Path | None = None
    _known: dict[str, str] = field(default_factory=dict)
    _used: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.memory is not None:
            with suppress(OSError, ValueError, AttributeError):
                self._known = {str(k): str(v) for k, v in read_json(self.memory).items()}

    def of(self, path: Path) -> str | None:
        """SHA-256 of a file; None where there is no file that can be read."""
        try:
            facts = facts_of(path.stat())
            found = self._recall(facts) or sha256(path)
            self._keep(facts, found, after=facts_of(path.stat()))
        except OSError:
            return None
        return found

    def derived(self, facts: str) -> str | None:
        """Return what was remembered under ``facts``, a text of :meth:`remember`; None where nothing was."""
        return self._recall(hashlib.sha256(facts.encode()).hexdigest())

    def remember(self, facts: str, found: str) -> None:
        """Remember a hash over several files by a text that holds the facts of each of them."""
        self._used[hashlib.sha256(facts.encode()).hexdigest()] = found

    def save(self) -> None:
        """Keep what was used, for the next command; a folder that cannot be written is no fault."""
        if self.memory is not None and self._used != self._known:
            with suppress(OSError):
                write_json(self.memory, dict(sorted(self._used.items())))

    def _recall(self, facts: str) -> str | None:
        found = self._used.get(facts) or self._known.get(facts)
        if found:
            self._used[facts] = found
        return found

    def _keep(self, facts: str, found: str, *, after: str) -> None:
        changed_ns = int(facts.rsplit(" ", 1)[1])
        if facts == after and time.time_ns() - changed_ns > SETTLED_NS:
            self._used[facts] = found


def facts_of(state: os.stat_result) -> str:
    """Device, inode, size, time of writing and, last, time of any change."""
    return f"{state.st_dev} {state.st_ino} {state.st_size} {state.st_mtime_ns} {state.st_ctime_ns}"


def hashes_of(root: Path, participant: str) -> Hashes:
    """Hashes of one patient of the study at ``root``; the file that keeps them has no name of a folder in its own."""
    try:
        state = root.stat()
    except OSError:
        return Hashes()
    return Hashes(memory=cache_folder() / "hashes" / f"{state.st_dev}-{state.st_ino}" / f"{participant}.json")
