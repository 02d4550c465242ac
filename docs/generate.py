"""Pages of the manual that are read off the code: every command with its options, every error with its text."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parents[1] / "mriseg"
NOTE = "<!-- Written by docs/generate.py from the code. -->\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class RaisedError:
    """One ``raise``: the module it stands in, the kind of error, and its text with ``{...}`` for what is filled in."""

    module: str
    kind: str
    text: str


def write_all(folder: Path) -> None:
    """Write ``errors.md`` and ``commands.md``; a page that stays equal is not touched."""
    folder.mkdir(exist_ok=True)
    for name, text in (("errors.md", errors_page()), ("commands.md", commands_page())):
        page = folder / name
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")


def raised_errors() -> Iterator[RaisedError]:
    """Yield every error of mriseg that the package raises with a text of its own, module by module."""
    kinds = {node.name for node in ast.walk(_tree(PACKAGE / "errors.py")) if isinstance(node, ast.ClassDef)}
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(_tree(file)):
            if not (isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args):
                continue
            kind = getattr(node.exc.func, "id", "")
            if kind in kinds:
                module = file.relative_to(PACKAGE.parent).with_suffix("").as_posix().replace("/", ".")
                yield RaisedError(module=module, kind=kind, text=_text(node.exc.args[0]))


def errors_page() -> str:
    """Return the page of all errors, a table a stage of the work."""
    rooms: dict[str, list[RaisedError]] = {}
    for error in raised_errors():
        if error.text:
            rooms.setdefault(".".join(error.module.split(".")[:2]), []).append(error)
    parts = [
        NOTE
        + "# Errors\n\nEvery text that mriseg ends a step or a command with. Braces hold what is filled in: a file, "
        "a participant, what was found. An error of a step is recorded for its patient, and the others go on.\n"
    ]
    for room, errors in rooms.items():
        rows = [f"| {e.kind} | {e.text} |" for e in dict.fromkeys(errors)]
        parts.append("\n".join([f"\n## {room}\n", "| kind | text |", "|---|---|", *rows, ""]))
    return "".join(parts)


def commands_page() -> str:
    """Return the page of all commands: what ``--help`` says of each."""
    import typer

    from mriseg import cli

    group = typer.main.get_command(cli.app)
    context = group.make_context("mriseg", [], resilient_parsing=True)
    parts = [NOTE + "# Commands\n\nExit codes: 0 done, 1 something failed or blocks, 2 wrong use.\n"]
    for name in (n for n in cli.COMMANDS if n not in cli.HIDDEN):
        command = group.get_command(context, name)  # type: ignore[attr-defined]
        if command is not None:
            parts.append(_command(command, command.make_context(name, [], parent=context, resilient_parsing=True)))
    return "\n".join(parts)


def _command(command: Any, context: Any) -> str:
    """Return what ``--help`` says of a command, in Markdown."""
    usage = command.get_usage(context).removeprefix("Usage: ")
    text = "\n".join(line.rstrip() for line in (command.help or "").splitlines())
    body, _, examples = text.partition("Examples:")
    rows = [record for p in command.get_params(context) if (record := p.get_help_record(context))]
    table = [f"| `{left}` | {right.replace('|', chr(92) + '|')} |" for left, right in rows]
    lines = [f"## {context.info_name}", "", body.strip(), "", "```text", usage, "```", ""]
    lines += ["| option | meaning |", "|---|---|", *table, ""] if table else []
    if examples.strip():
        lines += ["```text", *[line.strip() for line in examples.splitlines() if line.strip()], "```", ""]
    return "\n".join(lines)


def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def _text(node: ast.expr) -> str:
    """Text of a string, an f-string or a sum of them, in Markdown; empty for what is put together elsewhere."""
    match node:
        case ast.Constant(value=str(value)):
            return _escaped(value)
        case ast.JoinedStr(values=values):
            return "".join(_text(v) if isinstance(v, ast.Constant) else "`{…}`" for v in values)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text(left) + _text(right)
    return ""


def _escaped(text: str) -> str:
    for mark in "\\|*_`<[":
        text = text.replace(mark, "\\" + mark)
    return " ".join(text.split("\n"))
