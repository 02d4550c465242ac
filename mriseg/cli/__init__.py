"""The ``mriseg`` command: one module a command, found here by name and imported only when it is called."""

from __future__ import annotations

import importlib
import logging
import sys
from importlib.util import find_spec
from typing import NoReturn

import typer
from rich.console import Console
from rich.logging import RichHandler

from mriseg import __version__
from mriseg.errors import MrisegError

COMMANDS = {
    "new": "Draft a study folder from a folder of DICOM files.",
    "check": "List what a study holds and everything that deviates; exits 1 where something blocks.",
    "run": "Run all blind steps of a study; what is up to date is not redone.",
    "status": "Say what is done, failed and open in a study.",
    "review": "Judge label maps; what is accepted counts, what is rejected is missing.",
    "lock": "Seal plan and measurements before the allocation is opened.",
    "compare": "Compare the arms; the only command that opens the allocation.",
    "report": "Write the patient pages and the study page again.",
    "convert": "Turn DICOM series into NIfTI volumes with JSON sidecars.",
    "deidentify": "Copy DICOM files without what identifies a patient.",
    "segment": "Segment bones and cartilage of one knee.",
    "seg": "Exchange label maps as DICOM SEG.",
    "register": "Register two visits of one knee, one rigid transform a bone.",
    "measure": "Measure cartilage, denuded area and defects of one knee at one or two visits.",
    "simulate": "Make a DICOM trial with known truth.",
    "verify": "Check the installation and its accuracy on built-in truth.",
    "power": "Sample size and detectable difference by simulation from a pilot.",
    "repeatability": "SEM, SDC, RMS CV and ICC from repeat scans.",
}
HIDDEN: frozenset[str] = frozenset()  # commands that programs call, not people


class LazyGroup(typer.core.TyperGroup):
    """Import the module of a command when it is asked for, so that ``mriseg --help`` answers at once."""

    def list_commands(self, ctx: object) -> list[str]:  # noqa: ARG002
        """Name every command that is installed, in the order of the work."""
        return [name for name in COMMANDS if find_spec(f"mriseg.cli.{name}")]

    def get_command(self, ctx: object, cmd_name: str) -> typer.core.TyperCommand | None:  # noqa: ARG002
        """Return one command; its module holds a function ``command``."""
        if cmd_name not in COMMANDS or not find_spec(f"mriseg.cli.{cmd_name}"):
            return None
        module = importlib.import_module(f"mriseg.cli.{cmd_name}")
        single = typer.Typer(add_completion=False, rich_markup_mode="markdown")
        single.command(name=cmd_name, hidden=cmd_name in HIDDEN)(module.command)
        return typer.main.get_command(single)  # type: ignore[return-value]

    def format_commands(self, ctx: object, formatter: object) -> None:
        """List the commands with one line each, without importing them."""
        rows = [(n, COMMANDS[n]) for n in self.list_commands(ctx) if n not in HIDDEN]
        with formatter.section("Commands"):  # type: ignore[attr-defined]
            formatter.write_dl(rows)  # type: ignore[attr-defined]


app = typer.Typer(cls=LazyGroup, add_completion=False, no_args_is_help=True, rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def _root(
    version: bool = typer.Option(False, "--version", help="Print the version and stop."),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Show debug messages."),
) -> None:
    """Cartilage defects in knee MRI, quantified for randomised trials."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.WARNING,
        format="%(message)s",
        handlers=[RichHandler(console=Console(stderr=True), show_path=False, rich_tracebacks=False)],
    )
    if version:
        typer.echo(f"mriseg {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line: 0 done, 1 failed or blocked, 2 wrong use; an expected error is a line, not a traceback."""
    try:
        app()
    except MrisegError as error:
        _fail(str(error))
    except Exception as error:
        if logging.getLogger().isEnabledFor(logging.DEBUG):
            raise
        from mriseg.study.failures import unexpected

        _fail(f"{unexpected(error)}. `mriseg --verbose` shows the traceback, which may quote headers of images.")


def _fail(text: str) -> NoReturn:
    Console(stderr=True, soft_wrap=True).print(f"[bold red]error:[/] {_escape(text)}")
    sys.exit(1)


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)
