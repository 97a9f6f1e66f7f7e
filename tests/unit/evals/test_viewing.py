"""`youworker eval view`: what it serves, to whom, and what never leaves its folder."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from evals.cli.app import app
from evals.cli.reading import write_reports
from evals.viewing.app import create_viewer
from evals.viewing.shelf import RunShelf
from tests.unit.evals.records import attempt, run_record, suite_record

HOST = "http://127.0.0.1:7576"
ENDS_SECONDS = 60
YOUWORKER = Path(sys.executable).with_name("youworker")


def write_run(folder, *attempts):
    folder.mkdir(parents=True)
    record = run_record(suite_record(*attempts, thresholds={"passed": {"at_least": 0.5}}))
    write_reports(folder, record)


@pytest.fixture
def runs(tmp_path):
    folder = tmp_path / "evals"
    write_run(folder / "one", attempt("a"), attempt("b"))
    write_run(folder / "two", attempt("a"), attempt("b", 0.0), attempt("c", 0.0))
    write_run(tmp_path / "elsewhere", attempt("secret"))
    return folder


@pytest.fixture
def client(runs):
    viewer = create_viewer(RunShelf(runs), names=["evals.lan"])
    return TestClient(viewer, base_url=HOST, follow_redirects=False)


def test_the_index_names_every_run_and_how_it_went(client):
    page = client.get("/").text
    assert '<a href="/runs/one/">one</a>' in page
    assert "1 passed, 2 failed" in page
    assert page.count('class="badge passed"') == 1
    assert page.count('class="badge failed"') == 1


def test_a_run_that_has_come_since_is_there_and_one_that_is_broken_says_so(client, runs):
    write_run(runs / "three", attempt("a"))
    (runs / "one" / "results.json").write_text("{}", "utf-8")
    page = client.get("/").text
    assert '"/runs/three/"' in page
    assert "no record of a run" in page
    assert page.index('"/runs/three/"') < page.index("no record of a run")


def test_a_run_whose_threshold_has_no_name_leaves_the_others_on_the_index(client, runs):
    file = runs / "one" / "results.json"
    file.write_text(file.read_text("utf-8").replace('"passed": {', '"!": {'), "utf-8")
    answer = client.get("/")
    assert answer.status_code == 200
    assert '"/runs/two/"' in answer.text


def test_an_empty_folder_says_how_to_make_a_run(tmp_path):
    viewer = create_viewer(RunShelf(tmp_path / "none"))
    assert "youworker eval run smoke" in TestClient(viewer, base_url=HOST).get("/").text


def test_a_report_is_served_as_it_was_written(client, runs):
    answer = client.get("/runs/two/")
    assert answer.content == (runs / "two" / "report.html").read_bytes()
    assert client.get("/runs/two").headers["location"] == "/runs/two/"


def test_two_runs_are_compared(client):
    page = client.get("/compare?before=one&after=two").text
    assert "worse" in page
    assert "passed → failed" in page


def test_names_are_text_on_every_page(client, runs):
    write_run(runs / "<img src=x>", attempt("a"))
    assert "<img" not in client.get("/").text
    assert "<img" not in client.get("/compare?before=<img src=x>&after=one").text
    assert client.get("/runs/%3Cimg%20src=x%3E/").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/runs/../elsewhere/",
        "/runs/%2e%2e/",
        "/runs/..%2felsewhere/",
        "/runs/%2Fetc/",
        "/runs/one%2F..%2F..%2Felsewhere/",
        "/runs/one%00/",
        "/runs/link/",
        "/runs/linked-page/",
        "/runs/one/results.json",
        "/compare?before=../elsewhere&after=one",
        "/compare?before=one&after=link",
        "/compare",
    ],
)
def test_nothing_outside_of_the_folder_is_read(client, runs, path):
    (runs / "link").symlink_to(runs.parent / "elsewhere")
    write_run(runs / "linked-page", attempt("a"))
    page = runs / "linked-page" / "report.html"
    page.unlink()
    page.symlink_to(runs.parent / "elsewhere" / "report.html")
    answer = client.get(path)
    assert answer.status_code == 404
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:7576", 200),
        ("127.0.0.1", 200),
        ("[::1]:7576", 200),
        ("192.168.1.7:7576", 200),
        ("EVALS.lan:7576", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example:7576", 421),
        ("localhost.evil.example", 421),
        ("[::1]evil.example", 421),
        ("", 421),
    ],
)
def test_a_foreign_name_that_points_here_is_refused(client, host, status):
    answer = client.get("/", headers={"host": host})
    assert answer.status_code == status
    assert ("one" in answer.text) is (status == 200)


@pytest.mark.parametrize("path", ["/", "/runs/one/", "/compare?before=one&after=two", "/gone"])
def test_every_answer_forbids_scripts_frames_and_other_readers(client, path):
    headers = client.get(path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "script-src" not in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_changed(client, method):
    assert client.request(method, "/runs/one/").status_code == 405


def test_ctrl_c_ends_it_well(runs):
    command = [YOUWORKER, "eval", "view", str(runs / "one"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as viewer:
        url = viewer.stdout.readline().split()[0]
        assert httpx.get(url, timeout=ENDS_SECONDS).status_code == 200
        viewer.send_signal(signal.SIGINT)
        assert viewer.wait(ENDS_SECONDS) == 0
    assert url.endswith("/runs/one/")


@pytest.mark.parametrize("more", [["--host", "0.0.0.0"], ["--host", "evals.lan"]])
def test_inspects_viewer_is_for_this_machine_alone(runs, more):
    done = CliRunner().invoke(app, ["view", str(runs / "one"), "--inspect", *more])
    assert (done.exit_code, "for this machine alone" in done.stderr) == (2, True)


def test_an_address_that_is_taken_is_told(runs):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for more in ([], ["--inspect"]):
            done = CliRunner().invoke(app, ["view", str(runs / "one"), "--port", port, *more])
            assert (done.exit_code, "choose another --port" in done.stderr) == (2, True)


def test_what_is_no_run_ends_with_the_code_for_usage(tmp_path):
    done = CliRunner().invoke(app, ["view", str(tmp_path)])
    assert (done.exit_code, "is no run" in done.stderr) == (2, True)
