"""Repeated measurements by restricted maximum likelihood, with a free covariance between visits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg, optimize

from mriseg.errors import AnalysisError
from mriseg.types import FloatArray

FLAT = 1e-3  # largest slope of the deviance, in its own unit per log unit of a covariance, that counts as converged
NO_MAXIMUM = "The mixed model did not converge; its figures are withheld."


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RepeatedFit:
    """Coefficients (T, P) of each visit with their standard errors, and the covariance (T, T) between visits."""

    coefficients: FloatArray
    errors: FloatArray
    covariance: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Pattern:
    """Sums over the ``n`` participants who were seen at the same ``visits`` (S,).

    ``design`` (P, P), ``cross`` (P, S) and ``outcome`` (S, S) are products of design and outcomes.
    """

    visits: npt.NDArray[np.intp]
    n: int
    design: FloatArray
    cross: FloatArray
    outcome: FloatArray


def fit_repeated(values: FloatArray, design: FloatArray) -> RepeatedFit:
    """Fit outcomes at T visits on the same columns, with coefficients of their own at each visit.

    Parameters
    ----------
    values : array, (T, N)
        Outcomes, NaN where not seen; any unit.
    design : array, (N, P)
        Full rank among those seen at each visit.

    Returns
    -------
    RepeatedFit
        With nobody missing the coefficients are those of least squares at each visit, with their equal-variance
        standard errors.

    Raises
    ------
    AnalysisError
        The likelihood has no maximum that can be found.

    References
    ----------
    Mallinckrodt et al. 2008, doi:10.1177/009286150804200402
    """
    basis, upper = np.linalg.qr(design)
    seen = np.isfinite(values)
    start = np.array([np.linalg.lstsq(basis[s], v[s], rcond=None)[0] for v, s in zip(values, seen, strict=True)])
    residual = np.where(seen, values - start @ basis.T, 0.0)
    scale = float(np.sqrt((residual**2).sum() / seen.sum()))
    if not scale > 0:
        raise AnalysisError("The model fits every value exactly: nothing is left to estimate a covariance from.")
    patterns = _patterns(residual / scale, seen, basis)
    start_at = _first(residual / scale, seen)
    try:
        found = optimize.minimize(_deviance, start_at, args=(patterns,), method="BFGS", jac="3-point")
    except np.linalg.LinAlgError:  # the search ran to where two visits hold the same information
        raise AnalysisError(NO_MAXIMUM) from None
    if not (np.isfinite(found.fun) and np.abs(found.jac).max() < FLAT):
        raise AnalysisError(NO_MAXIMUM)
    covariance = _covariance(found.x, len(values))
    information, score, *_ = _normal_equations(covariance, patterns)
    back = np.linalg.inv(upper)
    coefficients = start + scale * np.linalg.solve(information, score).reshape(start.shape)
    spread = np.linalg.inv(information).reshape(*start.shape, *start.shape)
    variances = np.einsum("pi,titj,pj->tp", back, spread, back)
    return RepeatedFit(
        coefficients=coefficients @ back.T,
        errors=scale * np.sqrt(variances),
        covariance=scale**2 * covariance,
    )


def _patterns(values: FloatArray, seen: npt.NDArray[np.bool_], basis: FloatArray) -> list[_Pattern]:
    """Sum participants with the same visits up, so that the likelihood costs the same however many there are."""
    found = []
    for pattern in np.unique(seen.T, axis=0):
        rows, visits = (pattern == seen.T).all(axis=1), np.flatnonzero(pattern)
        if len(visits):
            x, y = basis[rows], values[visits][:, rows].T
            found.append(_Pattern(visits=visits, n=len(x), design=x.T @ x, cross=x.T @ y, outcome=y.T @ y))
    return found


def _first(residual: FloatArray, seen: npt.NDArray[np.bool_]) -> FloatArray:
    """Parameters to start from: the standard deviation of each visit, without correlation."""
    size = len(residual)
    lower = np.zeros((size, size))
    lower[np.diag_indices(size)] = 0.5 * np.log((residual**2).sum(axis=1) / seen.sum(axis=1))
    return lower[np.tril_indices(size)]


def _covariance(parameters: FloatArray, size: int) -> FloatArray:
    """Covariance from its Cholesky factor, whose diagonal is held as logarithms."""
    lower = np.zeros((size, size))
    lower[np.tril_indices(size)] = parameters
    lower[np.diag_indices(size)] = np.exp(np.diag(lower))
    return np.asarray(lower @ lower.T, dtype=np.float64)


def _normal_equations(covariance: FloatArray, patterns: list[_Pattern]) -> tuple[FloatArray, FloatArray, float, float]:
    """Information (TP, TP) and score (TP,) of the coefficients, weighted squares, and the log determinant."""
    size, columns = len(covariance), len(patterns[0].design)
    information, score = np.zeros((size, columns, size, columns)), np.zeros((size, columns))
    squares = determinant = 0.0
    for p in patterns:
        factor = linalg.cho_factor(covariance[np.ix_(p.visits, p.visits)], lower=True)
        weight = linalg.cho_solve(factor, np.eye(len(p.visits)))
        determinant += 2 * p.n * float(np.log(np.diag(factor[0])).sum())
        for i, t in enumerate(p.visits):
            for j, u in enumerate(p.visits):
                information[t, :, u] += weight[i, j] * p.design
            score[t] += p.cross @ weight[i]
        squares += float((weight * p.outcome).sum())
    return information.reshape(size * columns, -1), score.ravel(), squares, determinant


def _deviance(parameters: FloatArray, patterns: list[_Pattern]) -> float:
    """Minus twice the restricted log likelihood, up to a constant."""
    size = int(np.sqrt(2 * len(parameters)))
    information, score, squares, determinant = _normal_equations(_covariance(parameters, size), patterns)
    gain = float(score @ np.linalg.solve(information, score))
    return determinant + float(np.linalg.slogdet(information)[1]) + squares - gain
