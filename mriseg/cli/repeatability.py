"""``mriseg repeatability``: how well a measurement repeats."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    table: Annotated[Path, typer.Argument(help="Repeat scans as in regions.tsv; the visits are the repeats.")],
    out: Annotated[Path, typer.Argument(help="repeatability.tsv to write.")],
    scan: Annotated[list[str] | None, typer.Option(help="Visit that is a repeat, in order; all by default.")] = None,
    against: Annotated[
        Path | None, typer.Option(help="Study as another reader read it; TABLE is then a study too.")
    ] = None,
    plan: Annotated[Path | None, typer.Option(help="TOML whose [table] names the columns of another system.")] = None,
) -> None:
    """Give SEM, smallest detectable change, RMS CV, ICC(2,1) and Bland-Altman limits of every region and metric.

    The knees must not have changed between the scans. The file can be given to `mriseg compare --sdc`.

    Examples:

        mriseg repeatability regions.tsv repeatability.tsv --scan test --scan retest

    Of a study folder it gives Cohen's kappa of the verdicts of every two readers; with --against, the copy that another
    reader read, also Dice of the label maps and ICC of the primary endpoint.

        mriseg repeatability READ_BY_AB readers.tsv --against READ_BY_CD
    """
    if table.is_dir() or against is not None:
        _between_readers(table, against, out)
        return
    import pandas as pd
    from rich.console import Console
    from rich.table import Table

    from mriseg.compare.columns import parse_table_map, to_regions
    from mriseg.compare.plan import read_toml
    from mriseg.compare.repeatability import repeatability_table
    from mriseg.compare.tables import read_table
    from mriseg.files import write_text

    values = read_table(table)
    mapping = parse_table_map(read_toml(plan), str(plan)) if plan else None
    result = repeatability_table(values if mapping is None else to_regions(values, mapping, table.name), scan or ())
    write_text(out, result.to_csv(sep="\t", index=False))
    shown = Table(box=None, pad_edge=False)
    columns = ("region", "metric", "unit", "n", "sem", "sdc", "rms_cv_pct", "icc")
    for column in columns:
        shown.add_column(column)
    for row in result.to_dict(orient="records"):
        shown.add_row(
            *("" if pd.isna(v) else f"{v:.4g}" if isinstance(v, float) else str(v) for v in (row[c] for c in columns))
        )
    Console().print(shown)
    typer.echo(f"{out}: {len(result)} endpoint(s)")


def _between_readers(study: Path, against: Path | None, out: Path) -> None:
    import pandas as pd

    from mriseg.files import write_text
    from mriseg.study import open_study
    from mriseg.study.between_readers import agreement_of_studies, kappa_of_verdicts

    first = open_study(study)
    reviews = first.reviews()
    parts = []
    if against is not None:
        second = open_study(against)
        reviews += second.reviews()
        parts.append(agreement_of_studies(first, second))
    result = pd.concat([kappa_of_verdicts(reviews), *parts], ignore_index=True)
    write_text(out, result.to_csv(sep="\t", index=False))
    for row in result.itertuples(index=False):
        typer.echo(f"{row.readers}: {row.measure} {row.value:.3f} ({row.low:.3f} to {row.high:.3f}), n {row.n}")
    typer.echo(f"{out}: {len(result)} row(s)")
