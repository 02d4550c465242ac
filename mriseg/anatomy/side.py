"""Which knee a label map shows, told by the shape of each bone, and how sure that is.

Every bone is laid onto the atlas of the right knee twice, as it is and as its mirror image, by size and place alone.
The logarithm of the ratio of the two distances tells the side: zero where both fit alike, the same with the other sign
for the mirror image. A diseased or cut bone fits both less well, and the ratio comes closer to one: it becomes unsure
before it becomes wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy import stats

from mriseg.anatomy.bones import laid
from mriseg.atlas import RigidLay
from mriseg.types import Bone, LabelMap, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class SideModel:
    """How the bones of a right knee fit the atlas.

    The defaults are from 116 poses and crops of 20 real maps, as ``benchmarks/side_check.py`` makes them; none of these
    had a ratio below zero.

    Parameters
    ----------
    mean, sd : mapping
        Of the logarithm of left over right distance, by bone, over real right knees in all poses and crops.
    freedom : float
        Degrees of freedom of the Student distribution about the mean. Few give it heavy tails: no shape, however
        strange, makes the check surer than its experience of real maps allows.
    sure : float
        Probability from which a bone is sure of its side.
    """

    mean: Mapping[Bone, float] = field(default_factory=lambda: {Bone.FEMUR: 0.87, Bone.TIBIA: 0.92, Bone.PATELLA: 0.88})
    sd: Mapping[Bone, float] = field(default_factory=lambda: {Bone.FEMUR: 0.25, Bone.TIBIA: 0.18, Bone.PATELLA: 0.33})
    freedom: float = 4.0
    sure: float = 0.95


MODEL = SideModel()


@dataclass(frozen=True, slots=True, kw_only=True)
class SideOpinion:
    """Probability of a right knee by each bone that shows enough to judge; a bone may be absent."""

    right: Mapping[Bone, float]
    sure: float = MODEL.sure

    def contradicts(self, side: Side) -> bool:
        """Whether femur, tibia and patella are all sure of the other side."""
        return len(self.right) == len(Bone) and self.all_sure_of(other(side))

    def all_sure_of(self, side: Side) -> bool:
        """Whether every bone that could be judged is sure of ``side``; false where none could."""
        return bool(self.right) and all(self._of(bone, side) >= self.sure for bone in self.right)

    def doubts(self, side: Side) -> bool:
        """Whether any bone speaks for the other side more than for ``side``."""
        return any(self._of(bone, side) < 0.5 for bone in self.right)

    def __str__(self) -> str:
        """Say of each bone which side its shape is of, and how sure that is."""
        said = []
        for bone in self.right:
            side = Side.RIGHT if self.right[bone] >= 0.5 else Side.LEFT
            said.append(f"{bone} {side} ({100 * self._of(bone, side):.1f} % sure)")
        return ", ".join(said) or "no bone shows enough to tell"

    def _of(self, bone: Bone, side: Side) -> float:
        return self.right[bone] if side is Side.RIGHT else 1.0 - self.right[bone]


def other(side: Side) -> Side:
    """Return the other side."""
    return Side.LEFT if side is Side.RIGHT else Side.RIGHT


def side_of(label_map: LabelMap, model: SideModel = MODEL) -> SideOpinion:
    """Tell the side of a knee by the shape of its bones.

    Parameters
    ----------
    label_map : LabelMap
        In the true world frame (RAS), not mirrored.
    model : SideModel
    """
    return opinion(laid(label_map), model)


def opinion(lays: Mapping[Bone, Mapping[Side, RigidLay]], model: SideModel = MODEL) -> SideOpinion:
    """Turn the two fits of each bone into probabilities."""
    right = {}
    for bone, fits in lays.items():
        ratio = float(np.log(fits[Side.LEFT].residual_mm / fits[Side.RIGHT].residual_mm))
        for_side = [stats.t.logpdf((ratio - m) / model.sd[bone], model.freedom) for m in _means(model, bone)]
        right[bone] = float(1.0 / (1.0 + np.exp(for_side[1] - for_side[0])))
    return SideOpinion(right=right, sure=model.sure)


def _means(model: SideModel, bone: Bone) -> tuple[float, float]:
    return model.mean[bone], -model.mean[bone]
