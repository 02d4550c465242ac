"""Everything that can be set in one place."""

from __future__ import annotations

from dataclasses import dataclass, field

from mriseg.register.assess import Thresholds
from mriseg.register.band import BandSettings
from mriseg.register.refine import RefineSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterSettings:
    """Everything that can be set; the defaults are those of all published figures.

    Parameters
    ----------
    smoothing_mm : float
        Of label maps, at least; thick slices raise it to 0.6 of the larger spacing, alike for both visits.
    spacing_mm : float
        Between surface points.
    sigmas_mm : tuple of float
        Of the images, from coarse to fine.
    """

    smoothing_mm: float = 0.7
    spacing_mm: float = 1.2
    sigmas_mm: tuple[float, ...] = (1.0, 0.5)
    band: BandSettings = field(default_factory=BandSettings)
    refine: RefineSettings = field(default_factory=RefineSettings)
    thresholds: Thresholds = field(default_factory=Thresholds)
