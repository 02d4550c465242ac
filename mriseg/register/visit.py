"""What the alignment needs of one visit, drawn once from its label map and image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree

from mriseg.geometry import crop
from mriseg.register.band import Obstacles
from mriseg.register.cloud import Cloud, bone_cloud, cartilage_points
from mriseg.register.sampling import to_voxels
from mriseg.types import Bone, LabelMap, Volume

IMAGE_MARGIN_MM = 8.0  # around a bone: more than any profile and its smoothing reach


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VisitSurfaces:
    """One visit: the image, the surface of every bone (empty where absent) and, with an image, all cartilage."""

    volume: Volume | None
    labels: LabelMap
    clouds: dict[Bone, Cloud]
    cartilage: KDTree | None

    def obstacles(self, bone: Bone) -> Obstacles:
        """What intensities around ``bone`` keep away from."""
        others = np.concatenate([self.clouds[other].points_mm for other in Bone if other is not bone])
        return Obstacles(cartilage=self.cartilage, bones=KDTree(others) if len(others) else None)

    def image_of(self, bone: Bone) -> Volume | None:
        """The image around ``bone``; None without an image or where the image does not show the place."""
        if self.volume is None:
            return None
        ijk = to_voxels(self.volume.grid, self.clouds[bone].points_mm)
        margin = IMAGE_MARGIN_MM / self.volume.grid.spacing_mm
        low, high = np.floor(ijk.min(axis=0) - margin), np.ceil(ijk.max(axis=0) + margin) + 1
        if (low >= self.volume.grid.shape).any() or (high <= 0).any():
            return None
        return crop(self.volume, low, high)


def visit_surfaces(volume: Volume | None, labels: LabelMap, *, smoothing_mm: float, spacing_mm: float) -> VisitSurfaces:
    """Draw the surface of every bone of a visit."""
    boxes = ndimage.find_objects(labels.data, max_label=max(bone.label for bone in Bone))
    clouds = {
        bone: bone_cloud(labels, bone, box=boxes[bone.label - 1], smoothing_mm=smoothing_mm, spacing_mm=spacing_mm)
        for bone in Bone
    }
    cartilage = cartilage_points(labels, spacing_mm=1.0) if volume is not None else np.empty((0, 3))
    tree = KDTree(cartilage) if len(cartilage) else None
    return VisitSurfaces(volume=volume, labels=labels, clouds=clouds, cartilage=tree)
