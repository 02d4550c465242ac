"""``mriseg review``: label maps are judged, and from then on their values count or do not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mriseg.study import Study
    from mriseg.study.reviews import ReadVerdict

Judged = tuple[str, str]


def command(
    study: Annotated[Path, typer.Argument(help="Study folder that was run.")],
    *,
    accept: Annotated[Judged | None, typer.Option(metavar="PATIENT VISIT", help="Accept this label map.")] = None,
    reject: Annotated[Judged | None, typer.Option(metavar="PATIENT VISIT", help="Reject this label map.")] = None,
    reader: Annotated[str, typer.Option(help="Code of the reader, as in initials; never a name.")] = "",
    comment: Annotated[str, typer.Option(help="What the images show, on one line.")] = "",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0 takes a free one.")] = 0,
    masked: Annotated[bool, typer.Option("--masked", help="Hide which visit came first; with --key.")] = False,
    key: Annotated[
        Path | None, typer.Option(help="CSV outside of the study that says which scan is which visit; with --masked.")
    ] = None,
    take: Annotated[
        Path | None, typer.Option(help="Take back what was corrected in a folder of `report --masked`; with --key.")
    ] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")] = True,
    list_: Annotated[
        bool, typer.Option("--list", help="Say what waits for a reader, worst first; change nothing.")
    ] = False,
) -> None:
    """Open the reading room: a page on this machine to see, correct and judge label maps, worst first.

    reviews.tsv keeps every verdict, and a map that changes later is unjudged again. An accepted map makes its values
    count that wait for a review, a rejected one makes them missing for that reason. Nothing here knows an arm.

    The page answers this machine alone, by the address that is printed, and asks nothing of any other one. With
    --accept, --reject or --list no page is opened.

    Examples:

        mriseg review STUDY --reader AB

        mriseg review STUDY --reader AB --masked --key key.csv

        mriseg review STUDY --reader AB --take FOR_THE_READER --key key.csv

        mriseg review STUDY --list

        mriseg review STUDY --accept sub-01 month6 --reader AB

        mriseg review STUDY --reject sub-02 baseline --reader AB --comment "motion, the plate cannot be seen"
    """
    from mriseg.study import open_study
    from mriseg.study.reviews import ReadVerdict

    opened = open_study(study)
    verdicts = {ReadVerdict.ACCEPT: accept, ReadVerdict.REJECT: reject}
    asked = {verdict: which for verdict, which in verdicts.items() if which is not None}
    if list_ and asked:
        raise typer.BadParameter("--list changes nothing and goes with no verdict.")
    if (masked or take is not None) != (key is not None):
        raise typer.BadParameter("--masked and --key belong together, and so do --take and --key.")
    if list_:
        _list(opened)
    elif not reader:
        raise typer.BadParameter("A verdict needs --reader, the code of who judges.")
    elif take is not None and key is not None:
        _take(opened, take, key, reader=reader)
    elif asked:
        _judge(opened, asked, reader=reader, comment=comment)
    else:
        _room(opened, key, reader=reader, port=port, browser=browser)


def _judge(study: Study, asked: dict[ReadVerdict, Judged], *, reader: str, comment: str) -> None:
    from mriseg.study import group
    from mriseg.study.reading import judge, worklist

    for verdict, (participant, visit) in asked.items():
        review = judge(study, participant, visit, verdict, reader=reader, comment=comment)
        typer.echo(f"{participant} {visit}: {verdict} by {reader}, map {review.map_sha256[:16]}")
    group.gather(study)
    typer.echo(f"{sum(r.waits for r in worklist(study))} visit(s) wait for a review.")


def _take(study: Study, folder: Path, key: Path, *, reader: str) -> None:
    from mriseg.report.masked import take_masked

    taken = take_masked(study, folder, key, reader=reader)
    for review in taken:
        typer.echo(
            f"{review.participant_id} {review.visit}: corrected by {reader}, map {review.correction_sha256[:16]}"
        )
    typer.echo(f"{len(taken)} correction(s). `mriseg run` measures them.")


def _list(study: Study) -> None:
    from mriseg.study.reading import worklist

    readings = worklist(study)
    waiting = [r for r in readings if r.waits]
    for r in waiting:
        why = "; ".join(filter(None, [r.judgement.reason, *r.reasons]))
        typer.echo(f"{r.participant_id} {r.visit}: {r.judgement.standing}, {r.verdict}{': ' + why if why else ''}")
    typer.echo(f"{len(waiting)} of {len(readings)} visit(s) wait for a review.")


def _room(study: Study, key: Path | None, *, reader: str, port: int, browser: bool) -> None:
    import webbrowser

    from mriseg.room.server import serve
    from mriseg.room.visits import masked_names, open_names
    from mriseg.study.reviews import check_reader

    check_reader(reader)
    names = open_names() if key is None else masked_names(study, key)

    def say(address: str) -> None:
        typer.echo(f"Reading room: {address}\nIts address lets in whoever knows it. Ctrl+C closes the room.")
        if browser:
            webbrowser.open(address)

    serve(study, names, reader=reader, port=port, say=say)
