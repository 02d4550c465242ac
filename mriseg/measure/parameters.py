"""Every choice of the measurement, with its default; recorded in the sidecar of each result."""

from __future__ import annotations

from dataclasses import dataclass

from mriseg.errors import MeasurementError


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

    def __post_init__(self) -> None:
        for name in ("smoothing_mm", "coverage_smoothing_mm", "spacing_mm", "fit_spacing_mm"):
            if not 0.0 < getattr(self, name) <= 3.0:
                raise MeasurementError(f"{name} is {getattr(self, name)}; expected more than 0 and at most 3 mm.")
        for name in ("central_fraction",):
            if not 0.0 < getattr(self, name) < 1.0:
                raise MeasurementError(f"{name} is {getattr(self, name)}; expected a fraction between 0 and 1.")
        if not 20.0 <= self.band_pct <= 100.0:
            raise MeasurementError(f"band_pct is {self.band_pct}; expected 20 to 100 percent.")
        if self.rim_mm < 0 or self.min_area_mm2 < 0:
            raise MeasurementError("rim_mm and min_area_mm2 cannot be negative.")
