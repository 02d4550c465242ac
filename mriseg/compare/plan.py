"""The analysis plan: what is compared, decided before anybody knows an arm."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from mriseg.errors import AnalysisError
from mriseg.words import word

Word = Annotated[str, BeforeValidator(lambda text: word(text) if isinstance(text, str) else text)]


class Endpoint(BaseModel):
    """One region and one metric, under the names of ``regions.tsv``; may be written as ``"FT:dAB"``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    region: Word = Field(min_length=1)
    metric: Word = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        region, separator, metric = value.partition(":")
        if not separator:
            raise ValueError(f"an endpoint is written REGION:METRIC, for example FT:dAB; found {value!r}")
        return {"region": region, "metric": metric}

    def __str__(self) -> str:
        return f"{self.region}:{self.metric}"


class AnalysisPlan(BaseModel):
    """The ``[analysis]`` part of ``study.toml`` or of a plan file. An unknown key is an error.

    Attributes
    ----------
    region, metric : str
        The one primary endpoint.
    baseline, followup : str
        Visit ids of the primary comparison.
    visits : tuple of str
        Further visits after baseline for the mixed model; empty: every visit found in the table.
    reference, treated : str
        Arm names as the allocation file writes them; the estimate is treated minus reference.
    covariates : tuple of str
        Columns of ``participants.tsv``; numbers enter as they are, text as levels.
    strata : tuple of str
        Columns by which randomisation was stratified; always levels, and permutations stay within them.
    secondary : tuple of Endpoint
        Declared secondaries, tested with Holm's correction; everything else is exploratory.
    per_protocol : str or None
        Yes/no column of ``participants.tsv`` that marks the per-protocol set.
    include_needs_review : bool
        Whether values that nobody has accepted yet count as measured.
    new_denudation_mm2 : float
        A region without denudation at baseline counts as newly denuded above this area.
    judged_by : "permutation" or "hc3"
        Whose p and interval decide about primary and secondaries; the other is printed beside it.
    alpha, power : float
        Two-sided level, and the power at which the detectable effect is given.
    permutations, imputations : int
        Largest number of permutations; number of imputed data sets (0: none).
    seed : int
        Seed of permutations and imputations.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    region: Word = Field("FT", min_length=1)
    metric: Word = Field("dAB", min_length=1)
    baseline: Word = "baseline"
    followup: Word = "month6"
    visits: tuple[Word, ...] = ()
    reference: Word = "control"
    treated: Word = "treated"
    covariates: tuple[Word, ...] = ()
    strata: tuple[Word, ...] = ()
    secondary: tuple[Endpoint, ...] = ()
    per_protocol: Word | None = None
    include_needs_review: bool = False
    new_denudation_mm2: float = Field(0.0, ge=0, allow_inf_nan=False)
    judged_by: Literal["permutation", "hc3"] = "permutation"
    alpha: float = Field(0.05, gt=0, lt=0.5)
    power: float = Field(0.8, gt=0.5, lt=1)
    permutations: int = Field(9999, ge=0, le=1_000_000)
    imputations: int = Field(20, ge=0, le=1000)
    seed: int = Field(1, ge=0)

    @field_validator("imputations")
    @classmethod
    def _enough_imputations(cls, value: int) -> int:
        if value == 1:
            raise ValueError("one imputation cannot carry its own uncertainty; expected 0 or at least 2")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.reference.casefold() == self.treated.casefold():
            raise ValueError(f"reference and treated are both {self.reference!r}")
        if self.baseline == self.followup:
            raise ValueError(f"baseline and followup are both {self.baseline!r}")
        if set(self.covariates) & set(self.strata):
            raise ValueError(f"both a covariate and a stratum: {sorted(set(self.covariates) & set(self.strata))}")
        if len(set(self.covariates)) < len(self.covariates) or len(set(self.strata)) < len(self.strata):
            raise ValueError("a covariate or a stratum is named twice")
        if self.primary in self.secondary or len(set(self.secondary)) < len(self.secondary):
            raise ValueError("secondary names the primary endpoint, or one endpoint twice")
        least = 1 / (1 + self.permutations)
        if self.judged_by == "permutation" and self.alpha < least < 1:
            raise ValueError(
                f"{self.permutations} permutations give no p below {least:.2g}, so that nothing can reach alpha "
                f"{self.alpha:g}; expected at least {math.ceil(1 / self.alpha - 1e-9) - 1}, or 0 for HC3"
            )
        return self

    @property
    def primary(self) -> Endpoint:
        """The one primary endpoint."""
        return Endpoint(region=self.region, metric=self.metric)


def parse_plan(document: dict[str, Any], source: str) -> AnalysisPlan:
    """Check the ``[analysis]`` part of a parsed TOML ``document``; ``source`` names it in errors."""
    section = document.get("analysis")
    if not isinstance(section, dict):
        raise AnalysisError(f"{source} holds no [analysis] part; it names region, metric, visits and arms.")
    try:
        return AnalysisPlan.model_validate(section)
    except ValidationError as error:
        raise AnalysisError(f"{source}, [analysis]: {in_words(error)}.") from None


def in_words(error: ValidationError) -> str:
    """Join pydantic's findings to one line: the key, what was found, what is wrong."""
    findings = []
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"]) or "plan"
        unknown = item["type"] == "extra_forbidden"
        findings.append(
            f"{key}: {'is not a key of the plan' if unknown else item['msg'].removeprefix('Value error, ')}"
        )
    return "; ".join(findings)


def read_toml(path: Path) -> dict[str, Any]:
    """Parse a TOML file; a missing or broken file is an `AnalysisError` that names it."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise AnalysisError(f"{path} cannot be read ({error.strerror}).") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise AnalysisError(f"{path} is not valid TOML: {error}.") from None
