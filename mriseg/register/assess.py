"""Whether a transform may be believed: figures, limits and what a person should look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mriseg.types import Bone, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Limits of the assessment.

    Those of surfaces lie between right and wrong pairs of real knees (benchmarks/registration_real.py), those of images
    between clean and disturbed simulated ones (benchmarks/registration.py, part failures).

    Parameters
    ----------
    review_residual_mm, failed_residual_mm : float
        Mean distance of the surfaces of femur or tibia. Same knee 3 to 8 years apart 0.16 to 0.50 mm, knees of two
        patients 1.34 mm and more.
    review_patella_mm, failed_patella_mm : float
        The same of the patella, whose shape differs less between knees: 0.15 to 0.47 mm, and 0.76 mm and more.
    review_spread_mm, failed_spread_mm : float
        Jack-knife spread at the bone surface: 0.04 to 0.23 mm, and 0.5 to 1.8 mm.
    review_overlap, failed_overlap : float
        Share of the bone surfaces that both fields of view show.
    review_similarity, failed_similarity : float
        Local correlation of the images around the bone: 0.98 for one sequence twice, 0.96 for two, 0.5 to 0.8 where the
        bones grew for years. A leg that trembles by 2 mm during the scan 0.4 to 0.7, by 4 mm 0.3 to 0.4.
    whole_similarity : float
        Least local correlation of two whole knees as one block, whose bones move against each other.
    review_shift_mm : float
        Distance between the pose of the surfaces and that of the images.
    coarse_spacing_mm : float
        A slice thicker than this gives a coarse result.
    review_rotation_deg, review_translation_mm : float
        Beyond them a knee was positioned in another way than the protocol asks; the alignment may still be right.
    failed_rotation_deg : float
        No knee coil lets a leg turn so far: a wrong header, or a pose that only looks right. The search is promised to
        find a knee within 30 degrees.
    """

    review_residual_mm: float = 0.65
    failed_residual_mm: float = 0.95
    review_patella_mm: float = 0.55
    failed_patella_mm: float = 0.65
    review_spread_mm: float = 0.3
    failed_spread_mm: float = 0.5
    review_overlap: float = 0.6
    failed_overlap: float = 0.3
    review_similarity: float = 0.6
    failed_similarity: float = 0.3
    whole_similarity: float = 0.6
    review_shift_mm: float = 0.6
    coarse_spacing_mm: float = 1.6
    review_rotation_deg: float = 35.0
    failed_rotation_deg: float = 45.0
    review_translation_mm: float = 50.0

    def residual_mm(self, bone: Bone) -> tuple[float, float]:
        """Limits for review and failure of the surface distance of ``bone``."""
        if bone is Bone.PATELLA:
            return self.review_patella_mm, self.failed_patella_mm
        return self.review_residual_mm, self.failed_residual_mm


def assess(figures: Mapping[str, float], bone: Bone, limits: Thresholds) -> tuple[Verdict, tuple[str, ...]]:
    """Judge the figures of one bone.

    Parameters
    ----------
    figures : mapping
        As :func:`mriseg.register.figures.figures_of` returns them; a figure that is absent or NaN is not judged.

    Returns
    -------
    Verdict, tuple of str
        The verdict, and what was found against which limit; no reasons where it is ``good``.
    """
    failed = list(_failures(figures, bone, limits))
    if failed:
        return Verdict.FAILED, tuple(failed)
    review = list(_doubts(figures, bone, limits))
    if review:
        return Verdict.NEEDS_REVIEW, tuple(review)
    spacing = figures.get("coarsest_spacing_mm", 0.0)
    if spacing > limits.coarse_spacing_mm:
        return Verdict.COARSE, (f"slices of {spacing:.1f} mm hold the alignment less well than thin ones",)
    return Verdict.GOOD, ()


def _failures(f: Mapping[str, float], bone: Bone, limits: Thresholds) -> list[str]:
    reasons = []
    residual = f.get("residual_mm", 0.0)
    if f.get("mirror_fits_better", 0.0):
        reasons.append(f"the mirror image of the {bone} fits better: was the other knee scanned or a side mixed up?")
    elif residual > limits.residual_mm(bone)[1]:
        reasons.append(
            f"the surfaces of the {bone} stay {residual:.2f} mm apart (limit {limits.residual_mm(bone)[1]:g}): "
            "another patient, another knee, or a wrong label map?"
        )
    if f.get("rotation_deg", 0.0) > limits.failed_rotation_deg:
        reasons.append(
            f"the {bone} turned by {f['rotation_deg']:.0f} degrees (limit {limits.failed_rotation_deg:g}): "
            "a wrong orientation in a header?"
        )
    if f.get("spread_mm", 0.0) > limits.failed_spread_mm:
        reasons.append(f"parts of the {bone} disagree by {f['spread_mm']:.2f} mm (limit {limits.failed_spread_mm:g})")
    if f.get("similarity", 1.0) < limits.failed_similarity:
        reasons.append(
            f"the images do not agree around the {bone} (correlation {f['similarity']:.2f}, "
            f"limit {limits.failed_similarity:g}): motion artefact, another contrast or the wrong image?"
        )
    return reasons


def _doubts(f: Mapping[str, float], bone: Bone, limits: Thresholds) -> list[str]:
    over = (
        (
            "residual_mm",
            limits.residual_mm(bone)[0],
            "the surfaces of the {} stay {:.2f} mm apart (limit {:g}): growth?",
        ),
        ("spread_mm", limits.review_spread_mm, "parts of the {} disagree by {:.2f} mm (limit {:g})"),
        ("image_shift_mm", limits.review_shift_mm, "image and label map of the {} disagree by {:.2f} mm (limit {:g})"),
        ("rotation_deg", limits.review_rotation_deg, "the {} turned by {:.0f} degrees (limit {:g})"),
        ("translation_mm", limits.review_translation_mm, "the {} moved by {:.0f} mm (limit {:g})"),
    )
    under = (
        ("overlap", limits.review_overlap, "both fields of view share {1:.0%} of the {0} (limit {2:.0%})"),
        (
            "similarity",
            limits.review_similarity,
            "the images agree little around the {} (correlation {:.2f}, limit {:g})",
        ),
    )
    reasons = [text.format(bone, f[name], limit) for name, limit, text in over if f.get(name, 0.0) > limit]
    return reasons + [text.format(bone, f[name], limit) for name, limit, text in under if f.get(name, 1.0) < limit]
