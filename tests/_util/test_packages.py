"""Installed packages."""

from __future__ import annotations

import pytest

from sonoseg._util.packages import installed_version, installed_versions, is_installed, require
from sonoseg.errors import MissingExtra


def test_versions_of_what_is_installed() -> None:
    assert installed_version("no-such-package") is None
    assert list(installed_versions(["numpy", "no-such-package", "pillow"])) == ["numpy", "pillow"]


def test_a_missing_module_names_its_extra() -> None:
    assert is_installed("numpy")
    require("data", "numpy")
    with pytest.raises(MissingExtra, match="no_such_module") as caught:
        require("data", "numpy", "no_such_module")
    assert caught.value.remedy == "Install it with: pip install 'sonoseg[data]'"
    assert caught.value.exit_code == 2
