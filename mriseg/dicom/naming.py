"""Words that may leave ``dicom``: free text of a header can hold a name anywhere, so only known words pass."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence

from pydicom.uid import PYDICOM_ROOT_UID

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
    weighted iw spin gradient turbo propeller blade radial ute zte
    """.split()  # noqa: SIM905
)
# What manufacturers, models, coils, sequences and image types are called.
KNOWN_EQUIPMENT = frozenset(
    """
    siemens healthineers ge medical systems philips healthcare toshiba mec canon hitachi fujifilm united imaging esaote
    bruker inc corp corporation company nederland best prisma skyra verio aera trio triotim tim fit avanto vida sola
    espree symphony lumina cima terra magnetom allegra altea amira discovery signa architect premier hdxt hdx excite
    pioneer artist voyager hero achieva ingenia intera elition ambition dstream vantage titan galan orian elan centurian
    oasis echelon aperto airis umr syngo mr mri software release lx numaris xa txrx tr tx rx ch channel body head neck
    spine surface flex large small array coil pa hd nova invivo qd quad extremity leg legs lower extremities limb
    se gr ep rm gradient echo spin both sk mtc ss trss sp osp none mp pfp pfe sat gems fast acc vasctof edr pfh prg
    original primary secondary derived other nd norm dis2d dis3d dis2 fm fil min mip mean add divide subtract mpr
    reformatted average projection image resampled value volume m p r i csa parallel csaparallel water in opp phase
    mixed swi t1 t2 pd ffe se m_ffe m_se imaginary adc trace diffusion ucbv perfusion filtered pca
    """.split()  # noqa: SIM905
)
VERSION = re.compile(r"[a-z]{0,2}\d{1,4}([._-][a-z]{0,2}\d{1,4}){0,5}[a-z]?|mr\d{2,3}[a-z]?")
MAX_WORDS = 6
RANDOM_ROOTS = ("2.25.", PYDICOM_ROOT_UID)  # what stands behind these roots was drawn at random


def clean(value: str) -> str:
    """Keep the known words of a technical value; any other word becomes a mark of 16 bits.

    Two visits can still be compared by it, while nobody can be found by it.

    >>> clean("MAGNETOM Prisma_fit")
    'MAGNETOM Prisma fit'
    >>> clean("Prisma of Dr Doe").startswith("Prisma #")
    True
    """
    words = [w for w in re.split(r"[^\w.\-#*]+|_", value) if w]
    return " ".join(w if _harmless(w.lower()) else _mark(w) for w in words)


def _harmless(word: str) -> bool:
    return word in KNOWN_EQUIPMENT or word in KNOWN_WORDS or VERSION.fullmatch(word) is not None


def _mark(word: str) -> str:
    return "#" + hashlib.sha256(word.encode("utf-8", "replace")).hexdigest()[:4]


def describe(description: str) -> str:
    """Return the harmless words of a series description, joined by hyphens; "" where there are none.

    >>> describe("SAG 3D DESS WE (Doe John 19700101)")
    'sag-3d-dess-we'
    """
    words = re.findall(r"[a-z0-9]+", description.lower().replace("*", "star"))
    return "-".join([w for w in words if w in KNOWN_WORDS][:MAX_WORDS])


def public_uid(uid: str) -> str:
    """Return the name under which an output tells where it comes from: the UID itself where it is a random number.

    Scanners put serial number, date and time into their UIDs. Such a one is replaced by a UID made of its SHA-256,
    which whoever holds the images can make again to find them.

    >>> public_uid("1.3.12.2.1107.5.2.32.35177.2016070715304112345678900")[:12]
    '2.25.2601027'
    """
    if not uid or uid.startswith(RANDOM_ROOTS):
        return uid
    return f"2.25.{int.from_bytes(hashlib.sha256(uid.encode('utf-8', 'replace')).digest()[:16], 'big')}"


def uid_mark(uid: str, digits: int = 4) -> str:
    """Return the mark under which a series is named where its number does not tell it from others."""
    return "#" + hashlib.sha256(uid.encode("utf-8", "replace")).hexdigest()[:digits]


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
