"""Real label maps: the same knee years apart, knees of two patients, the wrong side.

    python benchmarks/registration_real.py --data ../shared/data/labels

The limits in mriseg/register/assess.py were set between the same knees of this folder and pairs of patients that follow
each other in it. The same knees are therefore no test of the limits; the pairs of two patients here are others.
Where the same knee differs most (0.50 mm in the mean), nine tenths of the surface lie 0.36 mm apart; the rest is bone
that grew or was worn in eight years: osteophytes along the rims of condyles and plateau, and a plateau that sank.
Writes benchmarks/results/registration_real.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mriseg.geometry import MIRROR
from mriseg.nifti import read_label_map
from mriseg.register import register
from mriseg.splits import Split, load_splits
from mriseg.types import Bone, Grid, LabelMap, Registration, Verdict

RESULTS = Path(__file__).parent / "results" / "registration_real.json"
SHIFT = 7  # places between two patients of a pair
Pairs = list[tuple[Path, Path]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="Folder of sub-*_ses-*_dseg.nii.gz.")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--pairs", type=int, default=18)
    options = parser.parse_args()
    pairs = _two_visits(options.data)[: options.pairs]
    for name in options.parts:
        result = PARTS[name](pairs)
        content = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(content | {name: result}, indent=1) + "\n")


def same_knee(pairs: Pairs) -> dict[str, Any]:
    """Both visits of one knee, three to eight years apart."""
    return _table("same knee", ((a.name, _aligned(a, b)) for a, b in pairs))


def two_patients(pairs: Pairs) -> dict[str, Any]:
    """The follow-up of the patient seven places further on."""
    others = [b for _, b in (*pairs[SHIFT:], *pairs[:SHIFT])]
    return _table("two patients", ((a.name, _aligned(a, b)) for (a, _), b in zip(pairs, others, strict=True)))


def wrong_side(pairs: Pairs) -> dict[str, Any]:
    """The follow-up mirrored, as if the other side had been scanned."""
    return _table("wrong side", ((a.name, _aligned(a, b, MIRROR)) for a, b in pairs))


def _aligned(a: Path, b: Path, place: np.ndarray | None = None) -> Registration:
    two = read_label_map(b)
    return register(
        None, None, baseline_labels=read_label_map(a), followup_labels=two if place is None else _moved(two, place)
    )


def _moved(labels: LabelMap, place: np.ndarray) -> LabelMap:
    """Move a label map in space without touching its voxels."""
    return LabelMap(data=labels.data, grid=Grid(shape=labels.grid.shape, affine=place @ labels.grid.affine))


def _table(title: str, results: Iterator[tuple[str, Registration]]) -> dict[str, Any]:
    rows = []
    for name, registration in results:
        rows += [_row(name, bone, r) for bone, r in registration.bones.items()]
        print(
            title,
            name,
            [f"{row['bone']} {row['residual_mm']:.2f} mm {row['verdict']}" for row in rows[-3:]],
            flush=True,
        )
    summary = {}
    for bone in Bone:
        values = np.array([row["residual_mm"] for row in rows if row["bone"] == bone.value])
        summary[bone.value] = dict(
            zip(("median", "min", "max"), map(float, (np.median(values), values.min(), values.max())), strict=True)
        )
    verdicts = {v.value: sum(row["verdict"] == v.value for row in rows) for v in Verdict}
    print(title, json.dumps(summary), verdicts)
    return {"residual_mm": summary, "verdicts": verdicts, "rows": rows}


def _row(name: str, bone: Bone, result: Any) -> dict[str, Any]:
    residual = result.residual_mm if np.isfinite(result.residual_mm) else -1.0
    figures = {key: round(float(value), 4) for key, value in result.figures.items()}
    return {"pair": name[:22], "bone": bone.value, "residual_mm": residual, "verdict": result.verdict.value} | figures


def _two_visits(folder: Path) -> Pairs:
    visits: dict[str, list[Path]] = {}
    for path in load_splits().chosen(folder.glob("sub-*_ses-*_dseg.nii.gz"), Split.TRAINING, Split.VALIDATION):
        visits.setdefault(path.name.split("_")[0], []).append(path)
    return [(v[0], v[-1]) for v in visits.values() if len(v) > 1]


PARTS: dict[str, Callable[[Pairs], dict[str, Any]]] = {
    "same_knee": same_knee,
    "two_patients": two_patients,
    "wrong_side": wrong_side,
}

if __name__ == "__main__":
    main()
