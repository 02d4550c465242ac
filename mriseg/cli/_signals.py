"""A run that is told to stop: workers first, then one line, and the exit code of the signal."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import typer

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StoppedError(BaseException):
    """A signal asked the process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def stoppable() -> Iterator[None]:
    """Within it the first signal to stop unwinds the stack, further ones change nothing, and the exit code says so."""
    before = {number: signal.signal(number, _stop) for number in SIGNALS}
    try:
        yield
    except StoppedError as stop:
        typer.echo("Stopped. What is done stays; `mriseg run` goes on from there.", err=True)
        raise typer.Exit(128 + stop.number) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, _: FrameType | None) -> NoReturn:
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise StoppedError(number)
