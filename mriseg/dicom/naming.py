"""File names that say what a volume is and nothing about the patient."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

# Words a technician or a scanner writes into a series description. Anything else could be a name or a number of a
# patient and is left out of file names.
KNOWN_WORDS = frozenset(
    """
    2d 3d 4d t1 t2 t1w t2w t2s t2star t1rho t2map pd pdw sag sagittal cor coronal ax axial tra transverse obl oblique
    knee iso isotropic dess ciss fisp truefisp trufi flash vibe space cube vista fse tse se ste gre grass spgr fspgr
    spoiled mprage fl3d fl2d tfl bssfp fiesta ffe tfe mffe tirm stir tir irtse ir flair dixon mdixon ideal lava water
    fat sat fatsat fs spair spir we wi wex wfs in out opp phase mag magnitude real imag map maps mapping mese medic
    merge swi dwi dti adc trace epi qdess echo echoes me multi multiecho loc localizer localiser scout survey pilot
    plane 3plane smartbrain calibration asset cal ref sense grappa hr hires high res lr low fast mpr recon reformat
    mip derived sub dyn dynamic pre post contrast gd t2mapping cartigram proset right left rt lt bilateral both
    weighted spin gradient turbo propeller blade radial ute zte
    """.split()  # noqa: SIM905
)
MAX_WORDS = 6


def describe(description: str) -> str:
    """Return the harmless words of a series description, joined by hyphens; "" where there are none.

    >>> describe("SAG 3D DESS WE (Doe John 19700101)")
    'sag-3d-dess-we'
    """
    words = re.findall(r"[a-z0-9]+", description.lower().replace("*", "star"))
    return "-".join([w for w in words if w in KNOWN_WORDS][:MAX_WORDS])


def stem(number: int | None, description: str, plane: str, parts: Sequence[str]) -> str:
    """Name one volume: ``s003_sag-3d-dess_e1``; ``parts`` are added where they are not empty."""
    words = describe(description) or plane
    series = f"s{number:03d}" if number is not None and 0 <= number < 10**6 else "sxxx"
    return "_".join([series, words, *(p for p in parts if p)])


def unique(stems: Sequence[str]) -> list[str]:
    """Number the names that occur more than once."""
    total, seen = Counter(stems), Counter[str]()
    result = []
    for name in stems:
        seen[name] += 1
        result.append(f"{name}_{seen[name]}" if total[name] > 1 else name)
    return result
