"""``mriseg power``: sample size and detectable difference from a pilot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mriseg.compare.pilot import Pilot
    from mriseg.compare.power import PowerPoint, Scenario

SIZES = (12, 20, 30, 40, 50, 60, 80, 100, 150, 200)


def command(
    pilot: Annotated[Path, typer.Argument(help="regions.tsv of untreated knees, or the OAI manual readings.")],
    *,
    endpoint: Annotated[str, typer.Option(help="REGION:METRIC.")] = "FT:dAB",
    baseline: Annotated[str, typer.Option(help="First visit of the pilot; months for the OAI readings.")] = "0",
    followup: Annotated[str, typer.Option(help="Second visit of the pilot.")] = "12",
    where: Annotated[list[str] | None, typer.Option(help="COLUMN=VALUE,VALUE; may be repeated.")] = None,
    effect: Annotated[float, typer.Option(help="Share of the mean growth that treatment stops; 1 is a halt.")] = 1.0,
    model: Annotated[
        str, typer.Option(help="shift: every knee alike; proportional: each by its own change.")
    ] = "shift",
    time: Annotated[float, typer.Option(help="Length of follow-up in units of the pilot's.")] = 1.0,
    judged_by: Annotated[str, typer.Option(help="permutation or hc3, as in the plan.")] = "permutation",
    dropout: Annotated[float, typer.Option(min=0, max=0.95, help="Share lost in either arm.")] = 0.0,
    alpha: Annotated[float, typer.Option(min=0.0001, max=0.5)] = 0.05,
    power: Annotated[float, typer.Option(min=0.5, max=0.999)] = 0.8,
    per_arm: Annotated[list[int] | None, typer.Option(min=3, max=5000, help="Size of an arm; may be repeated.")] = None,
    trials: Annotated[int, typer.Option(min=100, help="Simulated trials for each figure.")] = 2000,
    seed: Annotated[int, typer.Option(min=0)] = 1,
    out: Annotated[Path | None, typer.Option(help="Folder for power.json, power.tsv and power.svg.")] = None,
) -> None:
    """Say how many participants a trial needs and which difference it can find, from knees nobody treated.

    Trials are drawn from the pilot and analysed by the ANCOVA of `mriseg compare`; the t distribution with the pilot's
    residual SD stands beside it.

    Examples:

        mriseg power oai_manual_readings.tsv --where kl_grade_baseline=2,3,4

        mriseg power regions.tsv --baseline baseline --followup month6 --dropout 0.1 --effect 0.5 --out power
    """
    from mriseg.compare.pilot import build_pilot
    from mriseg.compare.plan import Endpoint
    from mriseg.compare.power import Effect, Scenario, power_curve, sample_size
    from mriseg.compare.tables import read_table

    region, separator, metric = endpoint.partition(":")
    if not separator or model not in list(Effect) or judged_by not in ("permutation", "hc3"):
        raise typer.BadParameter(
            "--endpoint is REGION:METRIC, --model is shift or proportional, --judged-by is permutation or hc3."
        )
    scenario = Scenario(
        halted=effect,
        time=time,
        dropout=dropout,
        alpha=alpha,
        power=power,
        effect=Effect(model),
        judged_by="hc3" if judged_by == "hc3" else "permutation",
        trials=trials,
        seed=seed,
    )
    knees = build_pilot(
        read_table(pilot),
        Endpoint(region=region, metric=metric),
        baseline=baseline,
        followup=followup,
        where=where or (),
    )
    points = power_curve(knees, scenario, sorted(set(per_arm or SIZES)))
    needed = {"simulated": sample_size(knees, scenario), "t": sample_size(knees, scenario, simulated=False)}
    _say(knees, scenario, points, needed)
    if out:
        _write(out, knees, scenario, points, needed)


def _say(pilot: Pilot, scenario: Scenario, points: list[PowerPoint], needed: dict[str, int | None]) -> None:
    from rich.console import Console
    from rich.table import Table

    from mriseg.compare.power import difference
    from mriseg.report.results_text import percent

    typer.echo(
        f"{len(pilot.baseline)} knees; mean change {pilot.growth:.4g} {pilot.unit}, "
        f"residual SD {pilot.residual_sd:.4g} {pilot.unit}; "
        f"true difference {difference(pilot, scenario):.4g} {pilot.unit}"
    )
    table = Table(box=None, pad_edge=False)
    for column in ("an arm", "power", "± (simulation)", "power by t", "detectable", "detectable by t"):
        table.add_column(column, justify="right")
    for p in points:
        figures = (p.simulated, p.error, p.by_t, p.detectable, p.detectable_by_t)
        table.add_row(str(p.per_arm), *(f"{v:.4g}" for v in figures))
    Console().print(table)
    words = {k: "over 5000" if v is None else str(v) for k, v in needed.items()}
    typer.echo(f"{percent(scenario.power)}% power needs {words['simulated']} an arm by simulation, {words['t']} by t.")


def _write(
    out: Path, pilot: Pilot, scenario: Scenario, points: list[PowerPoint], needed: dict[str, int | None]
) -> None:
    import pandas as pd

    from mriseg.compare.export import plain
    from mriseg.files import write_json, write_text
    from mriseg.report.power_figure import power_figure
    from mriseg.study.provenance import versions

    rows = plain(points)
    head = {"endpoint": str(pilot.endpoint), "unit": pilot.unit, "knees": len(pilot.baseline)}
    figures = {"mean_change": pilot.growth, "residual_sd": pilot.residual_sd, "per_arm_needed": needed}
    content = {**head, **figures, "scenario": plain(scenario), "curve": rows, "versions": versions()}
    write_json(out / "power.json", content)
    write_text(out / "power.tsv", pd.DataFrame(rows).to_csv(sep="\t", index=False))
    write_text(out / "power.svg", str(power_figure(points, scenario.power)))
    typer.echo(f"Curve: {out / 'power.svg'}")
