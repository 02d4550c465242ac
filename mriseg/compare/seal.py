"""The seal on plan and measurements, set before the allocation is opened."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from mriseg.compare.plan import AnalysisPlan
from mriseg.errors import AnalysisError


def sha256(data: bytes) -> str:
    """SHA-256 of ``data`` as hex text."""
    return hashlib.sha256(data).hexdigest()


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def seal(
    files: Mapping[str, str],
    plan: AnalysisPlan,
    *,
    by: str = "mriseg lock",
    earlier: Sequence[Mapping[str, Any]] = (),
    when: datetime | None = None,
) -> dict[str, Any]:
    """Seal a plan and the files that hold the measurements.

    Parameters
    ----------
    files : mapping
        Name of each file -> its SHA-256.
    plan : AnalysisPlan
    by : str
        Command that seals, with its version.
    earlier : sequence of mapping
        Seals that this one replaces: each with its time, its seal and the reason for replacing it.
    when : datetime, optional
        Time of the seal; now by default.

    Returns
    -------
    dict
        ``lock.json``: time, plan, plan_sha256, files, earlier seals, and ``seal`` over all of it.
    """
    body: dict[str, Any] = {
        "sealed": (when or datetime.now(UTC)).isoformat(timespec="seconds"),
        "by": by,
        "plan": plan.model_dump(mode="json"),
        "plan_sha256": plan_hash(plan),
        "files": dict(sorted(files.items())),
        "earlier": [dict(e) for e in earlier],
    }
    return body | {"seal": sha256(_canonical(body))}


def plan_hash(plan: AnalysisPlan) -> str:
    """SHA-256 of a plan, whatever the order or comments of the file it came from."""
    return content_hash(plan.model_dump(mode="json"))


def content_hash(content: Mapping[str, Any]) -> str:
    """SHA-256 of what JSON can hold, whatever the order of its keys."""
    return sha256(_canonical(content))


def verify_seal(lock: Mapping[str, Any], files: Mapping[str, str], plan: AnalysisPlan) -> tuple[str, ...]:
    """Name everything that differs from what was sealed; empty where nothing does.

    Raises
    ------
    AnalysisError
        ``lock`` is not a lock at all.
    """
    absent = {"sealed", "plan", "plan_sha256", "files", "seal"} - set(lock)
    if absent:
        raise AnalysisError(f"The lock lacks {', '.join(sorted(absent))}; it was not written by mriseg lock.")
    found = []
    body = {key: value for key, value in lock.items() if key != "seal"}
    if sha256(_canonical(body)) != lock["seal"]:
        found.append("The lock file itself was altered after it was sealed.")
    found += _plan_changes(lock["plan"], plan.model_dump(mode="json"))
    sealed: Mapping[str, str] = lock["files"]
    altered = [name for name in sorted(sealed) if files.get(name, sealed[name]) != sealed[name]]
    found += [f"{name} was changed after the seal." for name in altered]
    found += [f"{name} was removed after the seal." for name in sorted(set(sealed) - set(files))]
    found += [f"{name} was added after the seal." for name in sorted(set(files) - set(sealed))]
    return tuple(found)


def _plan_changes(sealed: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    keys = sorted(set(sealed) | set(current))
    return [
        f"The plan was changed after the seal: {key} was {sealed.get(key)!r}, is {current.get(key)!r}."
        for key in keys
        if sealed.get(key) != current.get(key)
    ]
