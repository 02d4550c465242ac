"""Real label maps: the same knee years apart, knees of two patients, the wrong side, and random starts.

    python benchmarks/registration_real.py --data ../shared/data/labels

Sets the limits in mriseg/register/assess.py. Writes benchmarks/results/registration_real.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from mriseg.geometry import MIRROR
from mriseg.nifti import read_label_map
from mriseg.register import register
from mriseg.types import Bone, Grid, LabelMap, Registration, Verdict

RESULTS = Path(__file__).parent / "results" / "registration_real.json"
Pairs = list[tuple[Path, Path]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="Folder of sub-*_ses-*_dseg.nii.gz.")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--pairs", type=int, default=18)
    parser.add_argument("--starts", type=int, default=200)
    options = parser.parse_args()
    pairs = _two_visits(options.data)[: options.pairs]
    for name in options.parts:
        result = PARTS[name](pairs, options.starts)
        content = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(content | {name: result}, indent=1) + "\n")


def same_knee(pairs: Pairs, starts: int) -> dict[str, Any]:
    """Both visits of one knee, three to eight years apart."""
    del starts
    return _table("same knee", ((a.name, _aligned(a, b)) for a, b in pairs))


def two_patients(pairs: Pairs, starts: int) -> dict[str, Any]:
    """The follow-up of the next patient."""
    del starts
    others = [b for _, b in pairs[1:]] + [pairs[0][1]]
    return _table("two patients", ((a.name, _aligned(a, b)) for (a, _), b in zip(pairs, others, strict=True)))


def wrong_side(pairs: Pairs, starts: int) -> dict[str, Any]:
    """The follow-up mirrored, as if the other side had been scanned."""
    del starts
    return _table("wrong side", ((a.name, _aligned(a, b, MIRROR)) for a, b in pairs))


def random_starts(pairs: Pairs, starts: int) -> dict[str, Any]:
    """Follow-up turned by up to 30 degrees and moved by up to 40 mm; then by 60 to 180 degrees, beyond the range."""
    within = _starts(pairs, starts, degrees=(0.0, 30.0), seed=0)
    beyond = _starts(pairs, max(starts // 10, 1), degrees=(60.0, 180.0), seed=1)
    print(f"within 30 degrees and 40 mm: {within}\nbeyond: {beyond}")
    return {"within": within, "beyond": beyond}


def _starts(pairs: Pairs, starts: int, *, degrees: tuple[float, float], seed: int) -> dict[str, int]:
    rng = np.random.default_rng(seed)
    count = {"found": 0, "failed and said so": 0, "wrong and not said": 0}
    per_pair = -(-starts // len(pairs))
    left = starts
    for a, b in pairs:
        one, two = read_label_map(a), read_label_map(b)
        reference = register(None, None, baseline_labels=one, followup_labels=two)
        for _ in range(min(per_pair, left)):
            place = _random_place(rng, degrees, _middle(two))
            found = register(None, None, baseline_labels=one, followup_labels=_moved(two, place))
            for bone, result in found.bones.items():
                expected = place @ reference.bones[bone].transform.matrix
                count[_judge(result.transform.matrix, expected, _middle(one), result.verdict)] += 1
        left -= min(per_pair, left)
    return count


def _judge(found: np.ndarray, expected: np.ndarray, middle: np.ndarray, verdict: Verdict) -> str:
    corners = middle + 40.0 * (np.stack(np.meshgrid(*[(-1, 1)] * 3), -1).reshape(-1, 3))
    off = np.linalg.norm(corners @ (found - expected)[:3, :3].T + (found - expected)[:3, 3], axis=1).max()
    if off < 0.3:
        return "found"
    return "failed and said so" if verdict is Verdict.FAILED else "wrong and not said"


def _random_place(rng: np.random.Generator, degrees: tuple[float, float], middle: np.ndarray) -> np.ndarray:
    axis, shift = rng.normal(size=3), rng.normal(size=3)
    turn = np.radians(rng.uniform(*degrees)) * axis / np.linalg.norm(axis)
    place = np.eye(4)
    place[:3, :3] = Rotation.from_rotvec(turn).as_matrix()
    place[:3, 3] = middle - place[:3, :3] @ middle + rng.uniform(0, 40) * shift / np.linalg.norm(shift)
    return place


def _aligned(a: Path, b: Path, place: np.ndarray | None = None) -> Registration:
    two = read_label_map(b)
    return register(
        None, None, baseline_labels=read_label_map(a), followup_labels=two if place is None else _moved(two, place)
    )


def _moved(labels: LabelMap, place: np.ndarray) -> LabelMap:
    """Move a label map in space without touching its voxels."""
    return LabelMap(data=labels.data, grid=Grid(shape=labels.grid.shape, affine=place @ labels.grid.affine))


def _middle(labels: LabelMap) -> np.ndarray:
    return np.asarray((labels.grid.affine @ [*(np.array(labels.grid.shape) / 2), 1.0])[:3])


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
    for path in sorted(folder.glob("sub-*_ses-*_dseg.nii.gz")):
        visits.setdefault(path.name.split("_")[0], []).append(path)
    return [(v[0], v[-1]) for v in visits.values() if len(v) > 1]


PARTS: dict[str, Callable[[Pairs, int], dict[str, Any]]] = {
    "same_knee": same_knee,
    "two_patients": two_patients,
    "wrong_side": wrong_side,
    "random_starts": random_starts,
}

if __name__ == "__main__":
    main()
