"""Images of knees with planted lesions at two visits, and without, and their truth, for segmenter_lesions.py.

Shapes are the real label maps of one split; lesions, images and fillings come from mriseg.simulate, which shares no
code with the generator of the training images. Sequences have their own voxels, as in a trial.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from zlib import crc32

import numpy as np
from segmenter_images import grid_over

from mriseg.errors import MrisegError
from mriseg.geometry import reorient
from mriseg.nifti import read_label_map, read_volume, write_label_map, write_volume
from mriseg.simulate.articular import ArticularSurface, articular_surface
from mriseg.simulate.defects import Filling, PlantedDefect, place_defect
from mriseg.simulate.knee import Pose, knee_of_labels
from mriseg.simulate.motion import MotionLimits, flex, place, repositioned
from mriseg.simulate.plates import bone_of
from mriseg.simulate.scanner import add_noise, coil_sensitivity, supersampling
from mriseg.simulate.scene import Scene, scan
from mriseg.simulate.signal import SEQUENCES, SequenceName, Tissue, signals
from mriseg.simulate.trial import draw_anatomy
from mriseg.types import Bone, Grid, LabelMap, RigidTransform, Volume

VISITS = {
    "dess": ("free", "baseline", "followup"),
    "spgr": ("baseline", "followup"),
    "tse-fs": ("baseline", "followup"),
}  # ``free`` of lesions says how many are invented
AREAS_MM2 = (20.0, 50.0, 100.0, 200.0)
GROWTH = (1.0, 1.6)  # area at follow-up relative to baseline
LESIONS = 3  # in one knee
PLATES = ("cMF", "MT", "cLF", "LT")


@dataclass(frozen=True, kw_only=True)
class Lesion:
    """One planted lesion as it lies in the scanner: right-knee frame, RAS mm."""

    plate: str
    area_mm2: float
    filling: str
    centre_mm: tuple[float, float, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Planted:
    """One image, its true label map and its planted lesions."""

    image: Volume
    truth: LabelMap
    lesions: tuple[Lesion, ...]


def kept_planted(folder: Path, labels: Path, knee: str, kind: str) -> dict[str, Planted]:
    """Simulate the visits of one knee, once: they are kept in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {visit: folder / f"{knee}_{kind}_lesions-{visit}.json" for visit in VISITS[kind]}
    if not all(path.exists() for path in paths.values()):
        shape = reorient(read_label_map(labels / f"{knee}_side-R_dseg.nii.gz"))
        for visit, case in visits_of(shape, knee, kind).items():
            write_volume(paths[visit].with_suffix(".mri.nii.gz"), case.image)
            write_label_map(paths[visit].with_suffix(".dseg.nii.gz"), case.truth)
            paths[visit].write_text(json.dumps([asdict(lesion) for lesion in case.lesions]))
    return {visit: _read(path) for visit, path in paths.items()}


def _read(path: Path) -> Planted:
    return Planted(
        image=read_volume(path.with_suffix(".mri.nii.gz")),
        truth=read_label_map(path.with_suffix(".dseg.nii.gz")),
        lesions=tuple(Lesion(**lesion) for lesion in json.loads(path.read_text())),
    )


def visits_of(labels: LabelMap, name: str, kind: str) -> dict[str, Planted]:
    """Draw a knee without lesions, with lesions, and with grown ones, its bones moved and the leg laid anew.

    Knee, lesions and motion are the same in every sequence; coil and noise are not.
    """
    body, noise = (np.random.default_rng([2026, crc32(text.encode())]) for text in (name, name + kind))
    knee = knee_of_labels(labels, body)
    surfaces = {bone: articular_surface(bone, shape) for bone, shape in knee.bones.items()}
    pairs = plant(surfaces, crc32(name.encode()), body)
    anatomy, limits = draw_anatomy(knee, body), MotionLimits()
    still = dict.fromkeys(Bone, RigidTransform.identity())
    moved = place(flex(knee, still, body, limits), repositioned(RigidTransform.identity(), body, limits))
    poses: Mapping[str, Pose] = {"free": still, "baseline": still, "followup": moved}
    cuts = {"free": (), "baseline": tuple(a for a, _ in pairs), "followup": tuple(b for _, b in pairs)}
    result = {}
    for visit in VISITS[kind]:
        scene = Scene(knee=knee, pose=poses[visit], defects=cuts[visit], anatomy=anatomy)
        image, truth = acquired(scene, labels.grid, kind, noise)
        lesions = tuple(_lesion(d, surfaces[d.bone], poses[visit]) for d in cuts[visit])
        result[visit] = Planted(image=image, truth=truth, lesions=lesions)
    return result


def plant(
    surfaces: Mapping[Bone, ArticularSurface], turn: int, rng: np.random.Generator
) -> list[tuple[PlantedDefect, PlantedDefect]]:
    """Lesions to the bone at both visits; sizes and fillings take turns over the knees. Some find no room."""
    pairs: list[tuple[PlantedDefect, PlantedDefect]] = []
    plates = rng.permutation(PLATES)
    for n in range(LESIONS):
        area, filling = AREAS_MM2[(turn + n) % len(AREAS_MM2)], list(Filling)[(turn + n) % len(Filling)]
        areas, avoid = (area, area * rng.uniform(*GROWTH)), tuple(after for _, after in pairs)
        for plate in np.roll(plates, -n).tolist():
            try:
                pair = place_defect(
                    surfaces[bone_of(plate)], plate, areas_mm2=areas, depth=1.0, name=f"d{n}", rng=rng, avoid=avoid
                )
            except MrisegError:
                continue
            pairs.append((replace(pair[0], filling=filling), replace(pair[1], filling=filling)))
            break
    return pairs


def acquired(scene: Scene, field: Grid, kind: str, rng: np.random.Generator) -> tuple[Volume, LabelMap]:
    """Scan a scene over the field of view of a grid, with the voxels, the contrast and the noise of a sequence."""
    protocol = SEQUENCES[SequenceName(kind)]
    contrast, grid = signals(protocol), grid_over(field, protocol.spacing_mm)
    image, truth = scan(scene, grid, contrast, supersample=supersampling(protocol.spacing_mm))
    seen = image * coil_sensitivity(grid, rng) * np.float32(300 / contrast[Tissue.CARTILAGE])
    return Volume(data=add_noise(seen, 300 / protocol.snr, rng), grid=grid), truth


def _lesion(defect: PlantedDefect, surface: ArticularSurface, pose: Pose) -> Lesion:
    x, y, z = pose[defect.bone].apply(defect.centre_mm[None])[0].tolist()
    area = surface.area_inside(defect.distance(surface.vertices_mm))
    return Lesion(plate=defect.plate, area_mm2=area, filling=defect.filling.value, centre_mm=(x, y, z))
