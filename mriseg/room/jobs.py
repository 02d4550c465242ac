"""Work behind the page: one patient after the other is measured again by ``mriseg run``, as after any other change."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from queue import Queue

from mriseg.study.model import Study

log = logging.getLogger(__name__)
WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"


@dataclass(eq=False)
class Jobs:
    """A queue of patients that one thread works off; what is asked for twice while it waits is done once."""

    study: Study
    states: dict[str, str] = field(default_factory=dict)
    _queue: Queue[str] = field(default_factory=Queue)
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin to work in a thread of its own."""
        threading.Thread(target=self._work, name="measuring", daemon=True).start()

    def ask(self, participant: str) -> None:
        """Have one patient measured again."""
        with self._guard:
            if self.states.get(participant) != WAITING:
                self.states[participant] = WAITING
                self._queue.put(participant)

    def stop(self) -> None:
        """End the run at work, if any; what it did stays, and the next run goes on from there."""
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            process.wait()

    def _work(self) -> None:
        while True:
            participant = self._queue.get()
            self.states[participant] = RUNNING
            code = self._run(participant)
            if self.states[participant] == RUNNING:
                self.states[participant] = FAILED if code else DONE
            if code:
                log.warning("%s could not be measured again; `mriseg status` says why.", participant)

    def _run(self, participant: str) -> int:
        command = [sys.executable, "-m", "mriseg.cli", "run", str(self.study.paths.root), "--only", participant]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return self._process.wait()
