"""Turn each label map into one compact array that the generator reads: shape as signed distances, soft tissue as codes.

    python prepare.py LABELS_DIR ANATOMY.nrrd CACHE_DIR [--only FIRST:LAST:STEP]

One knee becomes ``CACHE_DIR/NAME.npy``, int8 (8, I, J, K), in the right-knee frame on its own grid at about 0.7 mm:

==  ==================================================================================
0   signed distance to the femur, unit 0.05 mm, negative inside, clipped to 6.35 mm
1   the same of femur and femoral cartilage together
2-3 tibia; tibia and its cartilage                       4-5 patella; patella and its cartilage
6   soft tissue code (:class:`Tissue`), carried over from a whole-knee anatomy map
7   signed distance to the hull of the deep tissue, unit 0.5 mm: skin and fat lie outside of it
==  ==================================================================================
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import edt
import numpy as np
from anatomy_map import LabelMapLike, Tissue, carry_anatomy, load_anatomy
from scipy import ndimage
from scipy.special import ndtri

from mriseg.geometry import reorient
from mriseg.nifti import read_label_map
from mriseg.splits import Split, load_splits
from mriseg.types import Array, Bone, FloatArray, Grid, LabelMap

SDF_UNIT_MM = 0.05
HULL_UNIT_MM = 0.5
SMOOTH_MM = 0.45  # hides the steps between 0.7 mm slices, which no real image shows


def distance_mm(mask: Array, spacing: FloatArray) -> Array:
    """Signed distance in mm of a fraction image (I, J, K), sub-voxel near its 0.5 level, negative inside."""
    inside = mask > 0.5
    step = tuple(spacing.tolist())
    far = edt.edt(~inside, anisotropy=step, parallel=1) - edt.edt(inside, anisotropy=step, parallel=1)
    far -= np.sign(far) * 0.5 * spacing.min()
    soft = ndimage.gaussian_filter(mask.astype(np.float32), SMOOTH_MM / spacing, truncate=3)
    width = np.sqrt(SMOOTH_MM**2 + spacing.mean() ** 2 / 12)
    near = -width * ndtri(np.clip(soft, 0.01, 0.99))
    share = np.clip((np.abs(far) - 0.6) / 0.5, 0, 1)
    return np.asarray((1 - share) * near + share * far, dtype=np.float32)


def halve_in_plane(label_map: LabelMap) -> tuple[dict[int, Array], Grid]:
    """Fractions of the six labels on a grid with pairs of voxels along j and k merged."""
    i, j, k = label_map.grid.shape
    data = label_map.data[:, : j // 2 * 2, : k // 2 * 2]
    blocks = data.reshape(i, j // 2, 2, k // 2, 2)
    fractions = {n: (blocks == n).mean(axis=(2, 4), dtype=np.float32) for n in range(1, 7)}
    scale = np.diag([1.0, 2, 2, 1])
    scale[1:3, 3] = 0.5
    return fractions, Grid(shape=(i, j // 2, k // 2), affine=label_map.grid.affine @ scale)


def hull_distance_mm(deep: Array, spacing: FloatArray) -> Array:
    """Signed distance (I, J, K) to the hull of the deep tissue: closed by 18 mm on a coarse grid."""
    small = np.pad(deep[::3, ::3, ::3], 12)
    small[:, :, :12], small[:, :, -12:] = small[:, :, 12:13], small[:, :, -13:-12]  # the leg goes on
    step = tuple((3 * spacing).tolist())
    grown = edt.edt(~small, anisotropy=step, parallel=1) > 18
    closed = edt.edt(~grown, anisotropy=step, parallel=1) > 18
    signed = edt.edt(~closed, anisotropy=step, parallel=1) - edt.edt(closed, anisotropy=step, parallel=1)
    signed = ndimage.gaussian_filter(signed[12:-12, 12:-12, 12:-12], 1.0)
    zoomed = ndimage.zoom(signed, 3, order=1)[tuple(slice(0, n) for n in deep.shape)]
    pad = [(0, n - m) for n, m in zip(deep.shape, zoomed.shape, strict=True)]
    return np.pad(zoomed, pad, mode="edge")


def prepare(path: Path, anatomy: LabelMapLike) -> tuple[Array, Grid]:
    """Make the channels described above for one label map of a right knee."""
    fractions, grid = halve_in_plane(reorient(read_label_map(path)))
    spacing = grid.spacing_mm
    channels, far = [], {}
    for bone in Bone:
        own = fractions[bone.label]
        far[bone] = distance_mm(own, spacing)
        channels += [far[bone], distance_mm(np.minimum(own + fractions[bone.cartilage], 1), spacing)]
    tissue = carry_anatomy(anatomy, fractions, far, grid)
    bone_or_cartilage = np.minimum.reduce(channels) < 0
    stray = (tissue == Tissue.JOINT_SPACE) & (np.minimum.reduce(channels) > 4)
    tissue[stray] = Tissue.FAT
    hull = hull_distance_mm(bone_or_cartilage | ((tissue > 0) & (tissue != Tissue.VESSEL)), spacing)
    coded = [np.clip(np.rint(c / SDF_UNIT_MM), -127, 127).astype(np.int8) for c in channels]
    coded += [tissue.astype(np.int8), np.clip(np.rint(hull / HULL_UNIT_MM), -127, 127).astype(np.int8)]
    return np.stack(coded), grid


def fill(labels: Path, anatomy: Path, cache: Path, chosen: slice = slice(None)) -> None:
    """Prepare every label map of a training or validation knee that is not in the cache yet; ``chosen`` of them."""
    cache.mkdir(parents=True, exist_ok=True)
    usable = load_splits().chosen(labels.glob("sub-*_dseg.nii.gz"), Split.TRAINING, Split.VALIDATION)
    carried = load_anatomy(anatomy)
    for path in usable[chosen]:
        target = cache / f"{path.name.removesuffix('_dseg.nii.gz')}.npy"
        if target.exists():
            continue
        channels, grid = prepare(path, carried)
        target.with_suffix(".json").write_text(json.dumps({"affine": grid.affine.tolist(), "shape": grid.shape}))
        np.save(target.with_suffix(".part.npy"), channels)
        target.with_suffix(".part.npy").rename(target)
        print(target.name, channels.shape, flush=True)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labels", type=Path)
    parser.add_argument("anatomy", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--only", default=":", help="slice of the sorted files, as FIRST:LAST:STEP")
    given = parser.parse_args()
    fill(given.labels, given.anatomy, given.cache, slice(*(int(n) if n else None for n in given.only.split(":"))))


if __name__ == "__main__":
    main()
