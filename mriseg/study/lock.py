"""One run at a time on a study, on one computer or on several that share its file system.

Whoever works holds ``.lock``: a lock of the operating system, which its workers inherit, so that a killed run holds the
study for as long as one of them is at work; and a file that says host, process and, by its time, when it was last seen.
On another computer, where the first may not be seen, the second decides. Nobody ever has to remove it by hand.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import platform
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mriseg.errors import StudyError
from mriseg.study.paths import StudyPaths

BEAT_S = 5.0  # a sign of life
SILENT_S = 60.0  # without one for so long, a run on another computer is over
DYING_S = 5.0  # how long the workers of a killed run may take to go
PROBE = ".probe"


@contextmanager
def run_lock(paths: StudyPaths, lost: Callable[[], None] = lambda: None) -> Iterator[int]:
    """Hold a study while it is worked on; yields the file descriptor that workers inherit.

    Parameters
    ----------
    paths : StudyPaths
    lost : callable
        Called where another run has taken the study over, since this one gave no sign of life (a suspended computer).

    Raises
    ------
    StudyError
        Where another run is at work, or the folder of outputs cannot be written.
    """
    token = uuid.uuid4().hex
    with writable(paths.derivatives):
        handle = _take(paths.lock, token)
    stop = threading.Event()
    beating = threading.Thread(target=_beat, args=(paths.lock, token, stop, lost), daemon=True)
    beating.start()
    try:
        yield handle
    finally:
        stop.set()
        beating.join()
        if _holder(paths.lock).get("token") == token:
            with suppress(OSError):
                os.ftruncate(handle, 0)
        os.close(handle)


def at_work(paths: StudyPaths) -> bool:
    """Whether a run is at work on a study now."""
    try:
        handle = os.open(paths.lock, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not _flock(handle, fcntl.LOCK_SH) or _lives_elsewhere(paths.lock)
    finally:
        os.close(handle)


@contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Make a folder and write a byte into it; say so before any work where that is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f"{PROBE}.{os.getpid()}"
        probe.write_bytes(b"\n")
        probe.unlink()
        yield
    except OSError as error:
        raise StudyError(
            f"{folder.parent.name}/{folder.name}/ cannot be written ({_words(error)}). Nothing was done. Expected a "
            "folder that whoever runs mriseg may write, on a disk with room."
        ) from error


def _words(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else type(error).__name__


def _take(path: Path, token: str) -> int:
    """Open and lock the file, once those who hold it are gone."""
    until = time.monotonic() + DYING_S
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    while not _flock(handle, fcntl.LOCK_EX):
        if time.monotonic() > until or _is_alive(_holder(path)):
            os.close(handle)
            raise _busy(path)
        time.sleep(0.1)
    if _lives_elsewhere(path):
        os.close(handle)
        raise _busy(path)
    _write(path, token)
    return handle


def _busy(path: Path) -> StudyError:
    holder = _holder(path)
    who = f" (process {holder['pid']} on {holder['host']})" if {"pid", "host"} <= holder.keys() else ""
    study = path.parents[2].name
    return StudyError(f"{study}: another run is at work on this study{who}. Wait for it to end.")


def _flock(handle: int, kind: int) -> bool:
    """Take the lock of the operating system; True too where the file system has none, and the file alone decides."""
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}
    return True


def _write(path: Path, token: str) -> None:
    content = {"host": platform.node(), "pid": os.getpid(), "token": token}
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")


def _holder(path: Path) -> dict[str, object]:
    """Who wrote the file: host, pid and token; nothing where that is not what it says."""
    with suppress(OSError, ValueError):
        content = json.loads(path.read_text(encoding="utf-8"))
        kinds = {"host": str, "pid": int, "token": str}
        if isinstance(content, dict) and all(isinstance(content.get(key), kind) for key, kind in kinds.items()):
            return content
    return {}


def _is_alive(holder: dict[str, object]) -> bool:
    """Whether the holder is a living process of this computer."""
    if holder.get("host") != platform.node():
        return False
    try:
        os.kill(int(str(holder["pid"])), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _lives_elsewhere(path: Path) -> bool:
    """Whether a run on another computer gave a sign of life lately, by the clock of the file system."""
    holder = _holder(path)
    if not holder or holder.get("host") == platform.node():
        return False
    probe = path.with_name(f"{PROBE}.{os.getpid()}")
    try:
        probe.write_bytes(b"\n")
        now = probe.stat().st_mtime
        return now - path.stat().st_mtime < SILENT_S
    except OSError:
        return time.time() - path.stat().st_mtime < SILENT_S
    finally:
        probe.unlink(missing_ok=True)


def _beat(path: Path, token: str, stop: threading.Event, lost: Callable[[], None]) -> None:
    while not stop.wait(BEAT_S):
        if _holder(path).get("token") != token:
            lost()
            return
        with suppress(OSError):
            os.utime(path)
