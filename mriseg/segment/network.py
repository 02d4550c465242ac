"""Networks as files: the shipped one and a site's own, each with a specification and a hash that must agree.

``NAME.onnx`` is described by ``NAME.json`` beside it (:class:`NetworkSpec`). A network maps a float32 image
(1, 1, I, J, K) of a right knee (left ones are mirrored before) to logits (1, C, I, J, K). Without ``axes`` i grows to
the right, j to the front, k up.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import nibabel as nib
import numpy as np

from mriseg.errors import SegmentationError
from mriseg.types import FloatArray, IntArray, Label

SHIPPED = Path(__file__).resolve().parents[1] / "assets" / "segmenter.onnx"
CHANNELS: Mapping[int, int] = {0: 0, **{int(label): int(label) for label in Label}}
LINES = ("RL", "AP", "SI")
OPTIONAL = {"multiple", "mirrored", "draft", "labels", "axes", "normalise", "sharpen", "refiner", "rules"}
RULES_AT_HAND = ("look", "detail", "craters", "shafts", "cortex", "tendons", "anatomy")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """What a network expects and gives.

    Parameters
    ----------
    name : str
        Shown in sidecars.
    sha256 : str
        Hash of the ONNX file, 64 hexadecimal digits.
    spacing_mm : tuple of float, (3,)
        Voxel size that the network was trained at, along its own axes.
    window : tuple of int, (3,)
        Block in voxels that is shown to it at once, along its own axes; a multiple of ``multiple`` along each.
    multiple : int
        Sizes of a block must be multiples of it.
    mirrored : bool
        Whether it was trained on mirrored knees too; then a second, mirrored look is averaged with the first.
    draft : bool
        Whether it is known to be too inaccurate for measuring; then every result needs review.
    labels : mapping
        Output channel -> :class:`~mriseg.types.Label` value, or 0 for what is not measured.
    axes : str
        Where each axis of its input grows to: three of R or L, A or P, S or I. nnU-Net reads sagittal series as ``RIP``
        or ``LIP``.
    normalise : str
        What is brought to zero mean and unit SD: each ``block`` that is shown to it, or the whole ``image``.
    sharpen : bool
        Whether the intensities of the image sharpen its answer (:mod:`mriseg.segment.sharpen`); for networks on a grid
        coarser than the image's.
    refiner : str
        SHA-256 of ``NAME_refiner.onnx`` beside the network, which refines its answer (:mod:`mriseg.segment.refine`);
        empty where there is none.
    rules : tuple of str, optional
        Rules that draw the label map, in their order (:mod:`mriseg.segment.rules`). None takes all of them where the
        image has a say (``sharpen`` or ``refiner``), else ``anatomy`` alone.
    """

    name: str
    sha256: str
    spacing_mm: tuple[float, float, float]
    window: tuple[int, int, int]
    multiple: int = 16
    mirrored: bool = False
    draft: bool = False
    labels: Mapping[int, int] = field(default_factory=lambda: CHANNELS)
    axes: str = "RAS"
    normalise: Literal["block", "image"] = "block"
    sharpen: bool = False
    refiner: str = ""
    rules: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if len(self.axes) != 3 or any(sum(letter in line for letter in self.axes) != 1 for line in LINES):
            raise SegmentationError(
                f"Network {self.name}: the axes {self.axes!r} are not one each of R or L, A or P, S or I."
            )
        if self.normalise not in {"block", "image"}:
            raise SegmentationError(
                f"Network {self.name}: cannot normalise {self.normalise!r}; expected 'block' or 'image'."
            )
        if len(self.spacing_mm) != 3 or min(self.spacing_mm) <= 0:
            raise SegmentationError(f"Network {self.name}: expected three positive spacings, found {self.spacing_mm}.")
        if len(self.window) != 3 or any(n < 1 or n % self.multiple for n in self.window):
            raise SegmentationError(
                f"Network {self.name}: the window {self.window} needs three multiples of {self.multiple}."
            )
        strange = sorted(set(self.rules or ()) - set(RULES_AT_HAND))
        if strange or len(set(self.rules or ())) < len(self.rules or ()):
            raise SegmentationError(
                f"Network {self.name}: the rules {list(self.rules or ())} hold unknown ones {strange} or one twice; "
                f"expected each at most once of {list(RULES_AT_HAND)}."
            )
        unknown = sorted(set(self.labels.values()) - {0, *Label})
        missing = sorted(set(Label) - set(self.labels.values()))
        if unknown or missing:
            raise SegmentationError(
                f"Network {self.name}: its labels map to {sorted(set(self.labels.values()))}; expected each of "
                f"1 to {max(Label)} at least once, and 0 for the rest."
            )

    @property
    def turn(self) -> IntArray:
        """Orientation transform of nibabel, (3, 2), from axes to the right, front and up to the network's own."""
        ras, own = nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(self.axes)
        return np.asarray(nib.orientations.ornt_transform(ras, own), dtype=np.int64)

    @property
    def rules_in_order(self) -> tuple[str, ...]:
        """Rules that its label maps go through, in their order."""
        if self.rules is not None:
            return self.rules
        return RULES_AT_HAND if self.sharpen or self.refiner else ("anatomy",)

    @property
    def spacing_ras_mm(self) -> FloatArray:
        """Voxel size along right, front and up, (3,)."""
        order = [next(n for n, letter in enumerate(self.axes) if letter in line) for line in LINES]
        return np.array([self.spacing_mm[n] for n in order], dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """An ONNX model, checked against its specification."""

    model: bytes = field(repr=False)
    spec: NetworkSpec
    refiner: bytes | None = field(default=None, repr=False)

    @property
    def identity(self) -> dict[str, str]:
        """Name and SHA-256 of every file of it, as sidecars name them."""
        refiner = {"refiner_sha256": self.spec.refiner} if self.spec.refiner else {}
        return {"name": self.spec.name, "sha256": self.spec.sha256, **refiner}

    @property
    def sharpens(self) -> bool:
        """Whether the intensities of the image have a say in the label map."""
        return self.spec.sharpen or self.refiner is not None


def load_network(path: Path | None = None, *, spec: NetworkSpec | None = None) -> Network:
    """Read a network and check its hash.

    Parameters
    ----------
    path : Path, optional
        An ONNX file; None takes the one that mriseg ships.
    spec : NetworkSpec, optional
        Its specification; None reads the JSON file of the same name beside it.

    Raises
    ------
    SegmentationError
        Where a file is missing or unreadable, or where the hash differs from the specification.
    """
    onnx = SHIPPED if path is None else path
    model = read_model(onnx)
    spec = read_spec(onnx.with_suffix(".json")) if spec is None else spec
    check(model, onnx.name, spec.sha256)
    if not spec.refiner:
        return Network(model=model, spec=spec)
    path = onnx.with_name(f"{onnx.stem}_refiner.onnx")
    refiner = read_model(path)
    check(refiner, path.name, spec.refiner)
    return Network(model=model, spec=spec, refiner=refiner)


def read_model(path: Path) -> bytes:
    """Read an ONNX file."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise SegmentationError(f"{path.name}: the network cannot be read ({error.strerror}).") from error


def check(model: bytes, name: str, expected: str) -> None:
    """Raise where the SHA-256 of a model is not as expected."""
    found = hashlib.sha256(model).hexdigest()
    if found != expected.lower():
        raise SegmentationError(
            f"{name}: SHA-256 is {found}, expected {expected}. The file was changed or damaged; "
            "install it again, or correct the hash if this is the network you mean."
        )


def read_spec(path: Path) -> NetworkSpec:
    """Read the specification of a network from JSON; an unknown or missing key is an error that names it."""
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SegmentationError(
            f"{path.name}: no readable specification of the network beside it. Write one, or give it in "
            "[segment.network] of study.toml."
        ) from error
    return spec_of(values, path.name)


def spec_of(values: Mapping[str, Any], source: str) -> NetworkSpec:
    """Specification from plain values; an unknown or missing key is an error that names ``source`` and the key."""
    required = {f.name for f in fields(NetworkSpec)} - OPTIONAL
    wrong = sorted(set(values) - required - OPTIONAL | (required - set(values)))
    if wrong:
        raise SegmentationError(
            f"{source}: unknown or missing keys {wrong}; expected {sorted(required)}, and if needed {sorted(OPTIONAL)}."
        )
    known = dict(values)
    for key in {"spacing_mm", "window", "rules"} & set(known):
        known[key] = tuple(known[key])
    if "labels" in known:
        known["labels"] = {int(channel): int(label) for channel, label in known["labels"].items()}
    return NetworkSpec(**known)
