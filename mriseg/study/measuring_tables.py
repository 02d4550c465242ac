"""The tables of ``study.toml`` that steer registration and measurement."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, field_validator

from mriseg.errors import MrisegError
from mriseg.parameters import changed


class Table(BaseModel):
    """One table of ``study.toml``; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DefectTable(Table):
    """``[defects]``: what counts as a lesion, and which change of one is none."""

    min_area_mm2: float = Field(default=5.0, gt=0)
    partial_depth_pct: float = Field(default=28.0, gt=0, lt=100)
    stable_mm2: float = Field(default=5.0, ge=0)
    stable_fraction: float = Field(default=0.10, ge=0, lt=1)


class MeasureTable(Table):
    """``[measure]``: ``band_pct`` ends the weight-bearing femur, in percent from notch to posterior end.

    ``rim_mm`` is the width under which uncovered bone along the edge is no loss, ``central_fraction`` the part of a
    tibial plate that is its centre. ``tuned`` changes any other number of the measurement, by its dotted name.
    """

    band_pct: float = Field(default=75.0, ge=20, lt=100)
    rim_mm: float = Field(default=2.5, ge=0)
    central_fraction: float = Field(default=0.20, gt=0, lt=1)
    tuned: dict[str, float] = {}

    @field_validator("tuned")
    @classmethod
    def _known(cls, values: dict[str, float]) -> dict[str, float]:
        if values:
            from mriseg.measure import MeasureParameters  # only where a study asks for it: it loads much

            _try(MeasureParameters(), values)
        return values


class RegisterTable(Table):
    """``[register]``: ``tuned`` changes any number of the registration, by its dotted name."""

    tuned: dict[str, float] = {}

    @field_validator("tuned")
    @classmethod
    def _known(cls, values: dict[str, float]) -> dict[str, float]:
        if values:
            from mriseg.register import RegisterSettings

            _try(RegisterSettings(), values)
        return values


def _try(parameters: object, values: Mapping[str, float]) -> None:
    try:
        changed(parameters, values)
    except MrisegError as error:
        raise ValueError(str(error)) from error
