"""Tuned numbers of the fit of the atlas and of its verdict."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class FitParameters:
    """How the template is laid onto a bone (``fit.py``).

    Chosen on the repeatability of tAB in benchmarks/measuring_real.py.

    Parameters
    ----------
    least_scale, most_scale : float
        Size of adult knees relative to the template; a fit never leaves this range.
    smoothing_mm : tuple of float
        Of the displacements, from the broadest bending, which osteophytes do not pull along, to the finest.
    steps : int
        At each smoothing.
    still_mm : float
        The similarity fit ends when nothing moves further.
    similarity_steps, side_steps : int
        Of the similarity fit at most, and where it only tells a knee from its mirror image.
    stride, side_stride : int
        Every so many vertices pull: they lie closer together than the finest smoothing. Where only size and place are
        sought, seven numbers are well held by a third of the points.
    facing : float
        Least cosine between the normals of a pair.
    spread_factor, spread_summand_mm, trust_reach : float
        A pair is trusted by half at ``trust_reach`` times the median distance by factor and summand.
    """

    least_scale: float = 0.75
    most_scale: float = 1.35
    smoothing_mm: tuple[float, ...] = (24.0, 16.0, 11.0, 8.0, 6.0)
    steps: int = 5
    still_mm: float = 0.005
    similarity_steps: int = 100
    side_steps: int = 25
    stride: int = 3
    side_stride: int = 3
    facing: float = 0.5
    spread_factor: float = 1.5
    spread_summand_mm: float = 1.0
    trust_reach: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AtlasParameters:
    """How the atlas is carried onto a knee and judged (``carry.py``).

    Parameters
    ----------
    good_residual_mm, failed_residual_mm : float
        Mean distance of the fitted atlas to the bone where cartilage is expected.
    good_bend_mm, failed_bend_mm : float
        Mean displacement beyond size and place; knees without deformity stay below 2 mm.
    least_seen : float
        Part of the joint surface that the image has to show.
    joint_depth_mm : float
        Of the joint end whose middle femur and tibia have in common before any fit.
    trusted, shaft_weight : float
        Atlas coverage from which a vertex counts in full in the similarity fit, and the weight of the others.
    judged : float
        Atlas coverage from which a vertex is judged.
    side_coverage, side_cap_mm : float
        Atlas coverage from which a vertex tells a knee from its mirror image, and the most that one counts.
    neighbours, near_mm : int, float
        Atlas vertices that a point takes its values from, and the distance that counts as none.
    fit : FitParameters
    """

    good_residual_mm: float = 0.9
    failed_residual_mm: float = 2.0
    good_bend_mm: float = 2.5
    failed_bend_mm: float = 4.5
    least_seen: float = 0.3
    joint_depth_mm: float = 25.0
    trusted: float = 0.1
    shaft_weight: float = 0.3
    judged: float = 0.5
    side_coverage: float = 0.2
    side_cap_mm: float = 6.0
    neighbours: int = 6
    near_mm: float = 0.5
    fit: FitParameters = field(default_factory=FitParameters)
