"""MR signal of tissue: relaxation at 3 T and one short equation a sequence.

Signals are fractions of the equilibrium magnetisation of water, so that tissues of one sequence can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import cos, exp, radians, sin, sqrt, tan


class Tissue(StrEnum):
    """Everything that is drawn."""

    AIR = "air"
    FAT = "fat"
    MUSCLE = "muscle"
    FLUID = "fluid"
    VESSEL = "vessel"
    CARTILAGE = "cartilage"
    MENISCUS = "meniscus"
    LIGAMENT = "ligament"
    CORTEX = "cortex"
    MARROW = "marrow"
    SYNOVIUM = "synovium"


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxation:
    """``pd`` relative to water; ``t1``, ``t2``, ``t2_star`` in ms; ``fat`` the share of ``pd`` that is lipid.

    ``echo_left`` is what diffusion in the spoiler gradient leaves of the second echo of DESS: little in free fluid.
    """

    pd: float
    t1: float
    t2: float
    t2_star: float
    fat: float = 0.0
    echo_left: float = 1.0


# T1 and T2 of cartilage, muscle, synovial fluid, fat and marrow: Gold et al. 2004, doi:10.2214/ajr.183.2.1830343;
# T2 of menisci: Rauscher et al. 2008, doi:10.1148/radiol.2492071870. Tendon and cortical bone hardly signal at these
# echo times; their rows, that of thickened synovium, the proton densities, all T2* and the echo left in fluid are
# plausible round values, not taken from a paper.
TISSUES: Mapping[Tissue, Relaxation] = {
    Tissue.AIR: Relaxation(pd=0.0, t1=1000.0, t2=10.0, t2_star=10.0),
    Tissue.FAT: Relaxation(pd=0.90, t1=371.0, t2=133.0, t2_star=40.0, fat=0.95),
    Tissue.MUSCLE: Relaxation(pd=0.79, t1=1420.0, t2=31.7, t2_star=24.0, fat=0.02),
    Tissue.FLUID: Relaxation(pd=0.98, t1=3620.0, t2=767.0, t2_star=250.0, echo_left=0.3),
    Tissue.VESSEL: Relaxation(pd=0.25, t1=1930.0, t2=120.0, t2_star=40.0),
    Tissue.CARTILAGE: Relaxation(pd=0.72, t1=1240.0, t2=36.9, t2_star=24.0),
    Tissue.MENISCUS: Relaxation(pd=0.45, t1=900.0, t2=11.4, t2_star=7.0),
    Tissue.LIGAMENT: Relaxation(pd=0.55, t1=850.0, t2=6.0, t2_star=3.0),
    Tissue.CORTEX: Relaxation(pd=0.15, t1=300.0, t2=1.0, t2_star=0.5),
    Tissue.MARROW: Relaxation(pd=0.88, t1=365.0, t2=133.0, t2_star=15.0, fat=0.88),
    Tissue.SYNOVIUM: Relaxation(pd=0.85, t1=1400.0, t2=75.0, t2_star=35.0),
}


class SequenceName(StrEnum):
    """Sequences that can be simulated."""

    DESS = "dess"
    SPGR = "spgr"
    TSE_FS = "tse-fs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """One protocol; times in ms, ``spacing_mm`` as (slice, in plane, in plane), ``matrix`` as voxels along the same.

    ``lipid`` is the share of fat signal that water excitation or fat saturation leaves; ``snr`` the ratio of cartilage
    signal to the noise of one channel.
    """

    name: SequenceName
    description: str
    tr: float
    te: float
    flip_deg: float
    lipid: float
    spacing_mm: tuple[float, float, float]
    matrix: tuple[int, int, int]
    snr: float


SEQUENCES: Mapping[SequenceName, Sequence] = {
    SequenceName.DESS: Sequence(
        name=SequenceName.DESS,
        description="SAG_3D_DESS_WE",
        tr=16.3,
        te=4.7,
        flip_deg=25.0,
        lipid=0.06,
        spacing_mm=(0.7, 0.3646, 0.3646),
        matrix=(160, 384, 384),
        snr=18.0,
    ),
    SequenceName.SPGR: Sequence(
        name=SequenceName.SPGR,
        description="SAG_3D_SPGR_FS",
        tr=30.0,
        te=6.2,
        flip_deg=25.0,
        lipid=0.08,
        spacing_mm=(1.5, 0.4688, 0.4688),
        matrix=(72, 320, 320),
        snr=20.0,
    ),
    SequenceName.TSE_FS: Sequence(
        name=SequenceName.TSE_FS,
        description="SAG_2D_PD_TSE_FS",
        tr=3200.0,
        te=30.0,
        flip_deg=180.0,
        lipid=0.10,
        spacing_mm=(3.0, 0.3646, 0.3646),
        matrix=(36, 384, 384),
        snr=22.0,
    ),
}


def spgr_signal(tissue: Relaxation, *, tr: float, te: float, flip_deg: float) -> float:
    """Spoiled gradient echo in the steady state (Ernst)."""
    e1, a = exp(-tr / tissue.t1), radians(flip_deg)
    return tissue.pd * sin(a) * (1.0 - e1) / (1.0 - cos(a) * e1) * exp(-te / tissue.t2_star)


def tse_signal(tissue: Relaxation, *, tr: float, te: float) -> float:
    """Turbo spin echo with effective echo time ``te``, fully refocused."""
    return tissue.pd * (1.0 - exp(-tr / tissue.t1)) * exp(-te / tissue.t2)


def dess_echoes(tissue: Relaxation, *, tr: float, te: float, flip_deg: float) -> tuple[float, float]:
    """Both echoes of a double-echo steady state: FID at ``te`` after, echo at ``te`` before the pulse.

    References
    ----------
    Hänicke and Vogel 2003, doi:10.1002/mrm.10410.
    """
    e1, e2, a = exp(-tr / tissue.t1), exp(-tr / tissue.t2), radians(flip_deg)
    c = cos(a)
    r = sqrt((1.0 - e2**2) / ((1.0 - e1 * c) ** 2 - e2**2 * (e1 - c) ** 2))
    fid = tissue.pd * tan(a / 2) * (1.0 - (e1 - c) * r)
    echo = tissue.pd * tan(a / 2) * (1.0 - (1.0 - e1 * c) * r)
    decay = exp(-te / tissue.t2_star)
    return fid * decay, echo * decay * tissue.echo_left


def dess_signal(tissue: Relaxation, *, tr: float, te: float, flip_deg: float) -> float:
    """Root of the sum of squares of both echoes, as scanners combine them."""
    fid, echo = dess_echoes(tissue, tr=tr, te=te, flip_deg=flip_deg)
    return sqrt(fid**2 + echo**2)


def tissue_signal(tissue: Relaxation, sequence: Sequence) -> float:
    """Signal of a tissue in a sequence, after water excitation or fat saturation."""
    if sequence.name is SequenceName.DESS:
        full = dess_signal(tissue, tr=sequence.tr, te=sequence.te, flip_deg=sequence.flip_deg)
    elif sequence.name is SequenceName.SPGR:
        full = spgr_signal(tissue, tr=sequence.tr, te=sequence.te, flip_deg=sequence.flip_deg)
    else:
        full = tse_signal(tissue, tr=sequence.tr, te=sequence.te)
    return full * (1.0 - tissue.fat * (1.0 - sequence.lipid))


def signals(sequence: Sequence) -> dict[Tissue, float]:
    """Signal of every tissue in a sequence."""
    return {name: tissue_signal(tissue, sequence) for name, tissue in TISSUES.items()}
