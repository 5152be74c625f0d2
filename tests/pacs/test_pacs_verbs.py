"""`sonoseg pacs query | fetch | send` against a real Orthanc: what they say, and their exit codes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from sonoseg.cli.main import main

Run = Callable[..., tuple[int, str, str]]
Phantom = Callable[..., Path]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `sonoseg pacs` in process: exit code, stdout, stderr."""

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["sonoseg", "pacs", *map(str, words)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        told = capsys.readouterr()
        return code, told.out, told.err

    monkeypatch.setenv("COLUMNS", "160")
    return call


@pytest.fixture
def folder(tmp_path: Path, make_phantom: Phantom) -> Path:
    make_phantom(tmp_path / "in" / "a0.dcm", 0)
    make_phantom(tmp_path / "in" / "deep" / "a1.dcm", 1, jpeg=True)
    (tmp_path / "in" / "list.csv").write_text("no DICOM")
    return tmp_path / "in"


@pytest.mark.parametrize("way", ["dimse", "web"])
def test_the_whole_way(run: Run, orthanc: Any, folder: Path, tmp_path: Path, way: str) -> None:
    where = ("--archive", orthanc.web if way == "web" else orthanc.dimse)
    code, out, _ = run("query", *where, "--echo")
    assert (code, "accepts our connection" in out) == (0, True)

    code, out, err = run("send", folder, *where)
    assert (code, out, err) == (0, "2 stored, 0 refused, 0 without a response\n", "")

    code, out, _ = run("query", *where)
    study = str(dcmread(folder / "a0.dcm").StudyInstanceUID)
    assert code == 0
    assert study in out
    assert "P-a" in out
    code, out, _ = run("query", *where, "--level", "instance", "--study", study, "--json")
    found = json.loads(out)["found"]
    assert (code, len(found)) == (0, 2)
    assert {item["level"] for item in found} == {"instance"}

    into = tmp_path / "out"
    code, out, _ = run("fetch", *where, "--patient", "P-a", "--out", into)
    assert (code, out) == (0, "2 fetched, 0 existed, 0 failed\n")
    assert {path.name for path in into.iterdir()} == {f"{item['instance']}.dcm" for item in found}
    code, out, _ = run("fetch", *where, "--patient", "P-a", "--out", into, "--json")
    assert json.loads(out)["counts"] == {"fetched": 0, "exists": 2, "failed": 0}


def test_by_c_move(run: Run, orthanc: Any, folder: Path, tmp_path: Path) -> None:
    orthanc.put(folder / "a0.dcm")
    words = ("fetch", "-a", orthanc.dimse, "--patient", "P-a", "--out", tmp_path / "out")
    code, out, said = run(*words, "--move-port", orthanc.move_port)
    assert (code, out) == (0, "1 fetched, 0 existed, 0 failed\n"), said


def test_more_than_the_limit_is_said(run: Run, orthanc: Any, folder: Path) -> None:
    run("send", folder, "-a", orthanc.dimse)
    code, _, err = run("query", "-a", orthanc.dimse, "--level", "instance", "--limit", 1)
    assert (code, "there may be more" in err) == (0, True)


def test_a_file_that_is_no_dicom_is_refused(run: Run, orthanc: Any, folder: Path) -> None:
    code, out, err = run("send", folder / "a0.dcm", folder / "list.csv", "-a", orthanc.dimse)
    assert code == 3
    assert out == "1 stored, 1 refused, 0 without a response\n"
    assert "list.csv: refused: not a DICOM file" in err
    assert "1 of 2 files were refused" in err


@pytest.mark.parametrize("where", ["X@127.0.0.1:1", "http://127.0.0.1:1/dicom-web"])
def test_an_archive_that_is_not_there(run: Run, folder: Path, tmp_path: Path, where: str) -> None:
    for words in (("query",), ("query", "--echo"), ("fetch", "--patient", "a", "-o", tmp_path / "out")):
        code, out, err = run(*words, "-a", where)
        assert (code, out) == (1, "")
        assert f"error: {where}: cannot be reached: Connection refused. Check" in err
        assert err.count("\n") == 1, "one line, and nothing of a library's own"
    code, out, err = run("send", folder, "-a", where)
    assert (code, out) == (1, "0 stored, 0 refused, 2 without a response\n")
    assert "no response for 2 of 2 files. Send them again" in err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("query",), "no archive is given"),
        (("query", "-a", "PACS"), "not an address of a PACS. Write AE@HOST:PORT"),
        (("query", "-a", "A@h:1", "-c", "node.toml"), "both --archive and --config"),
        (("query", "-a", "A@h:99999"), "'port': input should be less than or equal to 65535"),
        (("query", "-a", "A@h:1", "--our-ae", "seventeen letters"), "1 to 16 printable ASCII characters"),
        (("query", "-a", "A@h:1", "--user", "me"), "unknown key 'user'"),
        (("query", "-a", "http://h/dicom-web", "--our-ae", "ME"), "unknown key 'our_ae'"),
        (("query", "-a", "http://h/dicom-web", "--tls"), "Write https:// instead"),
        (("query", "-a", "http://h/dicom-web", "--user", "me"), "user and password_variable belong together"),
        (("query", "-a", "http://me:word@h/dicom-web"), "url must not contain a user or password"),
        (("query", "-a", "http://h/", "--token-variable", "NOT_SET_9"), "variable NOT_SET_9 is not set"),
        (("query", "-a", "http://h/", "--ca", "absent.pem"), "absent.pem: TLS: no such file"),
        (("query", "-a", "A@h:1", "--ca", "absent.pem"), "absent.pem: TLS: No such file"),
        (("query", "-a", "A@h:1", "--key", "k.pem"), "certificate and key belong together"),
        (("query", "-a", "A@h:1", "--study", "../x"), "--study: string should match"),
        (("query", "-a", "A@h:1", "--date", "yesterday"), "--date: string should match"),
        (("query", "-a", "A@h:1", "--series", "1.2"), "a series UID needs the level series or instance"),
        (("fetch", "-a", "A@h:1", "-o", "x"), "this would retrieve the whole archive"),
        (("query", "-c", "absent.toml"), "absent.toml: cannot be read"),
    ],
)
def test_wrong_words(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert told in err
    assert not list(tmp_path.iterdir())


def test_the_archive_of_a_settings_file(run: Run, orthanc: Any, tmp_path: Path) -> None:
    config = tmp_path / "node.toml"
    config.write_text(
        f'[archive]\nkind = "dimse"\nae = "{orthanc.ae}"\nhost = "127.0.0.1"\nport = {orthanc.port}\n'
    )
    code, out, err = run("query", "-c", config, "--echo")
    assert (code, err) == (0, "")
    code, out, err = run("query", "-c", config, "--our-ae", "ME")
    assert (code, out) == (2, "")
    assert "options of the connection with --config" in err
