"""A whole DICOM trial with known truth, written to disk participant by participant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np

from mriseg.geometry import mirror_transform, to_right_knee
from mriseg.nifti import read_label_map
from mriseg.simulate.articular import articular_surface
from mriseg.simulate.fields import inverse
from mriseg.simulate.growth import Growth, draw_defects
from mriseg.simulate.knee import Knee, Pose, digital_knee, knee_of_labels
from mriseg.simulate.motion import MotionLimits, motions, rest_pose, visit_poses
from mriseg.simulate.scanner import add_noise, coil_sensitivity, prescribe, supersampling
from mriseg.simulate.scene import Scene, scan
from mriseg.simulate.signal import Sequence, Tissue, signals
from mriseg.simulate.soft_tissue import Anatomy
from mriseg.simulate.sources import LabelSource
from mriseg.simulate.truth import TruthRow, defect_rows, region_rows
from mriseg.types import Bone, Grid, LabelMap, RigidTransform, Side, Volume

BASELINE, FOLLOWUP = "baseline", "month6"
FOLLOWUP_DAY, WINDOW_DAYS = 183, 12
CARTILAGE_LEVEL = 100.0
SEEN_WITHOUT_HISTORY = ("VC", "cAB", "ThCcAB")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialPlan:
    """What is simulated.

    ``spacing_mm`` (slice, in plane, in plane) or None for that of the sequence; ``arms`` reference first, with the
    growth of each; ``plant`` cuts defects into knees from label maps too.
    """

    trial: str
    sequence: Sequence
    spacing_mm: tuple[float, float, float] | None
    crop: bool
    compress: bool
    seed: int
    arms: Mapping[str, Growth]
    plant: bool = True
    limits: MotionLimits = field(default_factory=MotionLimits)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Participant:
    """One participant to simulate; ``sources`` are label maps of one or two visits, empty for a digital knee."""

    participant_id: str
    side: Side
    site: str
    kl_grade: str
    arm: str
    baseline_date: date
    sources: tuple[LabelSource, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VisitOutput:
    """One simulated visit in the participant's own space: image, true label map, truth rows."""

    volume: Volume
    labels: LabelMap
    truth: tuple[TruthRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ParticipantOutput:
    """Both visits; ``motion`` baseline -> follow-up in RAS mm of each bone, None where it is not known."""

    visits: Mapping[str, VisitOutput]
    motion: Mapping[Bone, RigidTransform] | None


def enrol(
    plan: TrialPlan, sources: list[tuple[LabelSource, ...]], count: int, rng: np.random.Generator
) -> list[Participant]:
    """Make the list of participants: from the label maps where there are any, else ``count`` digital knees.

    Arms are dealt in permuted blocks of two per arm, sides of digital knees alternate.
    """
    number = len(sources) or count
    arms = list(plan.arms)
    deal: list[str] = []
    while len(deal) < number:
        deal += rng.permutation(arms * 2).tolist()
    people = []
    for n in range(number):
        own = sources[n] if sources else ()
        first = date(2026, 1, 5) + timedelta(days=int(rng.integers(0, 120)))
        people.append(
            Participant(
                participant_id=own[0].participant if own else f"sub-{n + 1:02d}",
                side=own[0].side if own else (Side.RIGHT, Side.LEFT)[n % 2],
                site=f"site-{n % 2 + 1}",
                kl_grade=own[0].kl_grade if own else str(int(rng.integers(2, 4))),
                arm=deal[n],
                baseline_date=first,
                sources=own,
            )
        )
    return people


def simulate_participant(plan: TrialPlan, person: Participant, rng: np.random.Generator) -> ParticipantOutput:
    """Simulate both visits of one participant; everything is drawn in the right-knee frame and mirrored at the end."""
    if len(person.sources) == 2:
        return _from_two_maps(plan, person, rng)
    knee, start = _knee(person, rng)
    surfaces = {bone: articular_surface(bone, shape) for bone, shape in knee.bones.items()}
    pairs = draw_defects(surfaces, plan.arms[person.arm], rng) if plan.plant or not person.sources else ()
    anatomy = draw_anatomy(knee, rng)
    poses = dict(zip((BASELINE, FOLLOWUP), visit_poses(knee, start, rng, plan.limits), strict=True))
    visits = {}
    for visit, pose in poses.items():
        defects = tuple(pair[visit == FOLLOWUP] for pair in pairs)
        scene = Scene(knee=knee, pose=pose, defects=defects, anatomy=anatomy)
        spacing = plan.spacing_mm or plan.sequence.spacing_mm
        grid = prescribe(knee, pose, plan.sequence, spacing, rng, crop=plan.crop)
        truth = region_rows(knee, surfaces, defects) + defect_rows(knee, surfaces, defects, pose, person.side)
        visits[visit] = _acquire(plan, scene, grid, truth=tuple(truth), side=person.side, rng=rng)
    moved = motions(poses[BASELINE], poses[FOLLOWUP])
    return ParticipantOutput(
        visits=visits, motion={bone: mirror_transform(t, person.side) for bone, t in moved.items()}
    )


def _knee(person: Participant, rng: np.random.Generator) -> tuple[Knee, Pose]:
    """Digital knee at rest, or the first label map of the participant as it lies."""
    if not person.sources:
        knee = digital_knee(rng)
        return knee, rest_pose(knee)
    source = person.sources[0]
    labels = to_right_knee(read_label_map(source.path), person.side)
    return knee_of_labels(labels, rng, name=source.path.name), dict.fromkeys(Bone, RigidTransform.identity())


def _from_two_maps(plan: TrialPlan, person: Participant, rng: np.random.Generator) -> ParticipantOutput:
    """Both visits as they were drawn, in their own places; only images are made, no motion is known."""
    visits = {}
    for visit, source in zip((BASELINE, FOLLOWUP), person.sources, strict=True):
        labels = to_right_knee(read_label_map(source.path), person.side)
        knee = knee_of_labels(labels, rng, name=source.path.name)
        pose = dict.fromkeys(Bone, RigidTransform.identity())
        scene = Scene(knee=knee, pose=pose, defects=(), anatomy=draw_anatomy(knee, rng))
        surfaces = {bone: articular_surface(bone, shape) for bone, shape in knee.bones.items()}
        truth = tuple(row for row in region_rows(knee, surfaces, ()) if row.metric in SEEN_WITHOUT_HISTORY)
        visits[visit] = _acquire(plan, scene, labels.grid, drawn=labels, truth=truth, side=person.side, rng=rng)
    return ParticipantOutput(visits=visits, motion=None)


def draw_anatomy(knee: Knee, rng: np.random.Generator) -> Anatomy:
    """Draw what differs between legs around a knee: fat, girth, effusion, fluid film."""
    return Anatomy(
        placement=inverse(knee.bones[Bone.FEMUR].to_mean.matrix),
        fat_mm=float(rng.uniform(5.0, 12.0)),
        fluid_mm=float(rng.uniform(0.1, 0.35)),
        effusion=float(rng.beta(1.2, 2.5)),
        girth=float(rng.uniform(0.95, 1.1)),
    )


def _acquire(
    plan: TrialPlan,
    scene: Scene,
    grid: Grid,
    *,
    truth: tuple[TruthRow, ...],
    side: Side,
    rng: np.random.Generator,
    drawn: LabelMap | None = None,
) -> VisitOutput:
    """Scan a scene on ``grid`` and bring image and labels (``drawn`` where given) into the participant's own space."""
    contrast = signals(plan.sequence)
    factor = CARTILAGE_LEVEL / contrast[Tissue.CARTILAGE]
    spacing = grid.spacing_mm.tolist()
    image, sampled = scan(scene, grid, contrast, supersample=supersampling((spacing[0], spacing[1], spacing[2])))
    image *= coil_sensitivity(grid, rng) * np.float32(factor)
    image = add_noise(image, CARTILAGE_LEVEL / plan.sequence.snr, rng)
    volume = to_right_knee(Volume(data=image, grid=grid), side)
    return VisitOutput(volume=volume, labels=to_right_knee(drawn or sampled, side), truth=truth)


def visit_date(person: Participant, visit: str, rng: np.random.Generator) -> date:
    """Date of a visit; the second lies six months after the first, within its window."""
    if visit == BASELINE:
        return person.baseline_date
    return person.baseline_date + timedelta(days=FOLLOWUP_DAY + int(rng.integers(-WINDOW_DAYS, WINDOW_DAYS + 1)))
