"""The data sets that R analysed: two made up and stored beside its results, one rebuilt from the manual readings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from mriseg.compare.columns import to_regions
from mriseg.compare.pilot import READINGS, select_rows
from mriseg.compare.tables import read_table

FIXTURES = Path(__file__).parent / "fixtures"


def stored(name: str) -> pd.DataFrame:
    """One row a participant: participant_id, arm, baseline, followup and, where it has some, strata and covariates."""
    return pd.read_csv(FIXTURES / f"{name}.csv", dtype={"participant_id": str, "site": str, "kl": str})


def from_readings(folder: Path) -> pd.DataFrame:
    """Femorotibial dAB of K-L 2 to 4 at months 0 and 12; arms alternate over the sorted knees, in blocks of grade."""
    table = select_rows(read_table(folder / "oai_manual_readings.tsv"), ["kl_grade_baseline=2,3,4"])
    long = to_regions(table, READINGS)
    long = long[(long["region"] == "FT") & (long["metric"] == "dAB") & long["visit"].isin(["0", "12"])]
    knees = long.pivot(index=["participant_id", "side"], columns="visit", values="value").dropna().reset_index()
    grades = table.drop_duplicates(["participant_id", "side"])[["participant_id", "side", "kl_grade_baseline"]]
    knees = knees.merge(grades, on=["participant_id", "side"]).sort_values(["participant_id", "side"])
    order = knees.groupby("kl_grade_baseline").cumcount()
    return pd.DataFrame(
        {
            "participant_id": knees["participant_id"] + "-" + knees["side"],
            "arm": order.mod(2).map({0: "control", 1: "treated"}),
            "baseline": knees["0"].astype(float),
            "followup": knees["12"].astype(float),
            "kl": "KL" + knees["kl_grade_baseline"].str[:1],
        }
    ).reset_index(drop=True)


def as_tables(data: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Values, participants and allocation of one data set, as `compare_table` takes them."""
    parts = []
    for visit, column in (("baseline", "baseline"), ("month6", "followup")):
        part = data[["participant_id"]].copy()
        part["visit"], part["side"], part["region"], part["metric"] = visit, "R", "FT", "dAB"
        part["value"], part["unit"], part["state"] = data[column], "mm2", "measured"
        parts.append(part)
    people = data.drop(columns=["arm", "baseline", "followup"])
    return pd.concat(parts, ignore_index=True), people, data[["participant_id", "arm"]]


def made_up(
    participants: int = 40, *, seed: int = 5, visits: tuple[str, ...] = ("baseline", "month6"), lost: float = 0.0
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Values of five small regions and of the whole, participants with site and age, allocation; some visits lost."""
    rng = np.random.default_rng(seed)
    arm = rng.permutation(np.where(np.arange(participants) % 2, "treated", "control"))
    site = rng.choice(["Basel", "Kyoto"], participants)
    rows = []
    for i in range(participants):
        area = np.where(rng.random(5) < 0.4, 0.0, rng.gamma(1.5, 60, 5))
        thick = rng.normal(2, 0.3, 5)
        side = rng.choice(["L", "R"])
        for t, visit in enumerate(visits):
            if t and rng.random() < lost:
                continue
            area = np.maximum(0, area + t * (area > 0) * rng.normal(10 if arm[i] == "control" else 4, 8, 5))
            thick = thick - t * rng.normal(0.03, 0.05, 5)
            where = [f"sub-{i:03d}", visit, side]
            for region, a, h in zip(("cMT", "aMT", "pMT", "ccMF", "ecMF"), area, thick, strict=True):
                rows += [[*where, region, "dAB", a, "mm2"], [*where, region, "ThCtAB_aMe", h, "mm"]]
            rows += [[*where, "FT", "dAB", area.sum(), "mm2"], [*where, "FT", "ThCtAB_aMe", thick.mean(), "mm"]]
    columns = ["participant_id", "visit", "side", "region", "metric", "value", "unit"]
    values = pd.DataFrame(rows, columns=columns).assign(state="measured")
    ids = [f"sub-{i:03d}" for i in range(participants)]
    people = pd.DataFrame({"participant_id": ids, "site": site, "age": rng.normal(63, 7, participants).round(1)})
    return values, people, pd.DataFrame({"participant_id": ids, "arm": arm})
