"""Coarse surfaces of the bones of a label map, laid onto the atlas by size and place: enough to judge, and quick."""

from __future__ import annotations

import cc3d
import numpy as np

from mriseg.atlas import RigidLay, lay_rigid, load_atlas
from mriseg.errors import GeometryError
from mriseg.geometry import thin
from mriseg.surfaces import Surface, extract_surface
from mriseg.types import Bone, LabelMap, Side

COARSE_MM = 2.2
SMOOTHING_MM = 1.5
LEAST_MM3 = 3_000.0  # a smaller piece is no bone that a shape could be told from


def bone_surfaces(label_map: LabelMap) -> dict[Bone, Surface]:
    """Surface of the largest piece of each bone that measures 3 ml or more; world coordinates of ``label_map``."""
    coarse = thin(label_map, COARSE_MM)
    surfaces = {}
    for bone in Bone:
        pieces, count = cc3d.connected_components(coarse.mask(bone.label), connectivity=6, return_N=True)
        sizes = np.bincount(pieces.ravel(), minlength=2)[1:]
        if not count or sizes.max() * coarse.grid.voxel_mm3 < LEAST_MM3:
            continue
        try:
            surfaces[bone] = extract_surface(pieces == sizes.argmax() + 1, coarse.grid, smoothing_mm=SMOOTHING_MM)
        except GeometryError:  # it fills the whole image
            continue
    return surfaces


def laid(label_map: LabelMap) -> dict[Bone, dict[Side, RigidLay]]:
    """Lay the atlas onto each bone of a label map (world RAS, not mirrored), as a right and as a left knee.

    The fit of a left knee is that of the mirror image, in the right-knee frame.
    """
    lays = {}
    for bone, surface in bone_surfaces(label_map).items():
        mirror = Surface(vertices_mm=surface.vertices_mm * np.array([-1.0, 1.0, 1.0]), faces=surface.faces[:, ::-1])
        atlas = load_atlas()[bone]
        lays[bone] = {Side.RIGHT: lay_rigid(atlas, bone, surface), Side.LEFT: lay_rigid(atlas, bone, mirror)}
    return lays
