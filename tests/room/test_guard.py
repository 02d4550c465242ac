"""The room answers its own page on this machine, and nobody and nothing else."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from mriseg.files import sha256
from mriseg.study import open_study
from mriseg.study.reviews import read_reviews
from tests.room.serving import Server, reading_room
from tests.study.reviewed import drawn_study


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    study = drawn_study(tmp_path_factory.mktemp("room") / "study")
    with reading_room(study.paths.root, "--reader", "AB") as found:
        yield found


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Path:
    return next(tmp_path_factory.getbasetemp().glob("room*/study"))


def test_the_page_and_its_parts_are_there_and_ask_for_nothing_else(server: Server) -> None:
    status, body, headers = server.ask(f"/{server.token}/")
    assert status == 200
    assert b"//" not in body.replace(b"<!doctype html>", b"")
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for part in ("static/main.js", "static/room.css", "niivue/niivue.js"):
        assert server.ask(f"/{server.token}/{part}")[0] == 200


@pytest.mark.parametrize(
    "path", ["/", "/api/worklist", "/wrong/", "/wrong/api/worklist", "//api/worklist", "/?token=1"]
)
def test_without_the_token_nothing_is_told(server: Server, path: str) -> None:
    status, body, _ = server.ask(path)
    assert status == 403
    assert b"sub-" not in body


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://elsewhere.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_page_is_refused(server: Server, headers: dict[str, str]) -> None:
    assert server.api("worklist", headers=headers)[0] == 403


@pytest.mark.parametrize("host", ["elsewhere.example", "127.0.0.1", "127.0.0.1:1", "localhost.elsewhere.example"])
def test_a_foreign_name_for_this_machine_is_refused(server: Server, host: str) -> None:
    assert server.api("worklist", headers={"Host": host})[0] == 421


def test_its_own_page_is_answered(server: Server) -> None:
    status, body, _ = server.api(
        "worklist", headers={"Origin": f"http://{server.host}", "Sec-Fetch-Site": "same-origin"}
    )
    assert status == 200
    assert [e["participant"] for e in json.loads(body)] == ["sub-01", "sub-02"]


@pytest.mark.parametrize(
    "path",
    [
        "static/../../../pyproject.toml",
        "static/%2e%2e/%2e%2e/cli/run.py",
        "static//etc/passwd",
        "niivue/..%2fsegmenter.json",
        "api/labels/..%2f..%2fsub-01/baseline",
        "api/labels/sub-01/..%2fbaseline",
        "api/labels/sub-01/%2e%2e",
        "api/labels/sub-99/baseline",
        "api/labels/sub-01/month9",
        "api/volume/sub-01/baseline.nii?onto=../x",
        "api/volume/sub-01/baseline.nii?slab=99999999",
        "api/volume/sub-01/baseline.nii?bone=skull",
        "api/nothing",
    ],
)
def test_what_is_not_of_the_study_is_not_found(server: Server, path: str) -> None:
    status, body, _ = server.ask(f"/{server.token}/{path}")
    assert status in (400, 403, 404, 409)
    assert b"root:" not in body
    assert b"Traceback" not in body


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "correct/sub-01/month6"), ("PUT", "draft/sub-01/month6"), ("POST", "judge/sub-01/month6")],
)
def test_a_body_of_a_gigabyte_is_refused_before_it_is_read(server: Server, method: str, path: str) -> None:
    with socket.create_connection(server.host.split(":"), timeout=30) as connection:  # type: ignore[arg-type]
        head = f"{method} /{server.token}/api/{path}?map=0 HTTP/1.1\r\nHost: {server.host}\r\n"
        head += "Content-Length: 1073741824\r\n\r\n"
        connection.sendall(head.encode() + b"x" * 1000)
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_a_body_that_does_not_say_its_length_is_cut_off(server: Server) -> None:
    connection = http.client.HTTPConnection(server.host, timeout=30)
    chunks = (b"x" * 65_536 for _ in range(16_384))
    try:
        connection.request("POST", f"/{server.token}/api/judge/sub-01/month6", body=chunks, encode_chunked=True,
                           headers={"Transfer-Encoding": "chunked"})  # fmt: skip
        status = connection.getresponse().status
    except (BrokenPipeError, ConnectionResetError):
        status = 413
    connection.close()
    assert status == 413


def judge(server: Server, said: object) -> tuple[int, bytes]:
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    return server.api("judge/sub-02/baseline", method="POST", body=body)[:2]


def test_a_verdict_is_about_the_map_that_was_looked_at(server: Server, root: Path) -> None:
    labels = open_study(root).paths.labels("sub-02", "baseline")
    assert judge(server, b"no JSON")[0] == 400
    assert judge(server, {"verdict": "perhaps", "map": sha256(labels)})[0] == 400
    assert judge(server, {"verdict": "correct", "map": sha256(labels)})[0] == 400
    assert judge(server, {"verdict": "accept", "map": "0" * 64})[0] == 409
    assert judge(server, {"verdict": "accept", "map": sha256(labels), "comment": "born 1931-11-03"})[0] == 409
    assert not read_reviews(root / "reviews.tsv")
    assert (
        judge(server, {"verdict": "accept", "map": sha256(labels), "comment": "<b>sharp</b>", "seconds": 41})[0] == 200
    )
    row = read_reviews(root / "reviews.tsv")[-1]
    assert (row.participant_id, row.reader, row.seconds, row.comment) == ("sub-02", "AB", "41", "<b>sharp</b>")
