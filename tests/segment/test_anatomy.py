"""Rules of anatomy: what is dropped, what is joined, and what is left alone."""

from __future__ import annotations

import numpy as np

from mriseg.segment.anatomy import obey_anatomy
from mriseg.types import Label

SPACING = np.array([1.0, 1.0, 1.0])


def knee() -> np.ndarray:
    labels = np.zeros((40, 40, 60), np.uint8)
    labels[8:32, 8:32, 34:58] = Label.FEMUR
    labels[8:32, 8:32, 32:34] = Label.FEMORAL_CARTILAGE
    labels[8:32, 8:32, 2:26] = Label.TIBIA
    labels[8:32, 8:32, 26:28] = Label.TIBIAL_CARTILAGE
    return labels


def test_a_clean_knee_is_left_as_it_is() -> None:
    assert np.array_equal(obey_anatomy(knee(), SPACING), knee())


def test_a_hole_in_the_cartilage_over_bare_bone_is_never_closed() -> None:
    labels = knee()
    labels[18:22, 18:22, 26:28] = 0
    assert np.array_equal(obey_anatomy(labels, SPACING), labels)


def test_a_piece_of_tibia_that_grows_out_of_the_femur_becomes_femur() -> None:
    labels = knee()
    labels[10:20, 10:20, 50:56] = Label.TIBIA
    assert np.array_equal(obey_anatomy(labels, SPACING), knee())


def test_a_second_femur_is_dropped() -> None:
    labels = knee()
    labels[1:4, 1:4, 1:4] = Label.FEMUR
    assert np.array_equal(obey_anatomy(labels, SPACING), knee())


def test_cartilage_away_from_its_own_bone_is_dropped() -> None:
    labels = knee()
    labels[33:39, 8:32, 40:44] = Label.PATELLAR_CARTILAGE
    labels[2:6, 8:32, 5:9] = Label.FEMORAL_CARTILAGE
    assert np.array_equal(obey_anatomy(labels, SPACING), knee())


def test_fluid_beyond_7_mm_of_the_bone_is_no_cartilage_though_the_layer_goes_on_into_it() -> None:
    labels = knee()
    labels[8:32, 32:40, 32:34] = Label.FEMORAL_CARTILAGE
    result = obey_anatomy(labels, SPACING)
    assert (result[8:32, 32:38, 32:34] == Label.FEMORAL_CARTILAGE).all()
    assert (result[8:32, 39:, 32:34] == 0).all()


def test_a_cavity_inside_a_bone_is_filled_and_a_pit_in_its_surface_is_not() -> None:
    labels = knee()
    labels[15:18, 15:18, 45:48] = 0
    labels[15:18, 15:18, 55:58] = 0
    result = obey_anatomy(labels, SPACING)
    assert (result[15:18, 15:18, 45:48] == Label.FEMUR).all()
    assert (result[15:18, 15:18, 55:58] == 0).all()


def test_an_empty_map_stays_empty_and_the_input_is_not_changed() -> None:
    empty = np.zeros((5, 5, 5), np.uint8)
    assert not obey_anatomy(empty, SPACING).any()
    labels = knee()
    labels[1:4, 1:4, 1:4] = Label.FEMUR
    before = labels.copy()
    obey_anatomy(labels, SPACING)
    assert np.array_equal(labels, before)


def test_what_hangs_on_the_patella_by_a_neck_is_no_patella_and_its_spurs_are() -> None:
    labels = np.zeros((40, 40, 60), np.uint8)
    labels[8:32, 8:28, 4:28] = Label.PATELLA
    labels[18:21, 18:21, 28:33] = Label.PATELLA  # a spur
    clean = labels.copy()
    labels[18:21, 16:19, 28:40] = Label.PATELLA
    labels[12:26, 12:26, 40:56] = Label.PATELLA
    result = obey_anatomy(labels, SPACING)
    assert not result[:, :, 40:].any()
    assert np.array_equal(obey_anatomy(clean, SPACING), clean)


def test_a_tendon_that_goes_on_from_the_patella_is_cut_off() -> None:
    spacing = np.array([0.8, 0.8, 0.8])
    labels = np.zeros((50, 40, 90), np.uint8)
    labels[5:45, 8:28, 5:45] = Label.PATELLA  # 32 x 16 x 32 mm
    alone = labels.copy()
    labels[15:35, 13:23, 45:85] = Label.PATELLA  # a tendon 8 mm thick and 32 mm long
    result = obey_anatomy(labels, spacing)
    assert not result[:, :, 60:].any()
    whole = obey_anatomy(alone, spacing)
    assert (whole == alone).mean() > 0.999
    assert np.array_equal(result[:, :, :40], whole[:, :, :40])
