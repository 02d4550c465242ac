"""DICOM in and out: folders to volumes, de-identification, DICOM SEG."""

from mriseg.dicom.account import Account, alike, listed
from mriseg.dicom.archives import archive_of
from mriseg.dicom.deidentify import Deidentified, deidentify
from mriseg.dicom.export import export, export_all, write_checked
from mriseg.dicom.filenames import distinct_path, find_shown, names_behind, shown
from mriseg.dicom.grouping import echo_key, echo_numbers
from mriseg.dicom.naming import public_uid, uid_mark
from mriseg.dicom.protocol import Deviation, Severity, compare_protocol
from mriseg.dicom.pseudonyms import Pseudonyms, read_secret
from mriseg.dicom.records import Plane, Refusal, RefusalKind, SeriesHeader
from mriseg.dicom.scan import Scan, matching_volume, scan
from mriseg.dicom.seg_reading import read_seg
from mriseg.dicom.seg_writing import write_seg
from mriseg.dicom.sidecar import sidecar
from mriseg.dicom.volumes import FoundVolume
from mriseg.dicom.walk import find_files

__all__ = [
    "Account",
    "Deidentified",
    "Deviation",
    "FoundVolume",
    "Plane",
    "Pseudonyms",
    "Refusal",
    "RefusalKind",
    "Scan",
    "SeriesHeader",
    "Severity",
    "alike",
    "archive_of",
    "compare_protocol",
    "deidentify",
    "distinct_path",
    "echo_key",
    "echo_numbers",
    "export",
    "export_all",
    "find_files",
    "find_shown",
    "listed",
    "matching_volume",
    "names_behind",
    "public_uid",
    "read_secret",
    "read_seg",
    "scan",
    "shown",
    "sidecar",
    "uid_mark",
    "write_checked",
    "write_seg",
]
