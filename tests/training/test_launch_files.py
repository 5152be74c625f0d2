"""The examples for SLURM and Kubernetes: their scripts run, and what they start is understood."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from sonoseg.cli.main import build

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="scripts of a shell"),
    pytest.mark.skipif(not DEPLOY.is_dir(), reason="the examples are not beside the tests"),
]


@pytest.fixture
def commands(tmp_path: Path) -> Callable[..., str]:
    """Run a script with commands of the cluster that only write down their words, one a line."""
    tools = tmp_path / "bin"
    tools.mkdir()

    def run(script: list[str], says: dict[str, str], **environment: str) -> list[str]:
        for name, does in says.items():
            path = tools / name
            path.write_text(f"#!/bin/sh\n{does}\n")
            path.chmod(0o755)
        done = subprocess.run(
            script,
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": f"{tools}:/usr/bin:/bin", **environment},
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return run


def launched(words: list[str]) -> tuple[Any, dict[str, Any]]:
    """What torchrun makes of its words and `sonoseg train` of its own; both raise on a wrong one."""
    from torch.distributed.run import get_args_parser

    assert words[0] == "torchrun"
    given = get_args_parser().parse_args(words[1:])
    assert given.module
    assert given.training_script == "sonoseg"
    verb, *rest = given.training_script_args
    command = typer.main.get_command(build("train"))
    context = command.commands[verb].make_context(verb, list(rest))  # type: ignore[attr-defined]
    return given, context.params


@pytest.mark.process
@pytest.mark.parametrize(
    ("resume", "hosts"),
    [
        (False, "echo node-a; echo node-b"),
        (True, "echo node-a"),
        # More than a pipe holds: whoever stops reading after the first line ends it by SIGPIPE.
        (False, "echo node-a; seq 100000"),
    ],
)
def test_the_slurm_script(commands: Callable[..., list[str]], resume: bool, hosts: str) -> None:
    path = DEPLOY / "slurm.sbatch"
    lines = commands(
        ["bash", str(path)],
        {"scontrol": hosts, "srun": 'for word; do echo "$word"; done'},
        SLURM_GPUS_ON_NODE="4",
        SLURM_CPUS_PER_TASK="16",
        SLURM_JOB_NODELIST="node-[a-b]",
        SLURM_JOB_NUM_NODES="2",
        SLURM_JOB_ID="77",
        RESUME=str(int(resume)),
    )
    assert lines[0] == "--kill-on-bad-exit=1"
    given, params = launched(lines[1:])
    assert (given.nnodes, given.nproc_per_node) == ("2", "4")
    assert (given.rdzv_endpoint, given.rdzv_id) == ("node-a:29500", "77")
    assert params["resume"] == resume
    assert params["recipe"] == (None if resume else "sonoseg")
    options = [line.split()[1] for line in path.read_text().splitlines() if line.startswith("#SBATCH")]
    assert all(option.startswith("--") for option in options)
    assert "--ntasks-per-node=1" in options  # one torchrun a host


@pytest.fixture
def job() -> dict[str, Any]:
    _, one = yaml.safe_load_all((DEPLOY / "train-job.yaml").read_text())
    assert isinstance(one, dict)
    return one


@pytest.mark.process
@pytest.mark.parametrize("resume", [False, True])
def test_the_job_of_kubernetes(
    commands: Callable[..., list[str]], job: dict[str, Any], resume: bool, tmp_path: Path
) -> None:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    (mount,) = (one for one in container["volumeMounts"] if one["name"] == "storage")
    (script,) = container["args"]
    assert mount["mountPath"] + "/runs" in script
    script = script.replace(mount["mountPath"], str(tmp_path / "storage"))
    if resume:
        run = tmp_path / "storage" / "runs" / "sonoseg" / "run.json"
        run.parent.mkdir(parents=True)
        run.write_text("{}")
    torchrun = 'echo torchrun; for word; do echo "$word"; done'
    lines = commands([*container["command"], script], {"torchrun": torchrun}, JOB_COMPLETION_INDEX="1")
    given, params = launched(lines)
    assert int(given.nnodes) == job["spec"]["completions"] == job["spec"]["parallelism"]
    assert given.node_rank == 1
    assert params["resume"] == resume
    assert params["to"] == tmp_path / "storage" / "runs" / "sonoseg"


def test_the_pods_of_the_job_find_the_first_of_them(job: dict[str, Any]) -> None:
    """An indexed Job's pods are NAME-INDEX, and have names in the network below its headless Service's."""
    service, _ = yaml.safe_load_all((DEPLOY / "train-job.yaml").read_text())
    name, template = job["metadata"]["name"], job["spec"]["template"]["spec"]
    assert job["spec"]["completionMode"] == "Indexed"
    assert service["spec"]["clusterIP"] == "None"  # the word, not nothing
    assert service["spec"]["publishNotReadyAddresses"] is True
    assert service["spec"]["selector"] == {"job-name": name}
    assert template["subdomain"] == service["metadata"]["name"]
    script = template["containers"][0]["args"][0]
    assert f"--master-addr {name}-0.{service['metadata']['name']}" in script
    assert f"--master-port {service['spec']['ports'][0]['port']}" in script
    assert template["restartPolicy"] == "Never"
    volumes = {one["name"] for one in template["volumes"]}
    assert {one["name"] for one in template["containers"][0]["volumeMounts"]} == volumes
