"""``run.log``: what the runs did, one JSON object a line, for people and programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class RunLog:
    """Appends to one file; a full disk ends no run."""

    path: Path

    def write(self, event: str, **facts: Any) -> None:
        """Append one line: time (UTC), event, and what belongs to it."""
        content: Mapping[str, Any] = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event}
        with suppress(OSError), self.path.open("a", encoding="utf-8") as log:
            log.write(json.dumps({**content, **facts}, ensure_ascii=False) + "\n")
