"""Target error of the registration at the cartilage plates, for benchmarks/registration.py."""

from __future__ import annotations

import time
from itertools import combinations
from typing import Any

import numpy as np
from registration_pairs import Leg, Look, SimulatedVisit, apart_mm, draw_leg, errors_mm, scan_visit

from mriseg.register import RegisterSettings, register
from mriseg.register.band import BandSettings
from mriseg.simulate.signal import SequenceName
from mriseg.types import Bone, Registration, Verdict

LOSSES = (0.0, 0.1, 0.2, 0.3)
WRONG_MM = 0.3  # an error above it has to be noticed: a transform so far off bends every region
Row = dict[str, Any]


def same_sequence(knee: int) -> list[Row]:
    """DESS against DESS: every two of four visits, and how far the first and last are from inverse when swapped."""
    leg = draw_leg(knee, len(LOSSES))
    visits = [scan_visit(leg, n, Look(), loss=loss) for n, loss in enumerate(LOSSES)]
    rows = []
    for a, b in combinations(range(len(visits)), 2):
        result, seconds = timed(visits[a], visits[b])
        rows.append(row(f"visits {a}-{b}", visits[a], visits[b], result, seconds))
    back, _ = timed(visits[-1], visits[0])
    forth, _ = timed(visits[0], visits[-1])
    rows[len(visits) - 2]["swap_difference"] = max(
        float(np.abs(forth.bones[k].transform.matrix @ back.bones[k].transform.matrix - np.eye(4)).max()) for k in Bone
    )
    return rows


def across_sequences(knee: int) -> list[Row]:
    """DESS against FS-SPGR with 1.5 mm slices, cartilage 20 % thinner; the SPGR at follow-up, then at baseline."""
    leg = draw_leg(knee, 2)
    return [
        _against(leg, "DESS - SPGR", Look(), Look(sequence=SequenceName.SPGR)),
        _against(leg, "SPGR - DESS", Look(sequence=SequenceName.SPGR), Look()),
    ]


def thick_slices(knee: int) -> list[Row]:
    """DESS at baseline against a stack of 3 mm slices (FS-TSE) at follow-up."""
    return [_against(draw_leg(knee, 2), "DESS - TSE of 3 mm slices", Look(), Look(sequence=SequenceName.TSE_FS))]


def exclusion(knee: int) -> list[Row]:
    """How far the loss of 30 % of the cartilage moves each bone, with and without cartilage left out."""
    everything = RegisterSettings(band=BandSettings(cartilage_mm=0.0, joint_mm=0.0))
    leg = draw_leg(knee, 2)
    first, healthy, worn = (scan_visit(leg, n, Look(), loss=loss) for n, loss in ((0, 0.0), (1, 0.0), (1, 0.3)))
    moved = {}
    for name, settings in (("left out", RegisterSettings()), ("taken in", everything)):
        one, two = (timed(first, visit, settings)[0].bones for visit in (healthy, worn))
        moved[name] = {b.value: apart_mm(first.plates[b], one[b].transform, two[b].transform) for b in Bone}
        print(f"knee {knee}: 30 % loss, cartilage {name}, moves {_text(moved[name])}", flush=True)
    return [{"moved_mm": moved}]


def exclusion_summary(rows: list[Row]) -> Row:
    values = {
        name: np.array([list(row["moved_mm"][name].values()) for row in rows]) for name in ("left out", "taken in")
    }
    return {name: {"mean_mm": float(v.mean()), "max_mm": float(v.max())} for name, v in values.items()}


def summary(rows: list[Row]) -> Row:
    """Mean, 95th percentile and largest error of each bone and of all, verdicts, and errors that no verdict tells."""
    table = {bone.value: np.array([row["errors_mm"][bone.value] for row in rows]) for bone in Bone}
    table |= {"all": np.concatenate(list(table.values()))}
    verdicts = [verdict for row in rows for verdict in row["verdicts"].values()]
    swaps = [row["swap_difference"] for row in rows if "swap_difference" in row]
    return {
        "pairs": len(rows),
        "mean_mm": {name: float(v.mean()) for name, v in table.items()},
        "p95_mm": {name: float(np.percentile(v, 95)) for name, v in table.items()},
        "max_mm": {name: float(v.max()) for name, v in table.items()},
        "verdicts": {v.value: verdicts.count(v.value) for v in Verdict},
        "unnoticed": sum(len(unnoticed(row)) for row in rows),
    } | ({"largest_swap_difference": max(swaps)} if swaps else {})


def unnoticed(row: Row) -> list[str]:
    """Bones that are off by more than 0.3 mm although nothing is said."""
    told = (Verdict.FAILED.value, Verdict.NEEDS_REVIEW.value)
    return [b for b, error in row["errors_mm"].items() if error > WRONG_MM and row["verdicts"][b] not in told]


def timed(
    one: SimulatedVisit, two: SimulatedVisit, settings: RegisterSettings | None = None
) -> tuple[Registration, float]:
    """Result and processor seconds, which are those of the clock on an idle machine: one thread does the work."""
    start = time.process_time()
    result = register(one.volume, two.volume, baseline_labels=one.labels, followup_labels=two.labels, settings=settings)
    return result, time.process_time() - start


def row(name: str, one: SimulatedVisit, two: SimulatedVisit, result: Registration, seconds: float) -> Row:
    """Errors, verdicts and reasons of one pair, printed as they come."""
    errors = {b.value: round(e, 4) for b, e in errors_mm(one, two, _transforms(result)).items()}
    verdicts = {bone.value: r.verdict.value for bone, r in result.bones.items()}
    reasons = {bone.value: list(r.reasons) for bone, r in result.bones.items() if r.reasons}
    similarity = {bone.value: round(r.similarity, 3) for bone, r in result.bones.items()}
    print(f"{name}: {_text(errors)} {verdicts} similarity {similarity} {seconds:.1f} s", flush=True)
    return {
        "pair": name,
        "errors_mm": errors,
        "similarity": similarity,
        "residual_mm": {bone.value: round(r.residual_mm, 3) for bone, r in result.bones.items()},
        "verdicts": verdicts,
        "reasons": reasons,
        "seconds": round(seconds, 1),
    }


def _against(leg: Leg, name: str, first: Look, second: Look) -> Row:
    one, two = scan_visit(leg, 0, first), scan_visit(leg, 1, second, loss=0.2)
    return row(name, one, two, *timed(one, two))


def _transforms(result: Registration) -> dict[Bone, Any]:
    return {bone: r.transform for bone, r in result.bones.items()}


def _text(values_mm: dict[str, float]) -> str:
    return ", ".join(f"{bone} {value:.3f} mm" for bone, value in values_mm.items())
