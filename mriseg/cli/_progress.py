"""Progress of a run: a bar where there is a terminal, else plain lines; failures as they happen."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from mriseg.study.model import Patient

EVERY_S = 30.0  # between two plain lines


class RunProgress:
    """Counts steps, and says how many are done, how fast, and how long the rest will take."""

    def __init__(self, console: Console, total: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._console, self._total = console, total
        self._done = self._failed = 0
        self._began = self._said = time.monotonic()
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("steps{task.fields[note]}"))
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=total, note="")

    def __enter__(self) -> RunProgress:
        """Start the bar."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the bar, and its clock, where the work ends."""
        self._bar.stop()

    def tell(self, patient: Patient, event: Mapping[str, Any]) -> None:
        """Take note of one event."""
        from rich.markup import escape

        kind, text = event["kind"], escape(str(event.get("text", "")))
        where = escape(" ".join(filter(None, (patient.id, event.get("visit", ""), event.get("step", "")))))
        if kind in {"done", "failed"}:
            self._done += kind == "done"
            self._failed += kind == "failed"
            self._bar.update(self._task, completed=self._done + self._failed, note=self._note())
        if kind == "failed":
            self._bar.console.print(f"[red]failed[/] {where}: {text}")
        elif kind == "note":
            self._bar.console.print(f"{escape(patient.id)}: {text}")

    def tick(self) -> None:
        """Say how far the work is, now and then, where no bar shows it."""
        if self._console.is_terminal:
            self._bar.update(self._task, note=self._note())
        elif time.monotonic() - self._said >= EVERY_S:
            self._said = time.monotonic()
            self._console.print(f"{self._done + self._failed} of {self._total} steps{self._note()}")

    def _note(self) -> str:
        ended, took = self._done + self._failed, time.monotonic() - self._began
        failed = f", {self._failed} failed" if self._failed else ""
        if not ended:
            return failed
        left = took / ended * max(0, self._total - ended)
        return f"{failed}, {60 * ended / took:.1f} a minute, {_span(left)} left"


def _span(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"
