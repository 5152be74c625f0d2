"""Addresses of archives: as one word, as a table, and never with a secret in them."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from sonoseg.errors import UsageError
from sonoseg.pacs.address import ArchiveAddress, DimseAddress, WebAddress, parse_address


class Holder(BaseModel):
    archive: ArchiveAddress


def test_one_word() -> None:
    assert parse_address("PACS@pacs.example:104") == DimseAddress(ae="PACS", host="pacs.example", port=104)
    assert parse_address("PACS@[::1]:104").model_dump()["host"] == "::1"
    assert parse_address("MY PACS@host:104", our_ae="ME", timeout=None) == DimseAddress(
        ae="MY PACS", host="host", port=104, our_ae="ME"
    )
    assert parse_address("https://host/dicom-web") == WebAddress(kind="web", url="https://host/dicom-web")
    assert str(parse_address("PACS@host:104")) == "PACS@host:104"


@pytest.mark.parametrize(
    "word",
    [
        *(
            "",
            "PACS",
            "PACS@host",
            "PACS@host:port",
            "PACS@host:0",
            "PACS@host:65536",
            "@host:104",
            " @host:1",
        ),
        *("much_too_long_a_title@host:104", "PÄCS@host:104", "A\\B@host:104", "ftp://host", "http://"),
        "https://me:word@host/dicom-web",
    ],
)
def test_words_that_are_none(word: str) -> None:
    with pytest.raises(UsageError):
        parse_address(word)


def test_a_table_says_its_kind() -> None:
    told = {"kind": "web", "url": "https://host/dicom-web", "user": "me", "password_variable": "WORD"}
    assert isinstance(Holder.model_validate({"archive": told}).archive, WebAddress)
    told = {"kind": "dimse", "ae": "PACS", "host": "host", "port": "104"}
    assert isinstance(Holder.model_validate({"archive": told}).archive, DimseAddress)
    for wrong in ({"kind": "ftp"}, {**told, "colour": "grey"}, {**told, "retrieve": "move"}):
        with pytest.raises(ValidationError):
            Holder.model_validate({"archive": wrong})


def test_a_secret_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    address = WebAddress(kind="web", url="https://host/", user="me", password_variable="WORD_9")
    monkeypatch.delenv("WORD_9", raising=False)
    with pytest.raises(UsageError, match="WORD_9 is not set"):
        address.secret()
    monkeypatch.setenv("WORD_9", "hush")
    assert address.secret() == "hush"
    assert "hush" not in repr(address) + str(address)
