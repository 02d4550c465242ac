"""Measure real label maps: false loss in sound knees, areas against the field's ranges, repeatability over years, time.

Usage: python benchmarks/measuring_real.py LABELS [--pairs 18] [--readings TABLE]. LABELS is the folder of *_dseg.nii.gz
with labels.tsv. Every map is measured as a single visit, so that nothing is shared between the visits of a knee. TABLE
holds manual readings (oai_manual_readings.tsv): the group means of their first visits at Kellgren-Lawrence 0 to 2 stand
beside ours. Writes benchmarks/results/measuring_real.json.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path

import numpy as np
import pandas as pd

from mriseg.measure import MeasureParameters, measure
from mriseg.nifti import read_label_map
from mriseg.splits import load_splits
from mriseg.types import Side

PLATES = ("MT", "cMF", "LT", "cLF")
RANGES_CM2 = {"MT": (10.5, 12.0), "cMF": (7.3, 8.4), "LT": (9.8, 11.1), "cLF": (7.6, 8.8)}
RESULTS = Path(__file__).parent / "results" / "measuring_real.json"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("labels", type=Path)
    parser.add_argument("--pairs", type=int, default=18)
    parser.add_argument("--band-pct", type=float, default=MeasureParameters().band_pct)
    parser.add_argument("--readings", type=Path)
    options = parser.parse_args()
    table = pd.read_csv(options.labels / "labels.tsv", sep="\t")
    table = table[~table["participant_id"].isin(load_splits().test)]
    paired = table[table["participant_id"].duplicated(keep=False)]
    chosen = paired["participant_id"].unique()[: options.pairs]
    sound = table[pd.to_numeric(table["kl_grade"], errors="coerce") <= 1]
    rows = []
    for _, row in pd.concat([sound, paired[paired["participant_id"].isin(chosen)]]).iterrows():
        rows.append(one(options.labels, row, options.band_pct))
        print(rows[-1], flush=True)
    summary = summarise(pd.DataFrame(rows), thickness_ranges(options.readings) if options.readings else {})
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"summary": summary, "maps": rows}, indent=1) + "\n")
    for name, value in summary.items():
        print(f"{name:36s} {value}")


def one(folder: Path, row: pd.Series, band_pct: float) -> dict[str, object]:
    start, cpu = time.perf_counter(), time.process_time()
    labels = read_label_map(folder / row["file"])
    result = measure(labels, None, None, side=Side(row["side"]), parameters=MeasureParameters(band_pct=band_pct))
    value = {(r.region, r.metric): r.value for r in result.baseline.regions}
    out: dict[str, object] = {
        "participant": row["participant_id"],
        "month": int(row["month"]),
        "kl": None if pd.isna(row["kl_grade"]) else int(row["kl_grade"]),
        "wall_s": round(time.perf_counter() - start, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "notes": list(result.notes),
    }
    for region in (*PLATES, "pMF", "pLF", "TrF", "P"):
        out[f"tAB_{region}"] = round(value[region, "tAB"], 1)
        out[f"dABp_{region}"] = round(value[region, "dABp"], 3)
        out[f"Th_{region}"] = round(value[region, "ThCtAB_aMe"], 3)
    return out


def thickness_ranges(readings: Path) -> dict[str, tuple[float, float]]:
    """Lowest and highest group mean of ThCtAB by plate, over the Kellgren-Lawrence grades 0 to 2 at the first visit."""
    table = pd.read_csv(readings, sep="\t").query("month == 0 and kl_grade_baseline <= 2")
    means = table.groupby("kl_grade_baseline")[[f"{plate}_ThCtAB_aMe" for plate in PLATES]].mean()
    return {plate: (means[f"{plate}_ThCtAB_aMe"].min(), means[f"{plate}_ThCtAB_aMe"].max()) for plate in PLATES}


def rms_cv(pairs: pd.DataFrame, column: str) -> tuple[float, float, int]:
    """Root mean square CV and mean change between the visits, in percent, and the number of knees with both."""
    ordered = pairs.sort_values("month").groupby("participant")[column].agg(["first", "last", "mean", "count"])
    both = ordered.query("count == 2")
    change = (both["last"] - both["first"]) / both["mean"]
    return 100 * float(np.sqrt((change**2 / 2).mean())), 100 * float(change.mean()), len(both)


def summarise(maps: pd.DataFrame, thickness: dict[str, tuple[float, float]]) -> dict[str, object]:
    maps["tAB_femorotibial"] = sum(maps[f"tAB_{plate}"] for plate in PLATES)
    sound = maps[maps["kl"].notna()]
    pairs = maps[maps["kl"].isna()]
    out: dict[str, object] = {}
    if len(sound):
        worst = sound[[c for c in maps if c.startswith("dABp_")]].to_numpy().max()
        out[f"K-L 0 and 1 (n {len(sound)}): dAB % max"] = round(float(worst), 3)
    for plate, (low, high) in RANGES_CM2.items():
        mean = maps.drop_duplicates("participant")[f"tAB_{plate}"].mean() / 100.0
        out[f"tAB {plate} cm2, mean (range {low} to {high})"] = round(float(mean), 2)
    for plate, (low, high) in thickness.items():
        mean = maps.drop_duplicates("participant")[f"Th_{plate}"].mean()
        out[f"ThCtAB {plate} mm, mean (readers {low:.2f} to {high:.2f})"] = round(float(mean), 2)
    for name in (*PLATES, "femorotibial") if len(pairs) else ():
        spread, growth, count = rms_cv(pairs, f"tAB_{name}")
        out[f"tAB {name}: RMS CV %, mean change % over {count} pairs"] = [round(spread, 2), round(growth, 2)]
    out["wall s a visit, median"] = float(maps["wall_s"].median())
    out["CPU s a visit, median"] = float(maps["cpu_s"].median())
    out["peak memory GiB"] = float(maps["peak_gib"].max())
    return out


if __name__ == "__main__":
    main()
