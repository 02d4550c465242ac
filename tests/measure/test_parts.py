"""Rules of footprint, lesions, matching and figures on a flat sheet whose numbers are plain."""

from __future__ import annotations

import numpy as np
import pytest

from mriseg.measure.coverage import cover_field
from mriseg.measure.expected import expected_thickness, rise, scale_to_knee
from mriseg.measure.footprint import bare_area, bare_share, components, opened, total_area, total_share
from mriseg.measure.lesions import Bed, find_lesions
from mriseg.measure.matching import match
from mriseg.measure.metrics import COMPOSITES, REGIONS, blank, bone_of
from mriseg.measure.parameters import MeasureParameters
from mriseg.surfaces import Surface, adjacency, vertex_areas, vertex_normals
from mriseg.types import Bone, Fate, Region, RowState

PARAMETERS = MeasureParameters()
STEP, SIDE = 0.5, 81


def sheet():
    """Flat square, 40 x 40 mm, of 0.5 mm triangles."""
    x, y = np.meshgrid(np.arange(SIDE) * STEP - 20.0, np.arange(SIDE) * STEP - 20.0, indexing="ij")
    vertices = np.column_stack([x.ravel(), y.ravel(), np.zeros(x.size)])
    corner = (np.arange(SIDE - 1)[:, None] * SIDE + np.arange(SIDE - 1)).ravel()
    lower = np.column_stack([corner, corner + SIDE, corner + 1])
    upper = np.column_stack([corner + 1, corner + SIDE, corner + SIDE + 1])
    return Surface(vertices_mm=vertices, faces=np.vstack([lower, upper]))


SHEET = sheet()
GRAPH, AREA = adjacency(SHEET), vertex_areas(SHEET)
X, Y = SHEET.vertices_mm[:, 0], SHEET.vertices_mm[:, 1]
RADIUS = np.hypot(X, Y)
ATLAS = np.clip((14.0 - RADIUS) / 4.0, 0.0, 1.0)  # half at 12 mm, sure within 10 mm


def total(*covered):
    return total_area(SHEET, GRAPH, list(covered), footprint=ATLAS, coverage=ATLAS, rim_mm=2.5, min_area_mm2=5.0)


def disc(x, y, radius):
    return np.hypot(X - x, Y - y) < radius


def bed(bare=(), thin=(), fraction=0.4):
    thickness = np.full(len(X), 2.0)
    bare_mask = np.logical_or.reduce([np.zeros(len(X), bool), *bare])
    for mask in thin:
        thickness[mask] = 2.0 * fraction
    thickness[bare_mask] = 0.0
    code = np.where(RADIUS < 12.0, Region.CMT.code, 0)
    return Bed(
        vertices_mm=SHEET.vertices_mm,
        graph=GRAPH,
        area_mm2=AREA,
        code=code,
        bare=bare_mask,
        bare_mm2=np.where(bare_mask, AREA, 0.0),
        thickness_mm=thickness,
        expected_mm=np.full(len(X), 2.0),
        rise_mm=np.zeros(len(X)),
    )


def inner(*covered):
    """tAB without its rim, where bare bone is loss."""
    whole, rim = total(*covered)
    return whole & ~rim


def test_an_edge_that_falls_short_of_the_atlas_is_rim_and_no_loss():
    whole, rim = total(RADIUS < 10.8)
    assert AREA[whole].sum() == pytest.approx(np.pi * 12.0**2, rel=0.02)
    assert AREA[whole & ~rim].sum() == pytest.approx(np.pi * 10.8**2, rel=0.02)


def test_total_area_hardly_follows_an_edge_of_cartilage_that_wanders_by_two_millimetres():
    short, long = (AREA[total(edge > RADIUS)[0]].sum() for edge in (11.0, 13.0))
    assert short == pytest.approx(np.pi * 12.0**2, rel=0.02)
    assert short <= long <= 1.1 * short  # the cartilage itself grew by 40 %


def test_the_area_of_tab_is_drawn_inside_the_triangles_and_stands_on_its_vertices():
    whole, _ = total(RADIUS < 12.0)
    share = total_share(SHEET, whole, ATLAS)
    assert share.sum() == pytest.approx(np.pi * 12.04**2, rel=0.003)  # half-way between coverage 0.48 and 0.5
    assert (share[~whole] == 0).all()
    assert share[RADIUS < 11.0] == pytest.approx(AREA[RADIUS < 11.0])


def test_cartilage_on_an_osteophyte_is_no_part_of_the_joint_surface():
    assert not (total((RADIUS < 12.0) | disc(16.0, 0.0, 3.0))[0] & (RADIUS > 13.0)).any()


def test_two_visits_that_end_at_different_edges_share_one_area_without_loss():
    first, second = RADIUS < 11.5, RADIUS < 10.7
    shared = inner(first, second)
    for covered in (first, second):
        bare = bare_area(SHEET, GRAPH, shared, np.where(covered, 1.0, -1.0), min_area_mm2=5.0)
        assert not bare.any()


def test_a_hole_inside_and_wide_loss_at_the_edge_are_loss():
    hole, bay = disc(-3.0, 0.0, 4.0), disc(9.0, 0.0, 5.0)
    covered = (RADIUS < 12.0) & ~hole & ~bay
    shared = inner(covered)
    bare = bare_area(SHEET, GRAPH, shared, np.where(covered, 1.0, -1.0), min_area_mm2=5.0)
    assert AREA[bare & hole].sum() == pytest.approx(np.pi * 16.0, rel=0.05)
    assert AREA[bare & bay].sum() > 0.85 * AREA[bay & (RADIUS < 12.0)].sum()


def test_a_bare_spot_below_the_least_area_counts_as_covered():
    cover = np.where(disc(0.0, 0.0, 1.0), -1.0, 1.0)
    assert not bare_area(SHEET, GRAPH, RADIUS < 12.0, cover, min_area_mm2=5.0).any()


def test_bare_area_is_drawn_inside_the_triangles():
    assert bare_share(SHEET, RADIUS - 4.03).sum() == pytest.approx(np.pi * 4.03**2, rel=0.004)


def test_the_wall_of_a_lesion_stands_at_half_height_and_thin_cartilage_is_covered():
    blurred = 1.6 / (1.0 + np.exp(-(RADIUS - 5.0) / 0.25))
    cover = cover_field(blurred, np.ones(len(X)), GRAPH)
    assert bare_share(SHEET, cover).sum() == pytest.approx(np.pi * 25.0, rel=0.02)
    assert (cover_field(np.full(len(X), 0.3), np.ones(len(X)), GRAPH) > 0).all()
    assert (cover_field(np.full(len(X), 0.05), np.ones(len(X)), GRAPH) < 0).all()


def test_components_and_opening():
    parts = components(disc(-8, 0, 3) | disc(6, 0, 5), GRAPH)
    assert parts.max() == 2
    assert (parts == 1)[disc(6, 0, 4)].all()
    assert not opened(np.abs(X) < 0.8, SHEET.vertices_mm, 1.25).any()


def test_lesions_carry_class_area_depth_and_volume():
    full, half, shallow = disc(-5, 0, 3), disc(5, 2, 2.5), disc(2, -6, 2.5)
    found = find_lesions(bed(bare=[full], thin=[half]), "T", PARAMETERS)
    assert [lesion.defect.icrs_class for lesion in found] == [4, 3]
    first = found[0].defect
    assert first.area_mm2 == pytest.approx(np.pi * 9.0, rel=0.05)
    assert first.volume_mm3 == pytest.approx(2.0 * first.area_mm2)
    assert first.diameter_mm == pytest.approx(6.0, abs=0.6)
    assert first.centroid_mm == pytest.approx((-5, 0, 0), abs=0.1)
    assert found[1].defect.mean_depth_pct == pytest.approx(60.0)
    assert [x.defect.icrs_class for x in find_lesions(bed(thin=[shallow], fraction=0.6), "T", PARAMETERS)] == [2]


def test_a_raised_bone_is_flagged_as_osteophyte():
    lifted = bed(bare=[disc(0, 0, 3)])
    high = Bed(**{n: getattr(lifted, n) for n in Bed.__slots__} | {"rise_mm": np.where(disc(0, 0, 3), 1.0, 0.0)})
    assert find_lesions(high, "T", PARAMETERS)[0].defect.osteophyte
    assert not find_lesions(lifted, "T", PARAMETERS)[0].defect.osteophyte


def test_every_fate_and_that_change_stands_once():
    old = find_lesions(bed(bare=[disc(-6, 0, 2), disc(6, 0, 3), disc(0, 7, 2), disc(0, -5, 2)]), "T", PARAMETERS)
    new = find_lesions(bed(bare=[disc(-6, 0, 4), disc(6, 0, 1.6), disc(0, 7, 2), disc(0, 0.5, 1.6)]), "T", PARAMETERS)
    before, after = match(old, new, AREA, PARAMETERS)
    fates = {round(d.centroid_mm[0]) * 100 + round(d.centroid_mm[1]): d.fate for d in (*before, *after)}
    assert fates[-600] is Fate.GROWN
    assert fates[600] is Fate.SHRUNK
    assert fates[7] is Fate.STABLE
    assert fates[-5] is Fate.RESOLVED
    assert {d.fate for d in after} == {Fate.GROWN, Fate.SHRUNK, Fate.STABLE, Fate.NEW}
    merged, _ = match(find_lesions(bed(bare=[disc(-3, 0, 2), disc(3, 0, 2)]), "T", PARAMETERS),
                      find_lesions(bed(bare=[disc(0, 0, 5)]), "T", PARAMETERS), AREA, PARAMETERS)  # fmt: skip
    assert sorted(d.change_mm2 > 0 for d in merged) == [False, True]
    assert {d.fate for d in merged} == {Fate.GROWN}


def test_deeper_loss_is_growth_and_the_reverse_is_shrinkage():
    partial = find_lesions(bed(thin=[disc(0, 0, 3)], fraction=0.6), "T", PARAMETERS)
    full = find_lesions(bed(bare=[disc(0, 0, 3)]), "T", PARAMETERS)
    assert match(partial, full, AREA, PARAMETERS)[1][0].fate is Fate.GROWN
    assert match(full, partial, AREA, PARAMETERS)[1][0].fate is Fate.SHRUNK


def test_expected_thickness_ignores_lesions():
    norm, thickness = np.full(len(X), 2.0), np.full(len(X), 2.2)
    thickness[disc(0, 0, 5)] = 0.6
    covered = RADIUS < 15.0
    assert scale_to_knee(norm, thickness, covered, AREA) == pytest.approx(1.1)
    expected = expected_thickness(SHEET.vertices_mm, norm, thickness, covered, AREA)
    assert expected[covered] == pytest.approx(2.2, abs=0.05)
    assert scale_to_knee(norm, thickness, covered & False, AREA) == 1.0


def test_a_bump_of_bone_rises_and_a_plain_does_not():
    bump = SHEET.vertices_mm + np.column_stack([0 * X, 0 * X, 1.5 * np.exp(-((RADIUS / 2.0) ** 2))])
    raised = Surface(vertices_mm=bump, faces=SHEET.faces)
    height = rise(bump, vertex_normals(raised), GRAPH)
    assert height[RADIUS < 0.6].mean() > 0.5
    assert abs(height[(RADIUS > 10) & (RADIUS < 15)]).max() < 0.05


def test_regions_and_composites_are_complete():
    assert set(REGIONS) == {r.value for r in Region} | set(COMPOSITES)
    assert bone_of("MFTC") == {Bone.FEMUR, Bone.TIBIA}
    assert bone_of("P") == {Bone.PATELLA}
    assert all(np.isnan(r.value) and r.state is RowState.CUT for r in blank("MT", RowState.CUT))
