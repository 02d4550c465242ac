"""Every noun that crosses a stage.

All types are frozen, slotted and keyword-only, and check themselves when they are made: a value that exists is valid.
World coordinates are RAS+ millimetres throughout; lengths, areas and volumes are mm, mm2 and mm3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from mriseg.errors import GeometryError

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class Label(IntEnum):
    """Values of a label map; 0 is background."""

    FEMUR = 1
    FEMORAL_CARTILAGE = 2
    TIBIA = 3
    TIBIAL_CARTILAGE = 4
    PATELLA = 5
    PATELLAR_CARTILAGE = 6


class Bone(StrEnum):
    """The three bones that carry cartilage in the knee."""

    FEMUR = "femur"
    TIBIA = "tibia"
    PATELLA = "patella"

    @property
    def label(self) -> Label:
        """Label of the bone itself."""
        return Label[self.name]

    @property
    def cartilage(self) -> Label:
        """Label of the cartilage that this bone carries."""
        return Label(self.label + 1)


class Side(StrEnum):
    """Which knee. There is no default and no way to guess it from the order of an array."""

    LEFT = "L"
    RIGHT = "R"


class Region(StrEnum):
    """Smallest regions of the articular surface (Eckstein et al. 2006), in the order of their integer codes.

    The code of a region on a :class:`BoneSurface` is its position here plus one; 0 means not articular.
    """

    CMT = "cMT"
    AMT = "aMT"
    PMT = "pMT"
    EMT = "eMT"
    IMT = "iMT"
    CLT = "cLT"
    ALT = "aLT"
    PLT = "pLT"
    ELT = "eLT"
    ILT = "iLT"
    ECMF = "ecMF"
    CCMF = "ccMF"
    ICMF = "icMF"
    ECLF = "ecLF"
    CCLF = "ccLF"
    ICLF = "icLF"
    PMF = "pMF"
    PLF = "pLF"
    TRF = "TrF"
    MP = "MP"
    LP = "LP"

    @property
    def code(self) -> int:
        """Integer code of the region on a surface, from 1."""
        return list(Region).index(self) + 1


class VertexState(IntEnum):
    """What is known at one point of the bone surface at one visit."""

    OUTSIDE = 0  # not part of tAB
    MEASURED = 1  # covered by cartilage of known thickness
    DENUDED = 2  # cartilage should be here and is not
    FAILED = 3  # could not be measured: dropped from all visits
    RIM = 4  # uncovered outer edge of tAB, too narrow to be called denuded: no thickness counts, at any visit


class RowState(StrEnum):
    """State of one row of ``regions.tsv``; only ``measured`` rows carry a value."""

    MEASURED = "measured"
    MISSING = "missing"  # the structure is not in the label map
    CUT = "cut"  # the field of view ends inside the region
    FAILED = "failed"  # the region could not be measured; the reason is in the log and on the page
    NEEDS_REVIEW = "needs-review"  # a value exists, a person has to accept it first
    STALE = "stale"  # what it was measured from has changed since; it is to be measured again
    REJECTED = "rejected"  # a reader rejected the label map; reviews.tsv says who and why


class Verdict(StrEnum):
    """How far a result of registration or segmentation may be trusted."""

    GOOD = "good"
    COARSE = "coarse"  # usable for a look, of lower accuracy, never for a change in the primary endpoint
    NEEDS_REVIEW = "needs-review"
    FAILED = "failed"


class Fate(StrEnum):
    """What became of a defect between baseline and follow-up."""

    NEW = "new"
    GROWN = "grown"
    STABLE = "stable"
    SHRUNK = "shrunk"
    RESOLVED = "resolved"


def _freeze(instance: object, name: str, value: npt.ArrayLike, dtype: npt.DTypeLike) -> Array:
    """Store a read-only, C-contiguous array of one dtype in a frozen dataclass."""
    array = np.ascontiguousarray(value, dtype=dtype)
    if array is value or array.base is value:
        array = array.view()
    array.flags.writeable = False
    object.__setattr__(instance, name, array)
    return array


def distinct(values: Array) -> list[int]:
    """Values that occur in an array, in order; an empty array has none.

    Small whole numbers are counted, which for a volume is far faster than sorting.
    """
    if values.size and values.dtype.kind in "iu" and values.min() >= 0 and values.max() < 1 << 16:
        return [int(v) for v in np.flatnonzero(np.bincount(values.ravel(order="K")))]
    return [v.item() for v in np.unique(values)]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grid:
    """A regular voxel grid in space.

    Parameters
    ----------
    shape : tuple of int, (3,)
        Number of voxels along i, j, k; all positive.
    affine : array, (4, 4)
        Voxel index ijk -> RAS+ mm, invertible.
    """

    shape: tuple[int, int, int]
    affine: FloatArray

    def __post_init__(self) -> None:
        if len(self.shape) != 3 or any(int(n) < 1 for n in self.shape):
            raise GeometryError(f"A grid needs three positive sizes, found {self.shape}.")
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        affine = _freeze(self, "affine", self.affine, np.float64)
        if affine.shape != (4, 4) or not np.isfinite(affine).all() or not np.allclose(affine[3], (0, 0, 0, 1)):
            raise GeometryError("A grid needs a finite 4 x 4 affine with the last row 0 0 0 1.")
        if abs(np.linalg.det(affine[:3, :3])) < 1e-9:
            raise GeometryError("The affine of a grid cannot be inverted: two axes are parallel or a spacing is zero.")

    @property
    def spacing_mm(self) -> FloatArray:
        """Voxel size along i, j, k in mm, shape (3,)."""
        return np.asarray(np.linalg.norm(self.affine[:3, :3], axis=0), dtype=np.float64)

    @property
    def voxel_mm3(self) -> float:
        """Volume of one voxel in mm3."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    def same_as(self, other: Grid, *, tolerance_mm: float = 1e-3) -> bool:
        """Whether both grids put every voxel at the same place, to within ``tolerance_mm`` at the corners."""
        if self.shape != other.shape:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape], indexing="ij")).reshape(3, -1)
        delta = self.affine - other.affine
        return bool(np.abs(delta[:3, :3] @ corners + delta[:3, 3:]).max() <= tolerance_mm)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Volume:
    """One MR volume: ``data`` (I, J, K) float32 in arbitrary units, on ``grid``. NaN is refused."""

    data: npt.NDArray[np.float32]
    grid: Grid

    def __post_init__(self) -> None:
        data = _freeze(self, "data", self.data, np.float32)
        if data.shape != self.grid.shape:
            raise GeometryError(f"Image data has shape {data.shape}, its grid {self.grid.shape}.")
        if not np.isfinite(data).all():
            raise GeometryError("Image data holds NaN or infinite values; expected finite intensities.")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelMap:
    """``data`` (I, J, K) uint8 of :class:`Label` (0 is background), on ``grid``."""

    data: npt.NDArray[np.uint8]
    grid: Grid

    def __post_init__(self) -> None:
        raw = np.asarray(self.data)
        whole = raw.dtype.kind in "iu" and raw.size > 0
        in_range = whole and raw.min() >= 0 and raw.max() <= max(Label)  # far faster than to list what occurs
        unknown = [] if in_range else sorted(set(distinct(raw)) - {0, *Label})
        if unknown:
            raise GeometryError(
                f"A label map holds the values {unknown}; expected 0 to {max(Label)}. "
                "Map other values in [segment.labels] of study.toml."
            )
        data = _freeze(self, "data", raw, np.uint8)
        if data.shape != self.grid.shape:
            raise GeometryError(f"Label data has shape {data.shape}, its grid {self.grid.shape}.")

    def mask(self, *labels: int) -> npt.NDArray[np.bool_]:
        """Where any of ``labels`` is, shape (I, J, K)."""
        return np.isin(self.data, labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One knee of one participant at one visit; ``days`` since baseline, None where unknown."""

    participant: str
    visit: str
    side: Side
    days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RigidTransform:
    """A rotation and translation, ``matrix`` (4, 4): baseline RAS mm -> follow-up RAS mm."""

    matrix: FloatArray

    def __post_init__(self) -> None:
        matrix = _freeze(self, "matrix", self.matrix, np.float64)
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or not np.allclose(matrix[3], (0, 0, 0, 1)):
            raise GeometryError("A rigid transform needs a finite 4 x 4 matrix with the last row 0 0 0 1.")
        rotation = matrix[:3, :3]
        if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-6) or np.linalg.det(rotation) < 0:
            raise GeometryError("A rigid transform needs a proper rotation: no scaling, shear or mirror.")

    @classmethod
    def identity(cls) -> Self:
        """Return the transform that moves nothing."""
        return cls(matrix=np.eye(4))

    def inverse(self) -> RigidTransform:
        """Return the transform from follow-up to baseline."""
        rotation = self.matrix[:3, :3]
        matrix = np.eye(4)
        matrix[:3, :3] = rotation.T
        matrix[:3, 3] = -rotation.T @ self.matrix[:3, 3]
        return RigidTransform(matrix=matrix)

    def after(self, first: RigidTransform) -> RigidTransform:
        """Return the motion ``first`` with this one after it."""
        return RigidTransform(matrix=self.matrix @ first.matrix)

    def apply(self, points_mm: FloatArray) -> FloatArray:
        """Map ``points_mm`` (N, 3) from baseline to follow-up; an empty array gives an empty array."""
        return np.asarray(points_mm @ self.matrix[:3, :3].T + self.matrix[:3, 3], dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoneRegistration:
    """How one bone moved between two visits.

    Parameters
    ----------
    transform : RigidTransform
        Baseline -> follow-up, RAS mm.
    verdict : Verdict
        Whether change may be reported from it.
    reasons : tuple of str
        Why the verdict is not ``good``; empty otherwise.
    similarity : float
        Correlation of the two images inside the bone and its edge, -1 to 1; NaN without images.
    residual_mm : float
        Mean distance between the two bone surfaces after the transform, both ways; NaN without label maps.
    figures : mapping
        Further figures (rotation_deg, translation_mm, overlap, spread_mm, ...), by name.
    """

    transform: RigidTransform
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    similarity: float = float("nan")
    residual_mm: float = float("nan")
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Registration:
    """One :class:`BoneRegistration` per bone that is present at both visits; a bone may be absent."""

    bones: Mapping[Bone, BoneRegistration]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoneSurface:
    """A triangle surface of one bone, in the right-knee frame, in the common space of the visits.

    That is half-way between two visits, and at the mean of the poses of more.

    Parameters
    ----------
    bone : Bone
    vertices_mm : array, (V, 3)
        RAS mm.
    faces : array, (F, 3)
        Vertex indices, outward normals by the right-hand rule.
    area_mm2 : array, (V,)
        Surface area that each vertex stands for (a third of its triangles).
    region : array, (V,)
        ``Region.code``; 0 where the surface is not articular.
    expected_mm : array, (V,)
        Thickness expected for this knee without disease; NaN where the surface is not articular.
    """

    bone: Bone
    vertices_mm: FloatArray
    faces: IntArray
    area_mm2: FloatArray
    region: IntArray
    expected_mm: FloatArray

    def __post_init__(self) -> None:
        vertices = _freeze(self, "vertices_mm", self.vertices_mm, np.float64)
        faces = _freeze(self, "faces", self.faces, np.int64)
        n = len(vertices)
        if vertices.ndim != 2 or vertices.shape[1:] != (3,) or faces.ndim != 2 or faces.shape[1:] != (3,):
            raise GeometryError("A surface needs (V, 3) vertices and (F, 3) faces.")
        if faces.size and (faces.min() < 0 or faces.max() >= n):
            raise GeometryError("A face of a surface names a vertex that does not exist.")
        for name, dtype in (("area_mm2", np.float64), ("region", np.int64), ("expected_mm", np.float64)):
            if _freeze(self, name, getattr(self, name), dtype).shape != (n,):
                raise GeometryError(f"{name} of a surface needs one value a vertex ({n}).")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ThicknessMap:
    """Cartilage on one :class:`BoneSurface` at one visit.

    ``thickness_mm`` (V,): 0 where denuded, NaN on the rim, outside, or where failed. ``state`` (V,) of
    :class:`VertexState`.
    """

    thickness_mm: FloatArray
    state: npt.NDArray[np.uint8]

    def __post_init__(self) -> None:
        thickness = _freeze(self, "thickness_mm", self.thickness_mm, np.float64)
        state = _freeze(self, "state", self.state, np.uint8)
        if thickness.shape != state.shape or thickness.ndim != 1:
            raise GeometryError("A thickness map needs one thickness and one state a vertex.")
        if np.isnan(thickness[state == VertexState.MEASURED]).any():
            raise GeometryError("A measured vertex has no thickness; mark it as failed instead.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionValue:
    """One row of ``regions.tsv`` at one visit; ``value`` is NaN unless ``state`` is measured or needs-review."""

    region: str
    metric: str
    value: float
    unit: str
    state: RowState = RowState.MEASURED


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """One connected lesion on the articular surface at one visit.

    Parameters
    ----------
    defect_id : str
        Unique within one patient and visit.
    region : str
        Smallest region that holds most of its area.
    icrs_class : int
        1 superficial, 2 under half of the depth, 3 over half, 4 to the bone.
    area_mm2, volume_mm3 : float
        Area on the bone surface; cartilage volume missing against the expected thickness.
    mean_depth_pct, max_depth_pct : float
        Depth in percent of the expected thickness.
    centroid_mm : tuple of float, (3,)
        RAS mm in the right-knee frame of the half-way space.
    diameter_mm : float
        Largest diameter.
    osteophyte : bool
        Bone rises into the cartilage bed here.
    matched_defect_id : str or None
        The lesion at the other visit that overlaps it most.
    change_mm2 : float
        Follow-up minus baseline area of the matched pair; NaN with one visit.
    fate : Fate or None
        None with one visit.
    """

    defect_id: str
    region: str
    icrs_class: int
    area_mm2: float
    mean_depth_pct: float
    max_depth_pct: float
    volume_mm3: float
    centroid_mm: tuple[float, float, float]
    diameter_mm: float
    osteophyte: bool = False
    matched_defect_id: str | None = None
    change_mm2: float = float("nan")
    fate: Fate | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VisitMeasurement:
    """Everything measured at one visit on the shared surfaces.

    ``to_visit`` maps the common space of a bone to this visit, both in the right-knee frame.
    """

    thickness: Mapping[Bone, ThicknessMap]
    to_visit: Mapping[Bone, RigidTransform]
    regions: tuple[RegionValue, ...]
    defects: tuple[Defect, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measurement:
    """Surfaces shared by all visits, and what was measured on them.

    ``visits`` stand in the order of the label maps, baseline first. ``notes`` names what a reader should know (a bone
    cut by the field of view, an atlas fit that needs review), in plain sentences.
    """

    surfaces: Mapping[Bone, BoneSurface]
    visits: tuple[VisitMeasurement, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.visits:
            raise GeometryError("A measurement needs at least one visit.")

    @property
    def baseline(self) -> VisitMeasurement:
        """The first visit."""
        return self.visits[0]

    @property
    def followup(self) -> VisitMeasurement | None:
        """The second visit; None where there is one alone."""
        return self.visits[1] if len(self.visits) > 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmComparison:
    """Between-arm estimate of one endpoint: treated minus reference, adjusted for baseline, strata and covariates."""

    region: str
    metric: str
    unit: str
    arms: tuple[str, str]
    n: tuple[int, int]
    estimate: float
    ci_low: float
    ci_high: float
    p_ancova: float
    p_permutation: float
    detectable_effect: float
    method: str
