"""The reading room's own small server, on 127.0.0.1 alone."""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

import mriseg
from mriseg.errors import MrisegError
from mriseg.report.figures import label_colour
from mriseg.room import saving, scene
from mriseg.room.guard import Guard
from mriseg.room.jobs import Jobs
from mriseg.room.visits import Names
from mriseg.study.model import Patient, Study
from mriseg.study.reading import judge, worklist
from mriseg.study.reviews import ReadVerdict
from mriseg.types import Bone, Label

HOST = "127.0.0.1"
STATIC = Path(__file__).parent / "static"
NIIVUE = Path(mriseg.__file__).parent / "assets" / "niivue"
LONGEST_JSON = 16_384
THICKEST_SLAB = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """One reader's sitting over one study."""

    study: Study
    names: Names
    reader: str
    jobs: Jobs

    def find(self, request: Request) -> tuple[Patient, str]:
        """Patient and visit of an address; unknown ones are an error that names neither a path nor the order."""
        patient = self.study.patient(request.path_params["participant"])
        return patient, self.names.visit(patient, request.path_params["visit"])

    def target(self, request: Request, patient: Patient) -> str:
        """Visit on whose grid things are shown."""
        return self.names.visit(patient, request.query_params.get("onto", request.path_params["visit"]))

    async def session(self, request: Request) -> Response:  # noqa: ARG002
        """Who reads what, and the labels with their colours."""
        labels = [
            {"value": v.value, "name": v.name.lower().replace("_", " "), "colour": label_colour(v)} for v in Label
        ]
        title = self.study.config.study.title or self.study.config.study.id
        return JSONResponse({"reader": self.reader, "title": title, "masked": self.names.masked, "labels": labels})

    async def worklist(self, request: Request) -> Response:  # noqa: ARG002
        """Patients with their visits, worst first."""
        return JSONResponse(await run_in_threadpool(self._worklist))

    def _worklist(self) -> list[dict[str, Any]]:
        entries: dict[str, dict[str, Any]] = {}
        for reading in worklist(self.study):
            patient = self.study.patient(reading.participant_id)
            shown = {visit: name for name, visit in self.names.of(patient).items()}
            entry = entries.setdefault(patient.id, {"participant": patient.id, "visits": []})
            visit = {"name": shown[reading.visit], "standing": reading.judgement.standing, "waits": reading.waits}
            entry["visits"].append(visit | {"verdict": reading.verdict})
            entry["measuring"] = self.jobs.states.get(patient.id, "")
        for entry in entries.values():
            entry["visits"].sort(
                key=lambda v: list(self.names.of(self.study.patient(entry["participant"]))).index(v["name"])
            )
        return list(entries.values())

    async def scene(self, request: Request) -> Response:
        """One patient in the space of one visit and bone."""
        patient, _ = self.find(request)
        content = await run_in_threadpool(
            scene.scene, patient, self.names, request.path_params["visit"], _bone(request)
        )
        return JSONResponse(content | {"measuring": self.jobs.states.get(patient.id, "")})

    async def volume(self, request: Request) -> Response:
        """Image of one visit as NIfTI."""
        patient, visit = self.find(request)
        slab = request.query_params.get("slab", "1")
        if not slab.isdigit() or not 1 <= int(slab) <= THICKEST_SLAB:
            raise HTTPException(400, f"slab: expected 1 to {THICKEST_SLAB} slices")
        target = self.target(request, patient)
        data = await run_in_threadpool(
            scene.volume_bytes, patient, visit, target=target, bone=_bone(request), slab=int(slab)
        )
        return Response(data, media_type="application/octet-stream")

    async def labels(self, request: Request) -> Response:
        """Label map of one visit, a byte a voxel."""
        patient, visit = self.find(request)
        target = self.target(request, patient)
        data = await run_in_threadpool(scene.label_bytes, patient, visit, target=target, bone=_bone(request))
        return Response(data, media_type="application/octet-stream")

    async def surface(self, request: Request) -> Response:
        """One bone with the thickness of one visit."""
        patient, visit = self.find(request)
        target = self.target(request, patient)
        data = await run_in_threadpool(scene.surface_bytes, patient, visit, _bone(request), target=target)
        return Response(data, media_type="application/octet-stream")

    async def read_draft(self, request: Request) -> Response:
        """Drawing that was kept; 204 where there is none."""
        patient, visit = self.find(request)
        data = await run_in_threadpool(saving.read_draft, patient, visit, reader=self.reader)
        return Response(status_code=204) if data is None else Response(data, media_type="application/octet-stream")

    async def keep_draft(self, request: Request) -> Response:
        """Keep a drawing that is not saved yet."""
        patient, visit = self.find(request)
        body = await _body(request, saving.expected_bytes(patient, visit))
        of_map = request.query_params.get("map", "")
        await run_in_threadpool(saving.keep_draft, patient, visit, body, reader=self.reader, of_map=of_map)
        return JSONResponse({"kept": True})

    async def drop_draft(self, request: Request) -> Response:
        """Forget the drawing that was kept."""
        patient, visit = self.find(request)
        await run_in_threadpool(saving.drop_draft, patient, visit, reader=self.reader)
        return JSONResponse({"kept": False})

    async def correct(self, request: Request) -> Response:
        """Save a drawing as a correction, and measure the patient again."""
        patient, visit = self.find(request)
        body = await _body(request, saving.expected_bytes(patient, visit))
        said = request.query_params
        review = await run_in_threadpool(
            saving.save_drawing, patient, visit, body, reader=self.reader, of_map=said.get("map", ""),
            comment=said.get("comment", ""), seconds=_seconds(said.get("seconds")),
        )  # fmt: skip
        self.jobs.ask(patient.id)
        return JSONResponse({"verdict": review.verdict, "map": review.correction_sha256})

    async def judge(self, request: Request) -> Response:
        """Accept or reject the label map of one visit."""
        patient, visit = self.find(request)
        try:
            said = json.loads(await _body(request, LONGEST_JSON))
            verdict = ReadVerdict(said["verdict"])
            of_map, comment, seconds = str(said["map"]), str(said.get("comment", "")), _seconds(said.get("seconds"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise HTTPException(400, "expected JSON with verdict and map") from error
        if verdict is ReadVerdict.CORRECT:
            raise HTTPException(400, "a correction comes with a drawing")
        await run_in_threadpool(
            judge, self.study, patient.id, visit, verdict, reader=self.reader, comment=comment, seconds=seconds,
            of_map=of_map,
        )  # fmt: skip
        self.jobs.ask(patient.id)
        return JSONResponse({"verdict": verdict})


def _bone(request: Request) -> Bone:
    try:
        return Bone(request.path_params.get("bone") or request.query_params.get("bone", Bone.FEMUR))
    except ValueError as error:
        raise HTTPException(400, "bone: expected femur, tibia or patella") from error


def _seconds(value: object) -> float | None:
    seconds = None if value in (None, "") else float(str(value))
    return seconds if seconds is None or 0 <= seconds < 86_400 else None


async def _body(request: Request, most: int) -> bytes:
    """Read at most ``most`` bytes; a longer body is refused before it is read, or as soon as it shows."""
    declared = request.headers.get("content-length", "0")
    if not declared.isdigit() or int(declared) > most:
        raise HTTPException(413, f"the body is too long, expected at most {most} bytes")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise HTTPException(413, f"the body is too long, expected at most {most} bytes")
    return bytes(body)


async def _page(request: Request) -> Response:  # noqa: ARG001
    return Response((STATIC / "index.html").read_bytes(), media_type="text/html; charset=utf-8")


async def _expected(request: Request, error: Exception) -> Response:  # noqa: ARG001
    return JSONResponse({"error": str(error)}, status_code=409)


async def _http(request: Request, error: Exception) -> Response:  # noqa: ARG001
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, status_code=error.status_code, headers={"Connection": "close"})


def application(room: Room) -> Starlette:
    """Return the room as an ASGI application without its guard."""
    at: dict[str, tuple[str, Callable[[Request], Awaitable[Response]]]] = {
        "/api/session": ("GET", room.session),
        "/api/worklist": ("GET", room.worklist),
    }
    visit = "/{participant}/{visit}"
    routes = [Route("/", _page)] + [Route(path, act, methods=[method]) for path, (method, act) in at.items()]
    routes += [
        Route("/api/scene" + visit, room.scene),
        Route("/api/volume" + visit + ".nii", room.volume),
        Route("/api/labels" + visit, room.labels),
        Route("/api/surface" + visit + "/{bone}.mz3", room.surface),
        Route("/api/draft" + visit, room.read_draft, methods=["GET"]),
        Route("/api/draft" + visit, room.keep_draft, methods=["PUT"]),
        Route("/api/draft" + visit, room.drop_draft, methods=["DELETE"]),
        Route("/api/correct" + visit, room.correct, methods=["POST"]),
        Route("/api/judge" + visit, room.judge, methods=["POST"]),
    ]

    @asynccontextmanager
    async def working(app: Starlette):  # type: ignore[no-untyped-def]  # noqa: ARG001
        room.jobs.start()
        yield
        room.jobs.stop()

    mounts = [Mount("/static", StaticFiles(directory=STATIC)), Mount("/niivue", StaticFiles(directory=NIIVUE))]
    return Starlette(
        routes=[*routes, *mounts], exception_handlers={MrisegError: _expected, HTTPException: _http}, lifespan=working
    )


def serve(study: Study, names: Names, *, reader: str, port: int, say: Callable[[str], None]) -> None:
    """Open the room until it is interrupted; ``say`` gets the address, which holds the token."""
    token = secrets.token_urlsafe(24)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((HOST, port))
        listening.listen()  # whoever reads the address may ask at once, and is answered as soon as the server is up
        bound = listening.getsockname()[1]
        room = Room(study=study, names=names, reader=reader, jobs=Jobs(study=study))
        guarded = Guard(application(room), token=token, port=bound)
        config = uvicorn.Config(guarded, log_level="error", access_log=False, server_header=False, ws="none")
        say(f"http://{HOST}:{bound}/{token}/")
        uvicorn.Server(config).run(sockets=[listening])
