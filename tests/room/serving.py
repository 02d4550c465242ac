"""The reading room as a user starts it: `mriseg review` in a process of its own."""

from __future__ import annotations

import http.client
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Server:
    """A room at work, and the address that it printed."""

    address: str
    process: subprocess.Popen[str]

    @property
    def host(self) -> str:
        return urlsplit(self.address).netloc

    @property
    def token(self) -> str:
        return urlsplit(self.address).path.strip("/")

    def ask(
        self, path: str, *, method: str = "GET", body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers of one answer; ``path`` is sent as it is."""
        connection = http.client.HTTPConnection(self.host, timeout=60)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}
        finally:
            connection.close()

    def api(self, path: str, **more: object) -> tuple[int, bytes, dict[str, str]]:
        return self.ask(f"/{self.token}/api/{path}", **more)  # type: ignore[arg-type]


@contextmanager
def reading_room(study: Path, *arguments: str) -> Iterator[Server]:
    """Open the room and close it at the end, however it went."""
    command = [sys.executable, "-u", "-m", "mriseg.cli", "review", str(study), "--no-browser", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    try:
        said = process.stdout.readline()
        assert said.startswith("Reading room: http://127.0.0.1:"), said + process.stdout.read()
        yield Server(address=said.split()[-1], process=process)
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()
