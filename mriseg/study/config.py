"""``study.toml``: what a study is, checked key by key; an unknown key is an error."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    model_validator,
)

from mriseg.compare.plan import AnalysisPlan
from mriseg.errors import StudyError
from mriseg.study.measuring_tables import DefectTable, MeasureTable, RegisterTable, Table


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return pattern


Pattern = Annotated[str, AfterValidator(_compiles)]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


def _number_or_name(key: object) -> object:
    """TOML knows keys of text alone: one of digits is a value in a file, any other the name of a segment."""
    return int(key) if isinstance(key, str) and key.strip().isdecimal() else key


Structure = Annotated[int | str, BeforeValidator(_number_or_name)]


class StudyTable(Table):
    """``[study]``: the name of the study."""

    id: Identifier
    title: str = ""


class VisitTable(Table):
    """One ``[[visits]]``: its id, its day since baseline and the days it may lie between."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,32}$")]
    day: int
    window: tuple[int, int] | None = None

    @model_validator(mode="after")
    def _day_in_window(self) -> VisitTable:
        if self.window and not self.window[0] <= self.day <= self.window[1]:
            raise ValueError(f"visit {self.id}: day {self.day} lies outside of its window {list(self.window)}")
        return self


class SeriesRule(Table):
    """``[series]``: which series of a visit is measured; all given conditions must hold.

    ``description`` and ``exclude`` are regular expressions on the series description, as the header has it or as the
    inventory shows it (known words, lower case, joined by hyphens). ``family`` is what makes the echo, ``echo`` an echo
    number, ``derived`` says whether images computed from others are wanted, ``max_spacing_mm`` is the coarsest voxel
    edge allowed.
    """

    description: Pattern | None = None
    exclude: Pattern | None = None
    plane: Literal["sagittal", "coronal", "axial", "oblique"] | None = None
    family: Literal["gradient", "spin"] | None = None
    echo: int | None = None
    component: Literal["magnitude", "phase", "real", "imaginary"] | None = None
    derived: bool | None = None
    max_spacing_mm: float | None = Field(default=None, gt=0)


class NetworkTable(Table):
    """``[segment.network]``: what the network of ``[segment] onnx`` expects; see :class:`mriseg.segment.NetworkSpec`.

    ``labels`` maps its output channels to mriseg's labels.
    """

    name: str = "network of this study"
    sha256: Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{64}$")]
    spacing_mm: tuple[float, float, float]
    window: tuple[int, int, int]
    multiple: int = Field(default=16, ge=1)
    mirrored: bool = False
    labels: dict[int, Annotated[int, Field(ge=0, le=6)]] | None = None
    axes: str = "RAS"
    normalise: Literal["block", "image"] = "block"
    sharpen: bool = False
    rules: tuple[str, ...] | None = None


class SegmentTable(Table):
    """``[segment]``: where label maps come from.

    ``readers`` takes them from ``masks/``; ``network`` runs the shipped network, or the ONNX file ``onnx`` (a path from
    the study folder), which ``network`` or a JSON file beside it describes. A mask in ``masks/`` always goes before the
    network. ``labels`` maps values of the readers' files, or names of their segments, to mriseg's.
    """

    method: Literal["readers", "network"] = "network"
    labels: dict[Structure, Annotated[int, Field(ge=0, le=6)]] | None = None
    onnx: Path | None = None
    network: NetworkTable | None = None

    @model_validator(mode="after")
    def _network_has_a_file(self) -> SegmentTable:
        if self.network and not self.onnx:
            raise ValueError("[segment.network] describes a network, but [segment] onnx names none")
        return self


StepName = Literal["convert", "segment", "register", "measure", "page"]
LIMITS_MIN: Mapping[StepName, float] = {"convert": 30, "segment": 120, "register": 60, "measure": 60, "page": 30}


class RunTable(Table):
    """``[run]``: how a run deals with its steps; no result depends on it.

    ``limit_min`` gives the minutes after which a step counts as hanging and is ended, which is a failure of that step.
    The defaults are some twenty times what a step takes on a 0.36 mm series with one thread.
    """

    limit_min: dict[StepName, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)

    def limit_of(self, step: str) -> float:
        """Limit of one step, minutes."""
        return next(m for known in (self.limit_min, LIMITS_MIN) for name, m in known.items() if name == step)


class StudyConfig(Table):
    """The whole of ``study.toml``."""

    study: StudyTable
    visits: Annotated[tuple[VisitTable, ...], Field(min_length=1)]
    series: SeriesRule = SeriesRule()
    segment: SegmentTable = SegmentTable()
    register_: RegisterTable = Field(default=RegisterTable(), alias="register")
    measure: MeasureTable = MeasureTable()
    defects: DefectTable = DefectTable()
    run: RunTable = RunTable()
    analysis: AnalysisPlan | None = None

    @model_validator(mode="after")
    def _visits_agree(self) -> StudyConfig:
        ids = [visit.id for visit in self.visits]
        if len(set(ids)) != len(ids):
            raise ValueError(f"visits: the ids {ids} are not unique")
        if self.analysis:
            for name in (self.analysis.baseline, self.analysis.followup, *self.analysis.visits):
                if name not in ids:
                    raise ValueError(f"analysis: the visit {name!r} is not among the visits {ids}")
        return self

    @property
    def measuring(self) -> dict[str, float]:
        """What the study says about the measurement, by the names of :class:`mriseg.measure.MeasureParameters`."""
        plain = self.measure.model_dump(exclude={"tuned"}) | self.defects.model_dump()
        return plain | self.measure.tuned


def read_config(path: Path) -> StudyConfig:
    """Read and check a ``study.toml``.

    Raises
    ------
    StudyError
        Where the file is absent, no TOML, or holds unknown or wrong keys; every one of them is named.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StudyError(f"{path}: no such file. `mriseg new` drafts one from a folder of DICOM files.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StudyError(f"{path.name}: not valid TOML: {error}") from error
    try:
        return StudyConfig.model_validate(raw)
    except ValidationError as error:
        raise StudyError(f"{path.name}: " + "; ".join(_explain(e) for e in error.errors())) from error


def _explain(detail: object) -> str:
    assert isinstance(detail, dict)
    where = ".".join(str(part) for part in detail["loc"]) or "the file"
    if detail["type"] == "extra_forbidden":
        return f"unknown key {where}; expected one of those in the manual (docs/study-folder.md)"
    return f"{where}: {detail['msg']}"
