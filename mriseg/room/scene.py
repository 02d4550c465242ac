"""What a reader sees of one patient: both visits on the grid of one of them, lesions, values. Blind to the arm."""

from __future__ import annotations

import struct
from typing import Any

import nibabel as nib
import numpy as np
from scipy import ndimage

from mriseg.errors import StudyError
from mriseg.files import sha256
from mriseg.geometry import reorient
from mriseg.report.figures import thickness_colours
from mriseg.room.visits import Names
from mriseg.study.model import Patient
from mriseg.study.reading import Reading, primary_endpoint, readings_of
from mriseg.study.spaces import BONE_OF_PREFIX, in_scanner_space, motion_between
from mriseg.types import Array, Bone, FloatArray, Grid, LabelMap, Volume

FULL_SCALE = 2000.0  # what the brightest tissue becomes in the 16-bit image that is sent
BRIGHTEST_PCT = 99.9
CARTILAGE_AT = 0.7  # brightness of most cartilage in the first window, 0 black to 1 white


def onto(patient: Patient, image: Volume | LabelMap, *, source: str, target: str, bone: Bone, grid: Grid) -> Array:
    """Voxels of one visit on the grid of another, moved as ``bone`` moved: for looking, never for measuring.

    Images are read between their voxels, labels at the nearest one; 0 where the visit does not show the place. On its
    own grid nothing is resampled.
    """
    if source == target:
        return image.data
    motion = motion_between(patient, bone, target, source)
    if motion is None:
        raise StudyError(f"{patient.id}: the {bone} is not registered, so the visits cannot be laid over each other.")
    to_voxel = np.linalg.inv(image.grid.affine) @ motion.matrix @ grid.affine
    data: Array = image.data
    matrix, offset = to_voxel[:3, :3], to_voxel[:3, 3]
    if isinstance(image, LabelMap):
        return ndimage.affine_transform(data, matrix, offset=offset, output_shape=grid.shape, order=0)
    return ndimage.affine_transform(data, matrix, offset=offset, output_shape=grid.shape, order=1)


def volume_bytes(patient: Patient, visit: str, *, target: str, bone: Bone, slab: int) -> bytes:
    """NIfTI of one visit on the grid of another; ``slab`` sagittal slices are averaged into each."""
    image, grid = reorient(patient.image(visit)), reorient(patient.labels(target)).grid
    data = onto(patient, image, source=visit, target=target, bone=bone, grid=grid)
    if slab > 1:
        data = ndimage.uniform_filter1d(data, slab, axis=0, mode="nearest")
    scaled = data * (FULL_SCALE / max(float(np.percentile(image.data, BRIGHTEST_PCT)), 1e-6))
    out = nib.Nifti1Image(np.clip(np.rint(scaled), -(2**15), 2**15 - 1).astype(np.int16), grid.affine)
    out.header.set_xyzt_units("mm")
    content: bytes = out.to_bytes()
    return content


def label_bytes(patient: Patient, visit: str, *, target: str, bone: Bone) -> bytes:
    """Labels of one visit on the grid of another: one byte a voxel, the first axis fastest, axes to R, A, S."""
    labels = reorient(patient.labels(visit))
    grid = labels.grid if visit == target else reorient(patient.labels(target)).grid
    return onto(patient, labels, source=visit, target=target, bone=bone, grid=grid).tobytes(order="F")


def window(patient: Patient, visit: str) -> tuple[float, float]:
    """Black and white in units of :func:`volume_bytes`, so that cartilage is bright and nothing of it is white."""
    image, labels = patient.image(visit), patient.labels(visit)
    scale = FULL_SCALE / max(float(np.percentile(image.data, BRIGHTEST_PCT)), 1e-6)
    cartilage = image.data[labels.mask(*(bone.cartilage for bone in Bone))]
    white = float(np.percentile(cartilage, 90)) / CARTILAGE_AT if cartilage.size else FULL_SCALE / scale
    return float(np.percentile(image.data, 1)) * scale, white * scale


def scene(patient: Patient, names: Names, shown: str, bone: Bone) -> dict[str, Any]:
    """Everything but voxels: visits by name, lesions in the space of the visit ``shown``, values of the endpoint."""
    visits = names.of(patient)
    target = names.visit(patient, shown)
    grid = reorient(patient.labels(target)).grid
    readings = {r.visit: r for r in readings_of(patient)}
    return {
        "participant": patient.id,
        "side": patient.side.value,
        "shown": shown,
        "bone": bone.value,
        "shape": list(grid.shape),
        "spacing": grid.spacing_mm.tolist(),
        "affine": grid.affine.tolist(),
        "visits": [_visit(patient, name, readings[visit], bone, target) for name, visit in visits.items()],
        "lesions": lesions(patient, visits, target),
        "values": values(patient, visits),
    }


def _visit(patient: Patient, name: str, reading: Reading, bone: Bone, target: str) -> dict[str, Any]:
    visit = reading.visit
    return {
        "name": name,
        "map": sha256(patient.study.paths.labels(patient.id, visit)),
        "verdict": reading.verdict.value,
        "reasons": list(reading.reasons),
        "standing": reading.judgement.standing.value,
        "said": reading.judgement.reason,
        "waits": reading.waits,
        "window": list(window(patient, visit)),
        "registered": motion_between(patient, bone, target, visit) is not None,
        "surfaces": [b.value for b, file in patient.surfaces.items() if visit in file.thickness],
    }


def lesions(patient: Patient, visits: dict[str, str], target: str) -> list[dict[str, Any]]:
    """Every listed lesion with its centre in the scanner space of ``target``, the largest first."""
    if not patient.study.paths.defects(patient.id).exists():
        return []
    names = {visit: name for name, visit in visits.items()}
    found = []
    for row in patient.defects().to_dict(orient="records"):
        bone = BONE_OF_PREFIX[str(row["defect_id"])[0]]
        centre = np.array([[row[f"centroid_{a}_mm"] for a in "xyz"]], dtype=float)
        if row["visit"] not in names:
            continue
        found.append({
            "visit": names[row["visit"]],
            "id": row["defect_id"],
            "bone": bone.value,
            "region": row["region"],
            "icrs": int(row["icrs_class"]),
            "area_mm2": float(row["area_mm2"]),
            "depth_pct": float(row["mean_depth_pct"]),
            "mm": in_scanner_space(patient, bone, target, centre)[0].tolist(),
        })  # fmt: skip
    return sorted(found, key=lambda lesion: -lesion["area_mm2"])


def values(patient: Patient, visits: dict[str, str]) -> list[dict[str, Any]]:
    """Primary endpoint at every visit, with its state; blank where it does not count or is not known."""
    if not patient.study.paths.regions(patient.id).exists():
        return []
    region, metric = primary_endpoint(patient.study)
    table = patient.regions()
    rows = table[(table["region"] == region) & (table["metric"] == metric)].set_index("visit")
    return [
        {
            "visit": name,
            "endpoint": f"{region} {metric}",
            "value": float(rows["value"][visit]) if np.isfinite(rows["value"][visit]) else None,
            "unit": rows["unit"][visit],
            "state": rows["state"][visit],
        }
        for name, visit in visits.items()
        if visit in rows.index
    ]


def surface_bytes(patient: Patient, visit: str, bone: Bone, *, target: str) -> bytes:
    """One bone as MZ3 in the scanner space of ``target``, coloured by the thickness of ``visit``; denuded bone red."""
    file = patient.surfaces.get(bone)
    if file is None or visit not in file.thickness:
        raise StudyError(f"{patient.id}: there is no surface of the {bone} for this visit.")
    surface, thickness = file.surface, file.thickness[visit]
    points = in_scanner_space(patient, bone, target, surface.vertices_mm)
    colours = thickness_colours(thickness.thickness_mm, thickness.state)
    return _mz3(points, surface.faces if patient.side == "R" else surface.faces[:, ::-1], colours)


def _mz3(points_mm: FloatArray, faces: Array, rgba: Array) -> bytes:
    """Pack a mesh with a colour a vertex: the format is a header of 16 bytes, faces, vertices and colours."""
    has_faces, has_vertices, has_colours = 1, 2, 4
    header = struct.pack("<HHIII", 0x5A4D, has_faces | has_vertices | has_colours, len(faces), len(points_mm), 0)
    parts = (faces.astype("<u4"), points_mm.astype("<f4"), rgba.astype(np.uint8))
    return header + b"".join(part.tobytes() for part in parts)
