"""Transfer syntaxes: their names, which can be decoded, and which one the pixels of a file truly are in."""

from __future__ import annotations

from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, ExplicitVRLittleEndian

NATIVE = {"1.2.840.10008.1.2": "<", "1.2.840.10008.1.2.1": "<", "1.2.840.10008.1.2.2": ">"}
JPEG = "1.2.840.10008.1.2.4."
NAMES = {  # younger than the dictionary of pydicom, or private
    JPEG + "110": "JPEG XL Lossless",
    JPEG + "111": "JPEG XL JPEG Recompression",
    JPEG + "112": "JPEG XL",
    "1.2.840.10008.1.2.8.1": "Deflated Image Frame Compression",
    "1.2.840.113619.5.2": "GE private, pixels in big endian",
}
# Syntaxes that one kind of codestream may carry; the first one is meant where the file says none of them.
CARRIERS = {
    "JPEG baseline": (JPEG + "50", JPEG + "51"),
    "JPEG extended": (JPEG + "51", JPEG + "50"),
    "JPEG lossless": (JPEG + "70", JPEG + "57"),
    "JPEG-LS": (JPEG + "80", JPEG + "81"),
    "JPEG 2000": (JPEG + "90", JPEG + "91", JPEG + "92", JPEG + "93"),
    "HTJ2K": (JPEG + "201", JPEG + "202", JPEG + "203"),
    "RLE": ("1.2.840.10008.1.2.5",),
}


def syntax_name(uid: str) -> str:
    """UID and name of a transfer syntax, as messages show them.

    >>> syntax_name("1.2.840.10008.1.2.4.110")
    'transfer syntax 1.2.840.10008.1.2.4.110 (JPEG XL Lossless)'
    """
    name = NAMES.get(uid) or UID(uid).name
    return f"transfer syntax {uid} ({name})" if name != uid else f"transfer syntax {uid or '(none)'}"


def can_decode(uid: str) -> bool:
    """Whether pixels in a transfer syntax can be read here."""
    if uid in NATIVE:
        return True
    try:
        return bool(get_decoder(UID(uid)).is_available)
    except NotImplementedError:
        return False


def syntax_of_pixels(declared: str, codestream: str | None) -> str:
    """Return the transfer syntax that the pixels are in.

    Parameters
    ----------
    declared : str
        What the file says.
    codestream : str or None
        Kind of the first compressed image, "" where it is of no known kind, None where the pixels are not compressed.

    Returns
    -------
    str
        ``declared`` where the pixels agree with it, and where it names a compression that is not known here: then the
        first bytes are no proof.
    """
    if codestream is None:
        return declared if declared in NATIVE or not can_decode(declared) else str(ExplicitVRLittleEndian)
    carriers = CARRIERS.get(codestream, (declared,))
    return declared if declared in carriers or not can_decode(declared) else carriers[0]
