"""Our networks in Keras: the same probabilities, in the environment of the benchmarks where it was made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sonoseg.model.export.keras import read_safetensors
from sonoseg.model.network_weights import stored_weights
from sonoseg.networks import PRESETS, NetworkOptions, build
from sonoseg.networks.efficientnet_stages import channels

ROOT = Path(__file__).resolve().parents[2]
PYTHON = (
    ROOT
    / "research"
    / "benchmarks"
    / ".keras"
    / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
)

SMALL = {"widths": (4, 6, 8), "dropout": (0.0, 0.1, 0.1)}


def thin(name: str, **changes: object) -> NetworkOptions:
    """A preset with few channels, and as many levels as its encoder needs."""
    values = PRESETS[name].model_dump() | changes
    if values["encoder"] == "plain":
        return NetworkOptions.model_validate(values | SMALL)
    bottom = channels(values["encoder"])[-1]
    return NetworkOptions.model_validate(values | {"widths": (4, 4, 6, 8, bottom)})


NETWORKS = {
    **{name: thin(name) for name, o in PRESETS.items() if o.architecture == "attention-unet"},
    "sonoseg in colour": thin(
        "sonoseg", encoder="efficientnet-lite0", channels=3, gate="seed", presence=False
    ),
    "presence": thin("quick", presence=True),
    "instance": NetworkOptions(normalisation="instance", residual=True, stem=2, gate="none", **SMALL),
    "same-scale": NetworkOptions(gate="same-scale", normalisation="batch", channels=1, **SMALL),
}

SCRIPT = """
import sys
from pathlib import Path
import keras, numpy as np
from sonoseg.model.export.keras import write_keras
for name in sys.argv[1:]:
    folder = Path(name)
    write_keras(folder, folder / "network.keras")
    network = keras.models.load_model(folder / "network.keras")
    image = np.load(folder / "image.npy").transpose(0, 2, 3, 1)
    np.save(folder / "found.npy", np.asarray(network(image)).transpose(0, 3, 1, 2))
try:
    write_keras(folder.parent, folder.parent / "network.keras")
except ValueError as error:
    print(error)
"""


def test_safetensors_are_read_without_their_library(tmp_path: Path) -> None:
    state = build(NETWORKS["compact"]).state_dict()
    save_file(state, tmp_path / "w.safetensors", metadata={"format": "pt"})
    found = read_safetensors(tmp_path / "w.safetensors")
    assert found.keys() == state.keys()
    assert all(np.array_equal(found[name], state[name].numpy()) for name in state)


@pytest.mark.slow
def test_every_kind_of_network_is_the_same_in_keras(tmp_path: Path) -> None:
    if not PYTHON.exists():
        pytest.skip("no environment of Keras here: research/benchmarks/keras_env.py makes it")
    torch.manual_seed(0)
    expected = {}
    for number, (name, options) in enumerate(NETWORKS.items()):
        network = build(options).eval()
        for parameter in network.parameters():
            # No bias stays 0, and no encoder of a hundred layers grows without end.
            parameter.data += (0.1 if parameter.ndim < 2 else 0.01) * torch.randn_like(parameter)
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):  # fresh statistics would hide a mistake
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 1.5)
        folder = tmp_path / name
        folder.mkdir()
        card = {
            "network": options.model_dump(mode="json"),
            "preprocessing": {"size": 32},
            "temperature": 1.0 + number / 10,
        }
        (folder / "card.json").write_text(json.dumps(card))
        state = stored_weights(network, "float16" if number % 2 else "float32")
        network.load_state_dict(state)
        save_file(state, folder / "weights.safetensors")
        image = torch.randn(2, options.channels, 32, 32)
        np.save(folder / "image.npy", image.numpy())
        with torch.no_grad():
            expected[name] = torch.sigmoid(network(image).logit / card["temperature"]).numpy()
        assert expected[name].std() > 1e-3
    # Weights that do not fit are named: those of the last network, one short.
    (tmp_path / "card.json").write_text(json.dumps(card))
    short = {key: value for key, value in network.state_dict().items() if key != "head.weight"}
    save_file(short, tmp_path / "weights.safetensors")
    quiet = {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    folders = [str(tmp_path / name) for name in NETWORKS]
    ran = subprocess.run(
        [str(PYTHON), "-c", SCRIPT, *folders],
        env=os.environ | quiet | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert "the weights lack head.weight" in ran.stdout
    assert not (tmp_path / "network.keras").exists()
    for name, values in expected.items():
        found = np.load(tmp_path / name / "found.npy")
        assert np.abs(found - values).max() < 1e-4, name
