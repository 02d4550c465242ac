"""Conversion of a 160-slice series: wall time against dcm2niix and peak memory against the size of the volume.

Usage: python benchmarks/intake.py [--repeats 5] [--quick]

Each repeat runs both converters, one after the other, in fresh processes on a warm file cache. The time of mriseg
excludes the start of Python and imports; the time of dcm2niix is the whole process, which starts in milliseconds.
The ratio of processor times stands beside it: it hardly depends on what else runs on the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, MRImageStorage, generate_uid

RESULT = Path(__file__).parent / "results" / "intake.json"
CHILD = """
import json, resource, sys, time
from pathlib import Path
import mriseg.cli.convert, mriseg.dicom, numpy, nibabel
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start, processor = time.perf_counter(), time.process_time()
found = mriseg.dicom.scan(Path(sys.argv[1]))
scanned = time.perf_counter()
written, refused = mriseg.dicom.export_all(found.volumes, Path(sys.argv[2]))
end = time.perf_counter()
assert len(written) == 1 and not refused
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"scan_s": scanned - start, "total_s": end - start, "processor_s": time.process_time() - processor,
                  "extra_mib": (peak - before) / 1024}))
"""


def write_series(folder: Path, shape: tuple[int, int, int], *, compressed: bool) -> None:
    """Write a sagittal series that looks like a knee to a compressor: smooth anatomy with noise."""
    slices, rows, columns = shape
    rng = np.random.default_rng(1)
    y, x = np.mgrid[0:rows, 0:columns] / rows
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    for k in range(slices):
        image = 400 + 300 * np.sin(9 * x + k / 20) * np.cos(7 * y) + rng.normal(0, 25, (rows, columns))
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = MRImageStorage
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, series, frame
        ds.Modality, ds.Manufacturer, ds.PatientID, ds.PatientName = "MR", "SIEMENS", "1", "a^b"
        ds.PatientPosition = "HFS"
        ds.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"]
        ds.SeriesNumber, ds.InstanceNumber, ds.EchoTime, ds.RepetitionTime = 3, k + 1, "4.7", "16.3"
        ds.ImagePositionPatient = [f"{-56 + 0.7 * k:.1f}", "-70", "70"]
        ds.ImageOrientationPatient = ["0", "1", "0", "0", "0", "-1"]
        ds.PixelSpacing, ds.SliceThickness = ["0.365", "0.365"], "0.7"
        ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = rows, columns, 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
        ds.PixelData = np.clip(image, 0, 4095).astype(np.uint16).tobytes()
        ds["PixelData"].VR = "OW"
        # What a scanner adds: a private header of some 60 kB that has to be skipped.
        ds.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(0x10, "OB", bytes(60_000))
        if compressed:
            ds.compress(JPEG2000Lossless, generate_instance_uid=False)
        ds.save_as(folder / f"im{k:04d}.dcm", enforce_file_format=True)


def run_ours(folder: Path, out: Path) -> dict[str, float]:
    """Time one conversion by mriseg in a fresh process."""
    run = subprocess.run([sys.executable, "-c", CHILD, folder, out], capture_output=True, text=True, check=True)
    return dict(json.loads(run.stdout))


def run_reference(folder: Path, out: Path) -> tuple[float, float]:
    """Time one conversion by dcm2niix: wall clock, processor."""
    out.mkdir()
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(["dcm2niix", "-z", "y", "-b", "n", "-o", out, folder], capture_output=True, check=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(shape: tuple[int, int, int], repeats: int, *, compressed: bool) -> dict[str, float]:
    """Convert one series ``repeats`` times with both programs in turn."""
    volume_mib = 4 * np.prod(shape) / 2**20
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        (work / "dicom").mkdir()
        write_series(work / "dicom", shape, compressed=compressed)
        for _ in range(repeats):
            theirs.append(run_reference(work / "dicom", work / "theirs"))
            ours.append(run_ours(work / "dicom", work / "ours"))
            shutil.rmtree(work / "theirs")
            shutil.rmtree(work / "ours")
    total = statistics.median(o["total_s"] for o in ours)
    return {
        "mriseg_s": round(total, 3),
        "of_it_scan_s": round(statistics.median(o["scan_s"] for o in ours), 3),
        "dcm2niix_s": round(statistics.median(t for t, _ in theirs), 3),
        "time_ratio": round(statistics.median(o["total_s"] / t for o, (t, _) in zip(ours, theirs, strict=True)), 3),
        "processor_ratio": round(
            statistics.median(o["processor_s"] / t for o, (_, t) in zip(ours, theirs, strict=True)), 3
        ),
        "memory_ratio": round(max(o["extra_mib"] for o in ours) / volume_mib, 3),
        "volume_mib": round(float(volume_mib), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a small series, to see that everything runs")
    options = parser.parse_args()
    shape = (16, 96, 96) if options.quick else (160, 384, 384)
    result = {
        "uncompressed": measure(shape, options.repeats, compressed=False),
        "JPEG 2000": measure(shape, options.repeats, compressed=True),
    }
    for name, row in result.items():
        print(name, *(f"{key}={value}" for key, value in row.items()))
    print("targets: time_ratio at most 1.5, memory_ratio at most 3")
    if not options.quick:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(json.dumps({"shape": shape, "cores": os.cpu_count(), "series": result}, indent=2) + "\n")


if __name__ == "__main__":
    main()
