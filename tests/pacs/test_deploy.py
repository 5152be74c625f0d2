"""What deploy/ holds, checked as far as can be without a container engine: parsed, run, verified."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sonoseg.pacs.node_settings import load_settings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
SERVICES = {"orthanc", "sonoseg", "ohif", "web"}
# What the compose specification lets a service say, of what is used here.
KEYS = {"image", "build", "volumes", "ports", "depends_on", "restart", "stop_grace_period", "healthcheck"}
KEYS |= {"read_only", "tmpfs", "cap_drop", "security_opt"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    read = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    assert set(read) == {"name", "services", "volumes"}
    return dict(read)


def test_services_are_pinned_and_stay_on_this_machine(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == SERVICES
    for name, service in compose["services"].items():
        assert set(service) <= KEYS, name
        assert ("image" in service) != ("build" in service)
        if "image" in service:
            assert re.fullmatch(r"[a-z0-9/-]+:v?\d+\.\d+(\.\d+)?(-\w+)?", service["image"]), service["image"]
        assert set(service.get("depends_on", ())) <= SERVICES
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), f"{name} publishes {port} beyond this machine"


def test_mounts_are_there(compose: dict[str, Any]) -> None:
    named = set()
    for service in compose["services"].values():
        for volume in service.get("volumes", ()):
            source, target, *mode = volume.split(":")
            assert target.startswith("/")
            if source.startswith("."):
                assert (DEPLOY / source).is_file(), source
                assert mode == ["ro"]
            else:
                named.add(source)
    assert named == set(compose["volumes"])


def test_the_images_file_copies_what_is_there_and_runs_our_verb(compose: dict[str, Any]) -> None:
    build = compose["services"]["sonoseg"]["build"]
    context = (DEPLOY / build["context"]).resolve()
    lines = (context / build["dockerfile"]).read_text("utf-8").replace("\\\n", " ").splitlines()
    said = [
        (word, rest) for word, _, rest in (line.partition(" ") for line in lines if line[:1] not in ("#", ""))
    ]
    for word, rest in said:
        if word == "COPY":
            assert all((context / source).exists() for source in rest.split()[:-1]), rest
    assert ("USER", "sonoseg") in said
    command = json.loads(dict(said)["CMD"])
    where = next(v for v in compose["services"]["sonoseg"]["volumes"] if v.endswith("node.toml:ro"))
    assert command == ["sonoseg", "pacs", "serve", "--config", where.split(":")[1]]
    ran = subprocess.run(
        [sys.executable, "-m", *command[:3], "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0
    assert "--config" in ran.stdout
    assert (
        "pacs"
        in tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    )


def test_who_calls_whom_fits_together(compose: dict[str, Any]) -> None:
    """Names, titles and ports of node.toml, orthanc.json and compose.yaml are the same ones."""
    node = load_settings(DEPLOY / "node.toml")
    orthanc = json.loads((DEPLOY / "orthanc.json").read_text("utf-8"))
    known = orthanc["DicomModalities"]["sonoseg"]
    assert (known["AET"], known["Host"], known["Port"]) == (node.ae, "sonoseg", node.port)
    assert node.archive.kind == "dimse"
    assert (node.archive.ae, node.archive.host, node.archive.port) == (
        orthanc["DicomAet"],
        "orthanc",
        orthanc["DicomPort"],
    )
    assert node.allow == (orthanc["DicomAet"],)
    assert node.archive.our_ae == known["AET"]
    volumes = compose["services"]["sonoseg"]["volumes"]
    assert f"node:{node.state}" in volumes
    proxy = (DEPLOY / "nginx.conf").read_text("utf-8")
    assert f"http://orthanc:{orthanc['HttpPort']}{orthanc['DicomWeb']['Root']};" in proxy
    scripts = [Path(path) for path in orthanc["LuaScripts"]]
    mounted = {v.split(":")[1] for v in compose["services"]["orthanc"]["volumes"]}
    assert all(str(script) in mounted for script in scripts)
    probe = " ".join(compose["services"]["sonoseg"]["healthcheck"]["test"])
    assert f"('127.0.0.1', {node.port})" in probe


@pytest.mark.process
def test_orthanc_routes_ultrasound_and_takes_the_results(
    make_orthanc: Callable[..., Any],
    make_phantom: Callable[..., Path],
    dark_model: Path,
    tmp_path: Path,
    dcmtk: Callable[..., Any],
) -> None:
    """Its own configuration and script, in a real Orthanc; only places and ports are others."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = json.loads((DEPLOY / "orthanc.json").read_text("utf-8"))
    for place in ("StorageDirectory", "IndexDirectory", "Plugins", "DicomPort", "HttpPort"):
        del config[place]
    config["RemoteAccessAllowed"] = False
    config["DicomModalities"]["sonoseg"] |= {"Host": "127.0.0.1", "Port": port}
    config["LuaScripts"] = [str(DEPLOY / Path(script).name) for script in config["LuaScripts"]]
    orthanc = make_orthanc(**config)

    text = (DEPLOY / "node.toml").read_text("utf-8")
    for old, new in (
        ('host = "0.0.0.0"', 'host = "127.0.0.1"'),
        ("port = 11112", f"port = {port}"),
        ('"/var/lib/sonoseg"', f'"{tmp_path / "state"}"\nmodel = "{dark_model}"'),
        ('host = "orthanc"', 'host = "127.0.0.1"'),
        ("port = 4242", f"port = {orthanc.port}"),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (tmp_path / "node.toml").write_text(text, "utf-8")
    node = subprocess.Popen(
        [sys.executable, "-m", "sonoseg", "pacs", "serve", "--config", str(tmp_path / "node.toml")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert node.stdout is not None
        assert "listens on" in node.stdout.readline()
        source = make_phantom(tmp_path / "0.dcm")
        sent = dcmtk("storescu", "-aec", orthanc.ae, "127.0.0.1", orthanc.port, source)
        assert sent.returncode == 0, sent.stderr
        assert sorted(wait(orthanc, 4)) == ["OT", "SEG", "SR", "US"]
    finally:
        node.send_signal(signal.SIGTERM)
        node.communicate(timeout=60)
    assert node.returncode == 0


def wait(orthanc: Any, count: int) -> list[str]:
    """The modalities of all instances, once there are `count`, and no more a moment later."""
    import time

    ended = time.monotonic() + 120
    while len(orthanc.instances()) < count and time.monotonic() < ended:
        time.sleep(0.2)
    time.sleep(1.5)
    series = orthanc.rest("/series?expand")
    assert sum(len(one["Instances"]) for one in series) == count
    return [one["MainDicomTags"]["Modality"] for one in series]


def unit() -> list[tuple[str, str]]:
    lines = (DEPLOY / "sonoseg-pacs.service").read_text("utf-8").splitlines()
    return [(key, value) for key, _, value in (line.partition("=") for line in lines if "=" in line[1:])]


def test_the_unit_runs_our_verb_and_may_write_its_state() -> None:
    said = dict(unit())
    words = shlex.split(said["ExecStart"])
    assert words[0] == "/opt/sonoseg/bin/sonoseg"
    ran = subprocess.run(
        [sys.executable, "-m", "sonoseg", *words[1:3], "--help"], capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0
    assert all(word in ran.stdout for word in words[3:] if word.startswith("--"))
    assert said["StateDirectory"] == "sonoseg"  # /var/lib/sonoseg, as node.toml has it
    assert load_settings(DEPLOY / "node.toml").state == Path("/var/lib") / said["StateDirectory"]


@pytest.mark.process
def test_systemd_has_nothing_to_say_against_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    copy = tmp_path / "sonoseg-pacs.service"
    text = (DEPLOY / copy.name).read_text("utf-8")
    assert "/opt/sonoseg/bin/sonoseg" in text
    # Where it is not installed, systemd would find that its program is not there.
    copy.write_text(text.replace("ExecStart=/opt/sonoseg/bin/sonoseg", "ExecStart=/bin/true"))
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True, timeout=60
    )
    said = "\n".join(line for line in verified.stderr.splitlines() if copy.name in line)
    assert (verified.returncode, said) == (0, "")
