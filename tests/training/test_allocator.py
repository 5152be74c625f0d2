"""The command starts itself once more with the allocator's settings, and only once."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sonoseg.training import allocator


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*allocator.SETTINGS, allocator.OPT_OUT):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(allocator.platform, "libc_ver", lambda: ("glibc", "2.36"))


@pytest.mark.usefixtures("bare")
def test_needed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert allocator.needed()
    seen = {}
    monkeypatch.setattr(os, "execve", lambda path, words, env: seen.update(path=path, words=words, env=env))
    monkeypatch.setattr(sys, "argv", ["sonoseg", "train", "--out", "x y"])
    allocator.reexecute()
    assert seen["words"] == [sys.executable, "-m", "sonoseg", "train", "--out", "x y"]
    for name, value in seen["env"].items():
        monkeypatch.setenv(name, value)
    assert not allocator.needed()


@pytest.mark.usefixtures("bare")
def test_a_users_own_setting_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TOP_PAD_", "4096")
    seen = {}
    monkeypatch.setattr(os, "execve", lambda *words: seen.update(env=words[2]))
    allocator.reexecute()
    assert seen["env"]["MALLOC_TOP_PAD_"] == "4096"
    assert seen["env"]["MALLOC_TRIM_THRESHOLD_"] == allocator.SETTINGS["MALLOC_TRIM_THRESHOLD_"]


@pytest.mark.usefixtures("bare")
def test_not_without_glibc_nor_when_declined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator.platform, "libc_ver", lambda: ("", ""))
    assert not allocator.needed()
    monkeypatch.setattr(allocator.platform, "libc_ver", lambda: ("glibc", "2.36"))
    monkeypatch.setenv(allocator.OPT_OUT, "1")
    assert not allocator.needed()


@pytest.mark.process
def test_the_command_does_it_before_torch_is_imported() -> None:
    """The real thing, in its own process: it re-executes, then says what it lacks."""
    environment = {name: value for name, value in os.environ.items() if name not in allocator.SETTINGS}
    environment.pop(allocator.OPT_OUT, None)
    code = (
        "import os, sys; sys.argv = ['sonoseg', 'train', '--out', 'x'];"
        "real = os.execve;"
        "os.execve = lambda *a: (print('torch' in sys.modules, a[2]['MALLOC_TOP_PAD_']), os._exit(0));"
        "from sonoseg.cli.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    if allocator.platform.libc_ver()[0] != "glibc":
        pytest.skip("no glibc here")
    assert done.stdout.split() == ["False", allocator.SETTINGS["MALLOC_TOP_PAD_"]], done.stderr
