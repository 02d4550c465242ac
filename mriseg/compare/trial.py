"""A trial as arrays: who was measured, when, and what is missing for which reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
import numpy.typing as npt
import pandas as pd

from mriseg.compare.plan import Endpoint
from mriseg.errors import AnalysisError
from mriseg.types import FloatArray


class Availability(IntEnum):
    """Why a value is there or not; kept apart because the reasons bias a trial differently."""

    NOT_SCANNED = 0
    MEASURED = 1
    NEEDS_REVIEW = 2
    FAILED = 3
    REJECTED = 4

    @property
    def words(self) -> str:
        """The reason as it is printed."""
        return self.name.lower().replace("_", " ")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measurements:
    """Everything that is known of a trial before the allocation is opened, participants sorted by id.

    Parameters
    ----------
    participants : tuple of str, (N,)
        Everybody who should be in the allocation.
    enrolled : frozenset of str or None
        Everybody in ``participants.tsv``, randomised or not; None without it: the allocation may name further people.
    visits : tuple of str, (T,)
        Baseline first.
    endpoints : tuple of Endpoint, (E,)
        Every region and metric of the table, the primary first.
    units : tuple of str, (E,)
    values : array, (T, N, E)
        NaN where not available.
    availability : array of int8, (T, N, E)
        :class:`Availability` of each value.
    people : DataFrame, (N rows)
        ``participants.tsv`` in the order of ``participants``, cells as `mriseg.words.known`; covariates of the plan
        that are numbers are floats.
    refused : mapping
        Endpoint -> why its values cannot be used; it is not among ``endpoints``.
    notes : tuple of str
        What a reader has to know about the data, in plain sentences.
    """

    participants: tuple[str, ...]
    visits: tuple[str, ...]
    endpoints: tuple[Endpoint, ...]
    units: tuple[str, ...]
    values: FloatArray
    availability: npt.NDArray[np.int8]
    people: pd.DataFrame
    enrolled: frozenset[str] | None = None
    refused: Mapping[Endpoint, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def column(self, endpoint: Endpoint) -> int:
        """Index of an endpoint; an `AnalysisError` where the table does not hold it."""
        if endpoint not in self.endpoints:
            nothing = f"The table holds no values of region {endpoint.region}, metric {endpoint.metric}."
            raise AnalysisError(self.refused.get(endpoint, nothing))
        return self.endpoints.index(endpoint)

    def at(self, visit: str) -> int:
        """Index of a visit; an `AnalysisError` where the table does not hold it."""
        if visit not in self.visits:
            raise AnalysisError(f"The table holds no visit {visit!r}; it holds {', '.join(self.visits) or 'none'}.")
        return self.visits.index(visit)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trial(Measurements):
    """Measurements with the arm of each participant: ``treated`` (N,), True in the treated arm."""

    treated: npt.NDArray[np.bool_]
