"""ANCOVA of many simulated trials at once; the same figures as `fit_ancova` without strata."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from mriseg.types import FloatArray

CONSTANT = 1e-9  # a baseline whose scatter is below this share of its size does not vary
FULL = 1 - 1e-8  # leverage from which on a participant fits itself


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """Estimates of T trials: effect (treated minus reference), HC3 and equal-variance standard error, df; all (T,)."""

    effect: FloatArray
    se: FloatArray
    model_se: FloatArray
    df: FloatArray

    def p(self, truth: float = 0.0, *, hc3: bool = False) -> FloatArray:
        """Two-sided p of the hypothesis that the effect is ``truth``, (T,): equal variances, or HC3."""
        se = self.se if hc3 else self.model_se
        return np.asarray(2 * stats.t.sf(np.abs(self.effect - truth) / se, self.df), dtype=np.float64)


def batch_ancova(
    baseline: FloatArray,
    followup: FloatArray,
    treated: npt.NDArray[np.bool_],
    present: npt.NDArray[np.bool_] | None = None,
) -> Batch:
    """Fit follow-up on arm and baseline in each of T trials.

    Parameters
    ----------
    baseline, followup : array, (T, N)
    treated : array of bool, (N,)
    present : array of bool, (T, N), optional
        Who stayed in the trial; everybody by default.

    Returns
    -------
    Batch
        NaN where a trial has no variation in the arm. A baseline that does not vary is dropped, and a participant with
        full leverage adds nothing to the HC3 error, as in `fit_ancova`.
    """
    w = np.ones(baseline.shape) if present is None else present.astype(np.float64)
    n = w.sum(axis=1)
    arm, base, y = (_centre(np.broadcast_to(v, w.shape), w) for v in (treated.astype(float), baseline, followup))
    base_ss = (base**2).sum(axis=1)
    varies = base_ss > CONSTANT**2 * (baseline**2 * w).sum(axis=1)
    base, base_ss = base * varies[:, None], np.where(varies, base_ss, 1.0)
    df = n - 2 - varies
    along = (arm * base).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        clear = arm - base * (along / base_ss)[:, None]
        clear_ss = (clear**2).sum(axis=1)
        effect = (clear * y).sum(axis=1) / clear_ss
        slope = ((base * y).sum(axis=1) - effect * along) / base_ss
        residual = y - effect[:, None] * arm - slope[:, None] * base
        leverage = w / n[:, None] + clear**2 / clear_ss[:, None] + base**2 / base_ss[:, None]
        slack = np.where(leverage < FULL, 1 - leverage, np.inf)
        se = np.sqrt(((clear * residual / slack) ** 2).sum(axis=1)) / clear_ss
        model_se = np.sqrt((residual**2).sum(axis=1) / df / clear_ss)
    return Batch(effect=effect, se=se, model_se=model_se, df=df)


def _centre(values: FloatArray, w: FloatArray) -> FloatArray:
    """Values minus their weighted mean in each row, 0 where the weight is 0."""
    return np.asarray((values - ((values * w).sum(axis=1) / w.sum(axis=1))[:, None]) * w, dtype=np.float64)
