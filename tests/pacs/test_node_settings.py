"""The node's settings file, and options before it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sonoseg.errors import UsageError
from sonoseg.pacs.address import DimseAddress, WebAddress
from sonoseg.pacs.node_settings import NodeLimits, load_settings

WHOLE = """
ae = "NODE1"
host = "0.0.0.0"
port = 104
allow = ["SCANNER", "ROOM 2"]
state = "queue"
send_back = ["seg", "sr", "capture"]
anonymise = true

[tls]
certificate = "node.pem"

[archive]
ae = "PACS"
host = "pacs.example"
port = 11112
tls = { ca = "hospital.pem" }

[retry]
first_delay = 1.5
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "node.toml"
    path.write_text(text, "utf-8")
    return path


def test_complete_file(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, WHOLE))
    assert (settings.ae, settings.port, settings.allowed) == ("NODE1", 104, ["SCANNER", "ROOM 2"])
    assert settings.state == tmp_path / "queue", "files lie beside the file that names them"
    assert settings.tls is not None
    assert settings.tls.certificate == tmp_path / "node.pem"
    assert isinstance(settings.archive, DimseAddress)
    assert settings.archive.our_ae == "NODE1", "we have one title, unless it is said"
    assert settings.archive.tls is not None
    assert settings.archive.tls.ca == tmp_path / "hospital.pem"
    assert settings.retry.first_delay == 1.5
    assert settings.send_back == ("seg", "sr", "capture")


def test_options_override_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, WHOLE)
    settings = load_settings(path, ae="OTHER", port=0, archive="http://localhost:8042/dicom-web", allow=None)
    assert (settings.ae, settings.port) == ("OTHER", 0)
    assert isinstance(settings.archive, WebAddress)
    assert settings.allowed == ["SCANNER", "ROOM 2"]
    other = load_settings(path, ae="OTHER", archive="PACS@localhost:104").archive
    assert isinstance(other, DimseAddress)
    assert other.our_ae == "OTHER"


def test_archive_alone_is_sufficient() -> None:
    settings = load_settings(None, archive="PACS@localhost:104")
    assert (settings.host, settings.send_back, settings.allowed) == ("127.0.0.1", ("seg", "sr"), [])


def test_allow_is_required_where_other_machines_can_connect() -> None:
    with pytest.raises(UsageError, match="name the calling AE titles"):
        load_settings(None, archive="PACS@localhost:104", host="0.0.0.0")
    settings = load_settings(None, archive="PACS@localhost:104", host="0.0.0.0", allow=["*"])
    assert settings.allowed == []


def test_default_limits() -> None:
    """docs/pacs.md states them."""
    assert NodeLimits().model_dump() == {
        "max_bytes": 2 << 30,
        "associations": 16,
        "keep_free": 256 << 20,
        "idle": 60,
        "connections": 64,
        "connections_per_address": 16,
        "request_timeout": 10,
        "pdu_timeout": 30,
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no archive"),
        ("ae = 'x'\nae = 'y'", "invalid TOML"),
        ("[archive]\nae='A'\nhost='h'\nport=99999", "archive.port"),
        ("aee = 'x'\n[archive]\nae='A'\nhost='h'\nport=1", "unknown key 'aee'"),
        ("send_back = ['png']\n[archive]\nurl='http://h'", "send_back"),
        ("send_back = []\n[archive]\nurl='http://h'", "send_back"),
        ("frames = 'some'\n[archive]\nurl='http://h'", "names no frames"),
        ("ae = 'a title that is too long'\n[archive]\nurl='http://h'", "AE title"),
        ("archive = 7", "archive"),
        ("[retry]\nfirst_delay = 0\n[archive]\nurl='http://h'", "retry.first_delay"),
    ],
)
def test_invalid_keys_are_named(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(UsageError) as told:
        load_settings(path)
    assert said in str(told.value)
    assert str(path) in str(told.value)


def test_unreadable_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_settings(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b"ae = '\xfc'")
    with pytest.raises(UsageError, match="invalid TOML"):
        load_settings(tmp_path / "latin.toml")
