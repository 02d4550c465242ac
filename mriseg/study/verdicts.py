"""Where a label map stands after what readers said, and what that does to its values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd

from mriseg.study.reviews import ReadVerdict, Review
from mriseg.types import RowState

PAIRED_COLUMNS = ("matched_defect_id", "change_mm2", "fate")  # of a lesion with its match at the other visit


class Standing(StrEnum):
    """Where a label map stands after all that was said about it."""

    UNJUDGED = "unjudged"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    DISPUTED = "disputed"  # as many readers for it as against it: a further reader decides


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Where one label map stands, who said so, and in which words; ``reason`` is empty where nobody said anything."""

    standing: Standing
    readers: tuple[str, ...] = ()
    reason: str = ""


def verdict_of(reviews: Iterable[Review], participant: str, visit: str, sha256: str) -> Judgement:
    """Say where the label map with this SHA-256 stands.

    The last word of every reader counts. A correction speaks for the map that it made and against the one that it
    replaced. Most readers decide; with as many for as against the map is disputed until a further reader adjudicates.
    """
    last: dict[str, tuple[bool, Review]] = {}
    for review in reviews:
        if (review.participant_id, review.visit) == (participant, visit):
            if review.correction_sha256 == sha256:
                last[review.reader] = (True, review)
            elif review.map_sha256 == sha256:
                last[review.reader] = (review.verdict is ReadVerdict.ACCEPT, review)
    if not last:
        return Judgement(standing=Standing.UNJUDGED)
    votes = Counter(good for good, _ in last.values())
    if votes[True] == votes[False]:
        standing = Standing.DISPUTED
    else:
        standing = Standing.ACCEPTED if votes[True] > votes[False] else Standing.REJECTED
    return Judgement(standing=standing, readers=tuple(last), reason="; ".join(_said(r) for _, r in last.values()))


def _said(review: Review) -> str:
    done = {"accept": "accepted", "correct": "corrected", "reject": "rejected"}[review.verdict]
    return f"{done} by {review.reader} on {review.time[:10]}" + (f" ({review.comment})" if review.comment else "")


Judgements = Mapping[tuple[str, str], Judgement]  # by participant and visit


def judged_regions(table: pd.DataFrame, judgements: Judgements) -> pd.DataFrame:
    """Give rows of ``regions.tsv`` the state that the readers' judgement of their label map asks for.

    Accepted: ``needs-review`` becomes ``measured``. Rejected: every value is blank and its row ``rejected``. Disputed:
    ``measured`` becomes ``needs-review``. A map that nobody judged keeps what the measurement said of it.
    """
    standing, state = _standings(table, judgements), table["state"].astype(str)
    valued = state.isin([RowState.MEASURED, RowState.NEEDS_REVIEW])
    judged = table.copy()
    judged.loc[(standing == Standing.ACCEPTED) & valued, "state"] = RowState.MEASURED.value
    judged.loc[(standing == Standing.DISPUTED) & valued, "state"] = RowState.NEEDS_REVIEW.value
    rejected = (standing == Standing.REJECTED) & valued
    judged.loc[rejected, "state"] = RowState.REJECTED.value
    judged["value"] = judged["value"].mask(rejected, np.nan)
    return judged


def judged_defects(table: pd.DataFrame, judgements: Judgements) -> pd.DataFrame:
    """Leave the lesions of rejected maps out of rows of ``defects.tsv``, and what the other visit owes to them."""
    rejected = _standings(table, judgements) == Standing.REJECTED
    lost = table["participant_id"].isin(table.loc[rejected, "participant_id"]) | table["participant_id"].isin(
        [participant for (participant, _), j in judgements.items() if j.standing is Standing.REJECTED]
    )
    kept = table.copy()
    for column in PAIRED_COLUMNS:
        kept[column] = kept[column].mask(lost, np.nan)
    return kept[~rejected].reset_index(drop=True)


def _standings(table: pd.DataFrame, judgements: Judgements) -> pd.Series[str]:
    keys = zip(table["participant_id"], table["visit"], strict=True)
    found = [judgements[k].standing.value if k in judgements else Standing.UNJUDGED.value for k in keys]
    return pd.Series(found, index=table.index, dtype=str)
