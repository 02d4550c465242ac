"""DICOM in and out: folders to volumes, de-identification, DICOM SEG."""

from mriseg.dicom.anatomy import side_from_anatomy
from mriseg.dicom.deidentify import Deidentified, Pseudonyms, deidentify, read_secret
from mriseg.dicom.export import export, export_all, write_checked
from mriseg.dicom.protocol import Deviation, Severity, compare_protocol
from mriseg.dicom.records import Plane, Refusal, RefusalKind, SeriesHeader
from mriseg.dicom.scan import FoundVolume, Scan, matching_volume, scan
from mriseg.dicom.seg import read_seg, write_seg
from mriseg.dicom.sidecar import sidecar

__all__ = [
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
    "compare_protocol",
    "deidentify",
    "export",
    "export_all",
    "matching_volume",
    "read_secret",
    "read_seg",
    "scan",
    "side_from_anatomy",
    "sidecar",
    "write_checked",
    "write_seg",
]
