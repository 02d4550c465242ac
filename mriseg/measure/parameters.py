"""Every choice of the measurement, with its default; recorded in the sidecar of each result."""

from __future__ import annotations

from dataclasses import dataclass, field

from mriseg.atlas import AtlasParameters
from mriseg.errors import MeasurementError
from mriseg.measure.tuned import (
    CoverParameters,
    FigureParameters,
    FootprintParameters,
    LesionParameters,
    NormParameters,
    PlaceParameters,
)
from mriseg.parameters import changed, flat

LEAST_BAND_PCT, MOST_BAND_PCT = 20.0, 100.0
MOST_MM = 3.0  # of any smoothing or spacing: cartilage is not thicker


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureParameters:
    """Choices of the measurement.

    Parameters
    ----------
    smoothing_mm : float
        Gaussian smoothing of the signed distance that surfaces are drawn through.
    coverage_smoothing_mm : float
        Gaussian smoothing of the cartilage label when the edge of denuded bone is drawn.
    spacing_mm : float
        Spacing of the half-way grid on which the shared bone surface is drawn.
    fit_spacing_mm : float
        Spacing of the coarse bone surface that the atlas is fitted to.
    rim_mm : float
        Uncovered bone narrower than this along the outer edge of tAB is the edge itself, not a lesion.
    min_area_mm2 : float
        Smaller lesions are not reported, and smaller bare spots count as covered.
    central_fraction : float
        Part of tAB of a tibial plate that is its central region.
    band_pct : float
        Posterior end of cMF and cLF, in percent of the way from the notch to the posterior
        end of the condyle (60 or 75).
    partial_depth_pct : float
        Loss of thickness from which a partial-thickness lesion is reported.
    stable_mm2, stable_fraction : float
        A matched lesion that changes by less than the larger of the two is stable.
    cover, footprint, norm, lesion, place, figure, atlas
        Tuned numbers of each part, which a study has no reason to change; see :mod:`mriseg.measure.tuned`.
    """

    smoothing_mm: float = 0.5
    coverage_smoothing_mm: float = 0.4
    spacing_mm: float = 0.6
    fit_spacing_mm: float = 1.5
    rim_mm: float = 2.5
    min_area_mm2: float = 5.0
    central_fraction: float = 0.20
    band_pct: float = 75.0
    partial_depth_pct: float = 28.0
    stable_mm2: float = 5.0
    stable_fraction: float = 0.10
    cover: CoverParameters = field(default_factory=CoverParameters)
    footprint: FootprintParameters = field(default_factory=FootprintParameters)
    norm: NormParameters = field(default_factory=NormParameters)
    lesion: LesionParameters = field(default_factory=LesionParameters)
    place: PlaceParameters = field(default_factory=PlaceParameters)
    figure: FigureParameters = field(default_factory=FigureParameters)
    atlas: AtlasParameters = field(default_factory=AtlasParameters)

    def __post_init__(self) -> None:
        for name in ("smoothing_mm", "coverage_smoothing_mm", "spacing_mm", "fit_spacing_mm"):
            if not 0.0 < getattr(self, name) <= MOST_MM:
                raise MeasurementError(
                    f"{name} is {getattr(self, name)}; expected more than 0 and at most {MOST_MM} mm."
                )
        if not 0.0 < self.central_fraction < 1.0:
            raise MeasurementError(f"central_fraction is {self.central_fraction}; expected between 0 and 1.")
        if not LEAST_BAND_PCT <= self.band_pct <= MOST_BAND_PCT:
            raise MeasurementError(
                f"band_pct is {self.band_pct}; expected {LEAST_BAND_PCT:g} to {MOST_BAND_PCT:g} percent."
            )
        for name in ("rim_mm", "min_area_mm2", "partial_depth_pct", "stable_mm2", "stable_fraction"):
            if getattr(self, name) < 0.0:
                raise MeasurementError(f"{name} is {getattr(self, name)}; it cannot be negative.")

    def with_values(self, **values: object) -> MeasureParameters:
        """Copy with some numbers changed; ``cover__wall_level=0.5`` reaches into a group."""
        return changed(self, {name.replace("__", "."): value for name, value in values.items()})

    def flat(self) -> dict[str, object]:
        """Every number by its dotted name, as a sidecar records it."""
        return flat(self)
