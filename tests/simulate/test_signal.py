"""Signal equations against limits that can be worked out by hand, and contrasts a radiologist expects."""

from __future__ import annotations

import math

import pytest

from mriseg.simulate.signal import (
    SEQUENCES,
    TISSUES,
    Relaxation,
    SequenceName,
    Tissue,
    dess_echoes,
    signals,
    spgr_signal,
    tse_signal,
)


def test_spgr_at_90_degrees_is_saturation_recovery():
    tissue = Relaxation(pd=0.8, t1=1000.0, t2=50.0, t2_star=20.0)
    value = spgr_signal(tissue, tr=500.0, te=10.0, flip_deg=90.0)
    assert value == pytest.approx(0.8 * (1 - math.exp(-0.5)) * math.exp(-0.5))


def test_spgr_is_largest_at_the_ernst_angle():
    tissue = TISSUES[Tissue.CARTILAGE]
    ernst = math.degrees(math.acos(math.exp(-30.0 / tissue.t1)))
    best = spgr_signal(tissue, tr=30.0, te=6.0, flip_deg=ernst)
    assert best > spgr_signal(tissue, tr=30.0, te=6.0, flip_deg=ernst + 2)
    assert best > spgr_signal(tissue, tr=30.0, te=6.0, flip_deg=ernst - 2)


def test_tse_with_long_tr_and_no_echo_time_is_proton_density():
    assert tse_signal(TISSUES[Tissue.CARTILAGE], tr=1e6, te=0.0) == pytest.approx(TISSUES[Tissue.CARTILAGE].pd)


def test_dess_without_t2_memory_is_spgr():
    tissue = Relaxation(pd=1.0, t1=800.0, t2=1e-3, t2_star=25.0)
    fid, echo = dess_echoes(tissue, tr=16.0, te=4.7, flip_deg=25.0)
    assert echo == pytest.approx(0.0, abs=1e-9)
    assert fid == pytest.approx(spgr_signal(tissue, tr=16.0, te=4.7, flip_deg=25.0), rel=1e-6)


def test_dess_echo_is_weaker_than_its_fid():
    for tissue in TISSUES.values():
        fid, echo = dess_echoes(tissue, tr=16.3, te=4.7, flip_deg=25.0)
        assert 0 <= echo <= fid


@pytest.mark.parametrize("name", list(SequenceName))
def test_cartilage_stands_out_from_bone_in_every_sequence(name):
    values = signals(SEQUENCES[name])
    assert values[Tissue.CARTILAGE] > 1.5 * values[Tissue.MARROW]
    assert values[Tissue.CORTEX] < 0.05 * values[Tissue.CARTILAGE]
    assert values[Tissue.LIGAMENT] < values[Tissue.MENISCUS] < values[Tissue.CARTILAGE]
    assert values[Tissue.FAT] < values[Tissue.CARTILAGE]


def test_fluid_is_bright_on_dess_and_tse_and_dark_on_spgr():
    values = {name: signals(SEQUENCES[name]) for name in SequenceName}
    assert values[SequenceName.DESS][Tissue.FLUID] > values[SequenceName.DESS][Tissue.CARTILAGE]
    assert values[SequenceName.TSE_FS][Tissue.FLUID] > values[SequenceName.TSE_FS][Tissue.CARTILAGE]
    assert values[SequenceName.SPGR][Tissue.FLUID] < values[SequenceName.SPGR][Tissue.CARTILAGE]
