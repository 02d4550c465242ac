"""What is measured and how it is said: `evidence.toml` and results -> docs/evidence.md and the table of the README."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results"
PAGE = HERE.parent / "docs" / "evidence.md"
README = HERE.parent / "README.md"
TRIAL = HERE.parent / "docs" / "trial-question.md"
BEGIN, END = "<!-- evidence -->", "<!-- end of evidence -->"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One benchmark: its command line, a quick one, its data, what they overlap with, and packages it needs besides."""

    name: str
    command: str
    data: str
    quick: str = ""
    overlap: str = "none"
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure: what it is, the run that gives it, its text with ``{}`` for values, and where those stand."""

    what: str
    run: str
    says: str
    figures: tuple[tuple[str | int, ...], ...]
    short: bool = field(default=False)

    def text(self) -> str:
        """Return the figure as the results of its run give it.

        Raises
        ------
        KeyError
            The results hold no such value: the benchmark changed, or was not run whole.
        """
        results = json.loads((RESULTS / f"{self.run}.json").read_text(encoding="utf-8"))
        return self.says.format(*(_at(results, path) for path in self.figures))


def read_evidence() -> tuple[tuple[Run, ...], tuple[Row, ...]]:
    """Read the runs and the rows of `evidence.toml`."""
    content = tomllib.loads((HERE / "evidence.toml").read_text(encoding="utf-8"))
    runs = tuple(Run(**(r | {"needs": tuple(r.get("needs", ()))})) for r in content["run"])
    rows = tuple(Row(**(r | {"figures": tuple(map(tuple, r["figures"]))})) for r in content["row"])
    unknown = {r.run for r in rows} - {r.name for r in runs}
    if unknown:
        raise ValueError(f"evidence.toml: rows name the runs {sorted(unknown)}, which it does not list.")
    return runs, rows


def evidence_page() -> str:
    """Return docs/evidence.md: every figure with its date, machine, data, overlap and command."""
    runs, rows = read_evidence()
    ran = json.loads((RESULTS / "runs.json").read_text(encoding="utf-8"))
    parts = [
        "# Evidence\n\nEvery figure comes from a committed command and its results file in `benchmarks/results`; "
        "`python -m benchmarks all` measures them anew, `--quick` a part of each. This page is written by "
        "`python -m benchmarks page`.\n"
    ]
    for run in runs:
        figures = [f"| {row.what} | {row.text()} |" for row in rows if row.run == run.name]
        if figures:
            parts += [
                "\n".join([*_heading(run, ran.get(run.name, {})), "", "| what | figure |", "|---|---|", *figures]),
                "",
            ]
    return "\n".join(parts)


def short_table() -> str:
    """Return the short table of the README."""
    rows = [f"| {r.what} | {r.text()} | `benchmarks/{r.run}.py` |" for r in read_evidence()[1] if r.short]
    return "\n".join(["| what | figure | from |", "|---|---|---|", *rows])


def trial_table() -> str:
    """Return the table of the page about the trial's question: trials of 12 against 12, a complete halt of growth."""
    rows = json.loads((RESULTS / "trial_question.json").read_text(encoding="utf-8"))["rows"]
    lines = [
        "| measured by | endpoint | months | true difference | found in | knees an arm for 80 %: halt; half | "
        "both statements though nothing works |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        sizes = "; ".join(str(r[f"an arm for 80 %, {w}"] or "over 3000") for w in ("complete halt", "half"))
        fallacy = r["null trials: control worse, treated not significant %"]
        lines.append(
            f"| {r['chain']} | {r['endpoint']} | {r['months']} | {r['true difference']:.3g} | {r['power %']:.0f} % "
            f"| {sizes} | {fallacy:.0f} % |"
        )
    return "\n".join(lines)


def with_table(text: str, table: str) -> str:
    """Put a table between the marks of a text; a `ValueError` where it has none."""
    if BEGIN not in text or END not in text:
        raise ValueError(f"The page has no marks {BEGIN} and {END} to put its table between.")
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.partition(END)[2]}"


def write_page() -> None:
    """Write docs/evidence.md, and the tables of the README and of the page about the trial's question."""
    PAGE.write_text(evidence_page(), encoding="utf-8")
    for page, table in ((README, short_table()), (TRIAL, trial_table())):
        page.write_text(with_table(page.read_text(encoding="utf-8"), table), encoding="utf-8")


def _heading(run: Run, ran: dict[str, Any]) -> Iterable[str]:
    when = ran.get("date", "before dates were kept")
    where = ran.get("machine", "x86_64, 2 cores")
    yield f"## {run.name}\n"
    yield f"`python benchmarks/{run.command.replace('{real}', 'DATA')}`  "
    yield f"Data: {run.data}. Overlap with what was learnt or tuned: {run.overlap}. Measured: {when}, {where}."


def _at(content: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        content = content[key]
    return content
