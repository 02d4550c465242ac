"""Tuned numbers of each part of the measurement: what they mean, and what they were chosen on.

Unless a field says otherwise it was chosen on the analytic shapes of benchmarks/measuring_analytic.py (shapes), the
digital knees with planted lesions of benchmarks/measuring_simulated.py (simulated), or the real label maps of
benchmarks/measuring_real.py (real), never on knees whose role is test.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverParameters:
    """Where cartilage covers bone, and how thick it is (``coverage.py``).

    Parameters
    ----------
    step_mm : float
        Between the samples of a column and of a normal.
    column_low_mm, column_high_mm : float
        Ends of the columns over the bone in which cartilage is looked for. They are short: on curved bone a high column
        leans over the wall of a lesion, and convex condyles would lose bare area to it; and a thin layer that is left
        fills most of one. Shapes.
    inward_mm : float
        How far below the articular surface cartilage is looked for.
    thickest_mm : float
        No cartilage is thicker; real: at most 4.9 mm in five knees of K-L 0 to 3, patellae included.
    path_factor, path_summand_mm : float
        A path along the normal ends where it exceeds the nearest distance by factor and summand: a ray that crosses the
        joint measures the other plate (PMC10076900 saw 2.5 mm too much).
    articular : float
        Smoothed label, 0 to 1, just below an articular surface; a layer of 0.3 mm reaches it. Shapes.
    facing : float
        Cosine between bone and articular surface: what is steeper is the wall of a lesion.
    wall_level : float
        Part of the column beside a wall that stands on it: half on a straight one. Smoothing moves the half level of a
        round hole inwards, and columns lean over its edge: at 0.53 a hole in a shell comes out right within 0.5 %.
        Shapes.
    wall_reach : int
        Triangles on either side of a wall over which the smoothed label rises.
    rim_column_mm, least_column_mm : float
        Column at which cartilage ends along the outer margin, and below which there is none anywhere. Real: K-L 0, 1.
    thin_low_mm, thin_high_mm : float
        A column beside the edge that is higher ends at a wall, also along the margin; between the two in part.
    inner_low, inner_high : float
        Atlas coverage from which walls count, and from which they count alone.
    outer_reach_mm : float
        How far from the bone the outer surface is looked at; more than cartilage and its edge.
    """

    step_mm: float = 0.2
    column_low_mm: float = -0.8
    column_high_mm: float = 0.2
    inward_mm: float = 0.8
    thickest_mm: float = 7.0
    path_factor: float = 2.0
    path_summand_mm: float = 0.5
    articular: float = 0.3
    facing: float = 0.5
    wall_level: float = 0.53
    wall_reach: int = 2
    rim_column_mm: float = 0.18
    least_column_mm: float = 0.06
    thin_low_mm: float = 0.3
    thin_high_mm: float = 0.4
    inner_low: float = 0.5
    inner_high: float = 0.8
    outer_reach_mm: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FootprintParameters:
    """How far tAB reaches, and what along its edge is rim (``footprint.py``; decisions 0007 and 0016).

    Parameters
    ----------
    expected, sure : float
        Atlas coverage where cartilage should be, and where nearly every sound knee has it. Real: K-L 0 and 1.
    joined : float
        Cartilage seen from this coverage on is part of tAB: further out, tAB would move as the cartilage does. Real:
        repeatability of tAB over years.
    beyond_mm : float
        Cartilage further outside of the expected area lies on osteophytes, not on the joint surface.
    possible : float
        Atlas coverage down to which a lesion may reach across the edge. Simulated.
    sure_mm2 : float
        Bare bone at the edge is loss where this much of it lies in sure bone. Real: K-L 0 and 1.
    margin_points : int
        Points of the margin, some millimetres to either side, that say how far out cartilage reaches.
    margin_reach_mm : float
        Half of the widest loss along the edge of a plate that carries cartilage; decision 0016.
    island_mm2, hole_mm2 : float
        Smaller parts of tAB away from it, and smaller holes in it, are none.
    rounds : int
        Of taking the rim off: what is left may have a rim again.
    opening_mm : float
        Added to the radius when an opening grows back, about one edge of a triangle.
    """

    expected: float = 0.5
    sure: float = 0.95
    joined: float = 0.48
    beyond_mm: float = 1.0
    possible: float = 0.4
    sure_mm2: float = 10.0
    margin_points: int = 12
    margin_reach_mm: float = 15.0
    island_mm2: float = 100.0
    hole_mm2: float = 200.0
    rounds: int = 2
    opening_mm: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class NormParameters:
    """Thickness that this knee would have without disease (``expected.py``). Simulated, and real: K-L 0 and 1.

    Parameters
    ----------
    sound_low, sound_high : float
        Of what is expected: thinner is taken for loss, thicker for an error or swelling.
    rounds : int
        Of calling cartilage sound and fitting to it.
    local_mm : float
        Over which this knee's own thickness may differ from the scaled norm.
    local_low, local_high : float
        Range of that local factor.
    prior_mm2 : float
        Weight of the knee's overall factor against sound cartilage nearby.
    nodes : int
        At which the local factor is found, at most about.
    least_mm : float
        Thinner norms, along the margin, say nothing about the knee.
    least_mm2 : float
        Less sound cartilage gives no factor.
    neighbours : int
        Nodes from which a vertex takes its factor.
    rise_steps : int
        Smoothing steps of the bone over which bumps rise: about 4 mm.
    """

    sound_low: float = 0.75
    sound_high: float = 1.5
    rounds: int = 5
    local_mm: float = 12.0
    local_low: float = 0.75
    local_high: float = 1.3
    prior_mm2: float = 60.0
    nodes: int = 900
    least_mm: float = 0.5
    least_mm2: float = 50.0
    neighbours: int = 6
    rise_steps: int = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionParameters:
    """What of a lesion is its wall, and how deep it is (``lesions.py``). Simulated.

    Parameters
    ----------
    shoulder_mm : float
        Loss this close to bare bone is the wall of that lesion.
    partial_width_mm : float
        Narrower loss of part of the depth is noise.
    half_depth_pct : float
        Depth from which a lesion is of class 3 (ICRS: more than half).
    deepest_quantile, grade_quantile : float
        Quantile of depth that counts as the deepest, and that grades it: near its walls a lesion measures shallower
        than it is, so that its grade is that of the deeper part.
    osteophyte_mm : float
        Bone that rises higher into the bed is an osteophyte.
    """

    shoulder_mm: float = 2.5
    partial_width_mm: float = 1.5
    half_depth_pct: float = 50.0
    deepest_quantile: float = 0.95
    grade_quantile: float = 0.7
    osteophyte_mm: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceParameters:
    """Where the shared surface is drawn (``placing.py``, ``fields.py``).

    Parameters
    ----------
    reach_mm : float
        Of the shared surface around the expected cartilage.
    likely : float
        Atlas coverage from which a point belongs to the expected cartilage here.
    least_part : float
        Of the largest connected part of the surface; smaller ones are islands inside the bone.
    margin_mm : float
        Of the box around what is expected and seen, and of the crop around that box.
    coarse_margin_mm : float
        Of the crop around a bone that the atlas is fitted to.
    coarse_smoothing : float
        Smoothing of that bone, in units of its spacing.
    """

    reach_mm: float = 5.0
    likely: float = 0.05
    least_part: float = 0.1
    margin_mm: float = 4.0
    coarse_margin_mm: float = 3.0
    coarse_smoothing: float = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureParameters:
    """How regions are drawn and figures summed up (``regions.py``, ``metrics.py``, ``bone.py``).

    Parameters
    ----------
    bands : int
        Slices of a femoral band in which its thirds are drawn.
    upper_fraction : float
        A plane crosses the curved condyle twice; its upper crossing lies higher over the lowest point than this part of
        the way from the notch to the posterior end. Decision 0006.
    near_mm : float
        Cartilage further from all of tAB belongs to no region; it lies on osteophytes.
    extreme : float
        aMav and aMiv are means over this part of the area (Eckstein et al. 2006: 1 %).
    whole : float
        Part of a vertex' area under cartilage from which it enters aMiv.
    most_lost : float
        Part of a region that may fail before its figures are withheld.
    bare_reach : float
        Bare area is summed this many grid spacings around bare vertices, since its edge runs inside triangles.
    """

    bands: int = 12
    upper_fraction: float = 0.75
    near_mm: float = 9.0
    extreme: float = 0.01
    whole: float = 0.5
    most_lost: float = 0.02
    bare_reach: float = 2.0
