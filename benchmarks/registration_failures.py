"""What must not pass unnoticed, and random starts, for benchmarks/registration.py."""

from __future__ import annotations

from typing import Any

import numpy as np
from registration_accuracy import row, timed, unnoticed
from registration_pairs import Look, SimulatedVisit, apart_mm, draw_leg, elsewhere, scan_visit
from scipy.spatial.transform import Rotation

from mriseg.geometry import MIRROR, crop, thin
from mriseg.register import register
from mriseg.types import Array, FloatArray, Registration, RigidTransform, Verdict, Volume

SAME_MM = 0.1  # apart, two poses of a bone are not the same
RANGE_DEG, RANGE_MM = 30.0, 40.0  # what any start is promised to be found from
WITHIN, BEYOND = 40, 12  # starts a knee
HALVED_MM = 0.75  # twice the 0.36 mm of the DESS plane; slices stay
OTHER_KNEE = 100  # added to the number of a knee: one that no other part draws
Row = dict[str, Any]
Place = tuple[FloatArray, float, float]  # motion (4, 4), turn in degrees, shift in mm


def wrong_pairs(knee: int) -> list[Row]:
    """Another patient, other side, a cut field of view, gross motion: verdicts and, where there is a truth, errors."""
    leg = draw_leg(knee, 2)
    one, two = scan_visit(leg, 0, Look()), scan_visit(leg, 1, Look(), loss=0.2)
    stranger = scan_visit(draw_leg(knee + OTHER_KNEE, 1), 0, Look())
    rows = [
        _wrong("another patient", one, stranger),
        _wrong("other side", one, elsewhere(two, MIRROR)),
    ]
    i, j, k = two.volume.grid.shape
    cuts = {
        "upper half cut": ((0, 0, 0), (i, j, k // 2)),
        "lower quarter cut": ((0, 0, k // 4), (i, j, k)),
        "lateral half cut": ((0, 0, 0), (i // 2, j, k)),
        "front third cut": ((0, 0, 0), (i, 2 * j // 3, k)),
    }
    pairs = {name: _cut(two, np.array(low), np.array(high)) for name, (low, high) in cuts.items()}
    pairs |= {f"motion of {mm:g} mm": _trembling(two, mm, np.random.default_rng(knee)) for mm in (1.0, 2.0, 4.0)}
    return rows + [row(name, one, other, *timed(one, other)) for name, other in pairs.items()]


def summary(rows: list[Row]) -> Row:
    """For each kind of pair how often each verdict was given to a bone, and how often nothing was said of an error."""
    table: dict[str, Row] = {}
    for entry in rows:
        counts = table.setdefault(entry["pair"], {v.value: 0 for v in Verdict} | {"unnoticed": 0})
        for verdict in entry["verdicts"].values():
            counts[verdict] += 1
        counts["unnoticed"] += len(unnoticed(entry))
    return {"bones": table, "unnoticed": sum(counts["unnoticed"] for counts in table.values())}


def starts_within(knee: int) -> list[Row]:
    """Follow-up turned and moved at random within the range promised, by label maps alone."""
    return _tried(knee, beyond=False)


def starts_beyond(knee: int) -> list[Row]:
    """Follow-up turned further than the range promised, and half of the time moved further as well."""
    return _tried(knee, beyond=True)


def _tried(knee: int, *, beyond: bool) -> list[Row]:
    """Judge each start by what it changes: a bone is found where it comes to lie as without the turn and shift."""
    leg = draw_leg(knee, 2)
    one, two = (_halved(scan_visit(leg, n, Look(), loss=0.2 * n)) for n in (0, 1))
    still = register(None, None, baseline_labels=one.labels, followup_labels=two.labels)
    rows = []
    for place, turn_deg, shift_mm in _places(two, np.random.default_rng(knee))[int(beyond)]:
        moved = elsewhere(two, place)
        result = register(None, None, baseline_labels=one.labels, followup_labels=moved.labels)
        rows.append({"turn_deg": turn_deg, "shift_mm": shift_mm} | _outcomes(one, place, still, result))
        print(f"knee {knee} start {len(rows)}: {rows[-1]}", flush=True)
    return rows


def _places(visit: SimulatedVisit, rng: np.random.Generator) -> tuple[list[Place], list[Place]]:
    """Draw the starts within the range promised and those beyond it."""
    within = [_place(visit, rng, turn_deg=(0.0, RANGE_DEG), shift_mm=(0.0, RANGE_MM)) for _ in range(WITHIN)]
    shifts = [(0.0, RANGE_MM)] * (BEYOND // 2) + [(RANGE_MM, 200.0)] * (BEYOND // 2)
    return within, [_place(visit, rng, turn_deg=(RANGE_DEG, 180.0), shift_mm=shift) for shift in shifts]


def starts_summary(rows: list[Row]) -> Row:
    """How many bones were found, failed and said so, or were wrong without a word."""
    outcomes = [outcome for row in rows for outcome in row["outcomes"].values()]
    return {"starts": len(rows), "bones": {name: outcomes.count(name) for name in sorted(set(outcomes))}}


def _outcomes(one: SimulatedVisit, place: FloatArray, still: Registration, found: Registration) -> Row:
    apart, outcomes = {}, {}
    for bone, result in found.bones.items():
        expected = RigidTransform(matrix=place @ still.bones[bone].transform.matrix)
        apart[bone.value] = round(apart_mm(one.plates[bone], result.transform, expected), 3)
        outcomes[bone.value] = _outcome(apart[bone.value] < SAME_MM, result.verdict)
    return {"apart_mm": apart, "outcomes": outcomes}


def _outcome(right: bool, verdict: Verdict) -> str:
    if verdict is Verdict.FAILED:
        return "failed, " + ("though right" if right else "and was wrong")
    return f"{verdict.value}, " + ("and right" if right else "but wrong")


def _wrong(name: str, one: SimulatedVisit, two: SimulatedVisit) -> Row:
    """Register what has no right answer: every verdict but ``failed`` is one unnoticed."""
    result, _ = timed(one, two)
    verdicts = {bone.value: r.verdict.value for bone, r in result.bones.items()}
    reasons = {bone.value: list(r.reasons) for bone, r in result.bones.items()}
    residual = {bone.value: round(r.residual_mm, 3) for bone, r in result.bones.items()}
    print(f"{name}: {verdicts} {residual} {reasons}", flush=True)
    passed = {bone: float("inf") for bone, verdict in verdicts.items() if verdict != Verdict.FAILED}
    return {"pair": name, "errors_mm": passed, "verdicts": verdicts, "reasons": reasons, "residual_mm": residual}


def _cut(visit: SimulatedVisit, low: Array, high: Array) -> SimulatedVisit:
    return visit.with_images(crop(visit.volume, low, high), crop(visit.labels, low, high))


def _halved(visit: SimulatedVisit) -> SimulatedVisit:
    """Every second voxel in plane, 0.7 mm each way: a quarter of the time of a start."""
    return visit.with_images(thin(visit.volume, HALVED_MM), thin(visit.labels, HALVED_MM))


def _trembling(visit: SimulatedVisit, size_mm: float, rng: np.random.Generator) -> SimulatedVisit:
    """Let the leg swing by ``size_mm`` to both sides while the lines of k-space are acquired one after the other.

    Swings to both sides blur and ghost the image, and leave its edges in the mean where they were: the truth holds.
    """
    data, grid = visit.volume.data, visit.volume.grid
    _, lines, columns = data.shape
    direction = rng.normal(size=2)
    swing = size_mm * direction / np.linalg.norm(direction) / grid.spacing_mm[1:]
    order = np.fft.fftshift(np.arange(lines))  # from the lowest to the highest frequency, as acquired
    pose = np.empty((lines, 2))
    pose[order] = np.sin(2.0 * np.pi * np.arange(lines) / 11.0 + rng.uniform(0, 6))[:, None] * swing
    phase = np.fft.fftfreq(lines)[:, None] * pose[:, :1] + np.fft.rfftfreq(columns)[None] * pose[:, 1:]
    space = np.fft.rfft2(data, axes=(1, 2)) * np.exp(-2j * np.pi * phase)[None]
    seen = np.abs(np.fft.irfft2(space, s=(lines, columns), axes=(1, 2))).astype(np.float32)
    return visit.with_images(Volume(data=seen, grid=grid), visit.labels)


def _place(
    visit: SimulatedVisit, rng: np.random.Generator, *, turn_deg: tuple[float, float], shift_mm: tuple[float, float]
) -> Place:
    """Draw a turn about the middle of the knee and a shift; returns the motion (4, 4), degrees and mm."""
    turn, shift = rng.uniform(*turn_deg), rng.uniform(*shift_mm)
    axis, direction = (v / np.linalg.norm(v) for v in rng.normal(size=(2, 3)))
    middle = np.mean([points.mean(axis=0) for points in visit.plates.values()], axis=0)
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_rotvec(np.radians(turn) * axis).as_matrix()
    motion[:3, 3] = middle - motion[:3, :3] @ middle + shift * direction
    return motion, round(turn, 1), round(shift, 1)
