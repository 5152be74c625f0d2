"""Runtimes: equal results, and clear errors where one cannot be used."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sonoseg.errors import MissingExtra, ModelError, UsageError
from sonoseg.inference.predictor import Predictor
from sonoseg.inference.runtimes import choice, load_runtime
from sonoseg.inference.runtimes.choice import Choice
from sonoseg.inputs.reading import read_frame
from sonoseg.model.card import LowerPrecision
from sonoseg.model.model import Model
from sonoseg.samples import paths


@pytest.fixture(scope="module")
def trained(phantom_run: Path) -> Model:
    """A small trained and exported network."""
    return Model.load(phantom_run)


ENGINES = [
    "onnx",
    pytest.param(
        "openvino", marks=pytest.mark.skipif(not choice.installed("openvino"), reason="no openvino here")
    ),
]


def agree(model: Model, engine: str) -> None:
    """Assert that an engine gives what torch gives, within 1e-4, images of any size and grids."""
    rng = np.random.default_rng(0)
    mine, torch = (Predictor(model, runtime=name, precision="fp32", threads=1) for name in (engine, "torch"))
    assert mine.runtime.startswith({"onnx": "onnxruntime "}.get(engine, engine))
    assert mine.runtime.endswith("(CPU, fp32)")
    assert "torch" in torch.runtime
    for shape in ((70, 90), (64, 64), (120, 50)):
        # Smooth noise: bright and dark patches, as in tissue.
        small = Image.fromarray(rng.integers(0, 256, (9, 9), dtype=np.uint8))
        image = np.asarray(small.resize(shape[::-1], Image.Resampling.BICUBIC))
        one, other = (p.predict(image, attention=True) for p in (mine, torch))
        assert np.abs(one.probability - other.probability).max() < 1e-4
        assert one.probability.std() > 1e-6  # not a constant that would agree by itself
        assert one.attention is not None
        assert other.attention is not None
        assert list(one.attention) == list(other.attention) == model.card.attention
        for name, values in one.attention.items():
            assert np.abs(values - other.attention[name]).max() < 1e-4
            assert values.min() >= 0
            assert values.max() <= 1
    size = model.card.preprocessing.size
    grid = rng.integers(0, 256, (3, size, size), dtype=np.uint8)
    assert np.abs(mine.predict_grid(grid) - torch.predict_grid(grid)).max() < 1e-4


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_agrees_with_torch_within_1e4(trained: Model, engine: str) -> None:
    agree(trained, engine)


@pytest.mark.process
@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_agrees_with_torch_on_the_shipped_model(engine: str) -> None:
    agree(Model.load(), engine)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


@pytest.mark.process
@pytest.mark.parametrize(
    ("engine", "precision", "least"),
    [("onnx", "int8", 0.97), ("openvino", "int8", 0.97), ("openvino", "bf16", 0.99), ("torch", "bf16", 0.99)],
)
def test_a_lower_precision_segments_the_samples_alike(engine: str, precision: str, least: float) -> None:
    """The loss on real images is measured by `sonoseg model precisions`; this sees that none breaks."""
    if not choice.installed(engine):  # type: ignore[arg-type]
        pytest.skip(f"no {engine} here")
    model = Model.load()
    try:
        low = Predictor(model, runtime=engine, precision=precision, threads=1)
    except UsageError as error:
        pytest.skip(str(error))
    assert low.runtime.endswith(f"(CPU, {precision})")
    full = Predictor(model, runtime="onnx", precision="fp32", threads=1)
    frames = [read_frame(path) for path in paths() if "normal" not in path.name]
    found = [(low.predict(frame).mask, full.predict(frame).mask) for frame in frames]
    # The median: a lesion whose probability is about the threshold comes and goes with the last digits.
    assert np.median([dice(one, other) for one, other in found if other.any()]) >= least
    assert any((one != other).any() for one, other in found)  # truly another arithmetic


def order(model: Model, name: str = "auto", precision: str = "auto") -> list[str]:
    return [f"{one.engine} {one.precision}" for one in choice.choices(name, precision, model)]


def test_auto_takes_the_precisions_that_the_card_allows(
    dark_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "installed", lambda engine: True)
    plain = Model.load(dark_model)
    assert order(plain) == ["onnx fp32", "openvino fp32", "torch fp32"]
    assert order(plain, "onnx", "int8") == ["onnx int8"]

    def measured(runtime: str, precision: str, loss: float) -> LowerPrecision:
        return LowerPrecision.model_validate(
            {"runtime": runtime, "precision": precision, "loss": loss, "n": 9, "on": "validation"}
        )

    losses = [
        measured("onnx", "int8", 0.004),
        measured("openvino", "int8", 0.006),  # too much
        measured("openvino", "bf16", 0.001),
        measured("torch", "bf16", 0.003),  # too much
    ]
    card = plain.card.model_copy(update={"precisions": losses})
    model = Model(plain.folder, card)
    assert order(model) == ["onnx int8", "openvino bf16", "onnx fp32", "openvino fp32", "torch fp32"]
    monkeypatch.setattr(choice, "installed", lambda engine: engine != "onnx")
    assert order(model)[0] == "openvino bf16"


def test_auto_starts_what_is_installed(dark_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model.load(dark_model)
    assert load_runtime("auto", model).engine == "onnx"
    monkeypatch.setattr(choice, "installed", lambda engine: engine == "onnx")
    runtime = load_runtime("auto", model)
    assert (runtime.engine, runtime.precision) == ("onnx", "fp32")
    assert runtime.name.startswith("onnxruntime ")


def test_auto_skips_an_engine_that_does_not_start(dark_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "ORDER", (Choice("openvino", "fp32"), Choice("onnx", "fp32")))
    monkeypatch.setattr(choice, "installed", lambda engine: True)
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert load_runtime("auto", Model.load(dark_model)).engine == "onnx"


@pytest.mark.parametrize(("engine", "precision"), [("onnx", "bf16"), ("torch", "int8")])
def test_an_unsupported_precision_is_refused(trained: Model, engine: str, precision: str) -> None:
    with pytest.raises(UsageError, match=rf"{precision} is not supported by the runtime '{engine}'"):
        Predictor(trained, runtime=engine, precision=precision)
    with pytest.raises(UsageError, match="unknown precision 'fp8'"):
        Predictor(trained, runtime=engine, precision="fp8")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_model_without_int8_names_the_export_command(trained: Model, engine: str) -> None:
    with pytest.raises(ModelError, match=r"no int8 network .*sonoseg export --precision int8"):
        Predictor(trained, runtime=engine, precision="int8")


def test_without_openvino_the_extra_is_named(trained: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtra, match=r"pip install 'sonoseg\[openvino\]'"):
        Predictor(trained, runtime="openvino")


def test_an_unknown_runtime_is_refused(dark_model: Path) -> None:
    with pytest.raises(UsageError, match="unknown runtime 'tensorflow'"):
        Predictor(dark_model, runtime="tensorflow")


def test_without_torch_the_extra_is_named(trained: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"pip install 'sonoseg\[train\]'"):
        Predictor(trained, runtime="torch")


def test_torch_says_where_weights_are_missing_or_wrong(dark_model: Path, trained: Model) -> None:
    with pytest.raises(ModelError, match=r"weights\.safetensors: the file is missing"):
        Predictor(dark_model, runtime="torch")
    other = trained.card.model_copy(update={"network": {**trained.card.network, "widths": [2, 2, 2, 2]}})
    with pytest.raises(ModelError, match="the weights do not fit the card's network"):
        Predictor(Model(trained.folder, other), runtime="torch")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("content", [b"", b"not a network", bytes(500)])
def test_a_damaged_onnx_file(make_dark_model: Callable[..., Path], content: bytes, engine: str) -> None:
    folder = make_dark_model()
    (folder / "model.onnx").write_bytes(content)
    with pytest.raises(
        ModelError, match=r"model\.onnx: (ONNX Runtime|OpenVINO) cannot load|the network (is|has)"
    ):
        Predictor(folder, runtime=engine)


@pytest.mark.parametrize(
    "change",
    [
        {"preprocessing": {"size": 128}},
        {"preprocessing": {"size": 64, "channels": 3}},
        {"attention": ["attention_1", "attention_9"]},
    ],
)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_card_of_another_network_is_refused(
    make_dark_model: Callable[..., Path], change: dict[str, Any], engine: str
) -> None:
    folder = make_dark_model()
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | change))
    with pytest.raises(ModelError, match="card"):
        Predictor(folder, runtime=engine)


def test_parallel_streams_give_the_same_results(trained: Model) -> None:
    pytest.importorskip("openvino")
    one = load_runtime("openvino", trained, threads=2)
    many = load_runtime("openvino", trained, threads=2, images=choice.FEW + 1)
    batch = np.random.default_rng(3).normal(size=(9, 1, 64, 64)).astype(np.float32)
    for count in (1, 3, 9):  # fewer than requests, and more
        found, expected = many.run(batch[:count], True), one.run(batch[:count], True)
        np.testing.assert_array_equal(found.logit, expected.logit)
        np.testing.assert_array_equal(found.features, expected.features)
        assert found.attention.keys() == expected.attention.keys()
        for name, values in found.attention.items():
            np.testing.assert_array_equal(values, expected.attention[name])


@pytest.mark.parametrize(("threads", "expected"), [(1, 1), (3, 3), (64, 8)])
def test_parallel_images_are_one_per_thread_up_to_a_batch(threads: int, expected: int) -> None:
    assert choice.side_by_side(threads) == expected
    assert 1 <= choice.side_by_side(None) <= 8


def test_a_failed_run_is_a_model_error(trained: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = np.zeros((1, 7, 64, 64), dtype=np.float32)
    for name in ("onnx", "openvino"):
        if choice.installed(name):  # type: ignore[arg-type]
            with pytest.raises(ModelError, match=r"the network failed on a batch of shape \(1, 7, 64, 64\)"):
                load_runtime(name, trained, threads=1).run(batch, False)

    def exhausted(image: object) -> object:
        raise RuntimeError("[enforce fail] not enough memory: you tried to allocate 99 TB")

    engine = load_runtime("torch", trained, threads=1)
    monkeypatch.setattr(engine, "_network", exhausted)
    with pytest.raises(ModelError, match=r"failed on a batch of shape .*99 TB.*smaller batch"):
        engine.run(batch, False)
