"""The sample trial as a hospital would send it: headers, identifiers and file names name the patients."""

from __future__ import annotations

from pathlib import Path

import pydicom

from mriseg.dicom.sources import quiet
from tests.dicom.planting import planted, stamped

BIRTH = "19311103"


def identify(dicom: Path) -> list[str]:
    """Plant names into every file of two patients, in place; return all strings that no output may hold."""
    words: dict[str, None] = {BIRTH: None}
    with quiet():
        for n, folder in enumerate(sorted(dicom.glob("sub-0[12]/*"))):
            person, serial = chr(ord("A") + n // 2), f"471108{n:02d}"
            for path in sorted(folder.iterdir()):
                ds = pydicom.dcmread(path)
                words |= dict.fromkeys((str(ds.AcquisitionDate), serial))
                stamped(ds, serial, f"{ds.AcquisitionDate}{ds.AcquisitionTime}")
                ds.PatientBirthDate = BIRTH
                words |= dict.fromkeys(planted(ds, person))
                path.unlink()
                ds.save_as(path.with_name(f"ZQIDENT{person}FILE_{path.name}"), enforce_file_format=True)
            words[f"ZQIDENT{person}FILE"] = None
    return list(words)


def hospital_folder(dicom: Path, out: Path) -> list[str]:
    """Lay links to two patients under folders that name them, with a damaged file and a report among the images."""
    words = []
    for patient, name in (("sub-01", "ZQIDENTDOE^JANE"), ("sub-02", "ZQIDENTROE_RICHARD 19560412")):
        for visit in ("baseline", "month6"):
            folder = out / name / f"ZQIDENT{patient[-1]}{visit}"
            folder.mkdir(parents=True)
            (folder / "images").symlink_to(dicom / patient / visit)
            words += [name, folder.name]
    with quiet():
        image = pydicom.dcmread(next((dicom / "sub-01" / "baseline").iterdir()))
        image.SeriesInstanceUID = image.SOPInstanceUID = "1.2.3.4"
        half = out / "ZQIDENTDOE^JANE" / "ZQIDENTHALF.dcm"
        image.save_as(half)
    half.write_bytes(half.read_bytes()[: half.read_bytes().rfind(b"\xe0\x7f\x10\x00") + 20])
    (out / "ZQIDENTREPORT.txt").write_text("ZQIDENTREPORT")
    return [*words, half.stem, "ZQIDENTREPORT", "19560412"]
