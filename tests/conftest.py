"""Fixtures that every test may use."""

from __future__ import annotations

import functools
import gc
import io
import os
import re
import secrets
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray
from PIL import Image

from sonoseg._util.locks import locked

# "ci" draws the same examples every time, "quick" fewer of them. SONOSEG_TEST_PROFILE=random draws others,
# and the seed is printed.
# No deadline: on a loaded machine any test may be slow.
settings.register_profile("ci", deadline=None, derandomize=True)
settings.register_profile("quick", settings.get_profile("ci"), max_examples=10)
settings.register_profile("random", deadline=None, print_blob=True)
PROFILE = os.environ.get("SONOSEG_TEST_PROFILE", "ci")
settings.load_profile(PROFILE)

PROCESS_FIXTURES = frozenset(
    (
        *("browser", "orthanc", "make_orthanc", "dcmtk", "storescp"),
        *("certificates", "listening", "serving", "phantom_run"),
    )
)
"""A test that uses one of these starts a process, or trains a network: it is marked `process`."""

REQUIRED = os.environ.get("SONOSEG_REQUIRE", "").split()
"""Programs that must be there, such as "orthanc dcmtk": a test that is skipped for want of one fails."""


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Choose the seed of random runs here, so that every process of xdist gets the same one."""
    if PROFILE == "random" and config.getoption("--hypothesis-seed") is None:
        config.option.hypothesis_seed = str(secrets.randbelow(2**32))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect no garbage during imports, and later none of what they made: a tenth of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that start processes, and run files with slow tests first.

    xdist assigns whole files, those with the most tests first. Files of few but slow tests
    would come last, and run while the other workers wait.
    """
    for item in items:
        if PROCESS_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("process")
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def missing_requirement(report: pytest.TestReport | pytest.CollectReport) -> str | None:
    """Return the required program for want of which a test or a file was skipped, if any."""
    reason = skip_reason(report).lower() if report.skipped and not hasattr(report, "wasxfail") else ""
    return next((name for name in REQUIRED if re.search(rf"\b{re.escape(name.lower())}\b", reason)), None)


def skip_reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Return the reason of a skipped test or file, in one line."""
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return " ".join(text.removeprefix("Skipped: ").split())


def _fail_if_required(report: Any) -> Any:
    name = missing_requirement(report)
    if name is not None:
        reason = skip_reason(report)
        report.outcome, report.longrepr = "failed", f"{name} is required by SONOSEG_REQUIRE: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    """Fail a test that was skipped for want of a required program."""
    return _fail_if_required((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, Any]:
    """Fail a file that was skipped for want of a required program."""
    return _fail_if_required((yield))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List what was skipped by reason, and the seed of a random run."""
    skipped: dict[str, list[str]] = {}
    for report in terminalreporter.stats.get("skipped", []):
        skipped.setdefault(skip_reason(report), []).append(report.nodeid.split("::")[0])
    if skipped:
        terminalreporter.section("skipped")
    for reason, files in sorted(skipped.items(), key=lambda item: -len(item[1])):
        terminalreporter.line(f"{len(files):4} {reason}")
        for file in sorted(set(files)):
            terminalreporter.line(f"       {file}")
    if PROFILE == "random":
        seed = terminalreporter.config.getoption("--hypothesis-seed")
        terminalreporter.line(
            f"Random examples. To repeat: SONOSEG_TEST_PROFILE=random pytest --hypothesis-seed={seed}"
        )


REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def _real(*parts: str) -> Path:
    folder = REAL_DATA.joinpath(*parts)
    if not folder.is_dir():
        pytest.skip(f"the public set {'/'.join(parts)} is not beside the repository")
    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of public sets beside the repository; skips where it is absent."""
    return _real()


@pytest.fixture(scope="session")
def real_busi() -> Path:
    """BUSI in its published layout; skips where it is absent."""
    return _real("busi", "Dataset_BUSI_with_GT")


@pytest.fixture(scope="session")
def real_busbra() -> Path:
    """BUS-BRA in its published layout; skips where it is absent."""
    return _real("bus-bra", "BUSBRA")


def write_dark_model(
    folder: Path,
    *,
    size: int = 64,
    gates: int = 4,
    level: float = 0.25,
    steepness: float = 40.0,
    card: Mapping[str, Any] | None = None,
    **preprocessing: Any,
) -> Path:
    """Write a model folder without training: a place is lesion where it and its 3x3 surroundings are dark.

    logit = steepness * (level - smoothed input); gate k's coefficients are 1 - input, averaged over blocks of
    2 ** (gates + 1 - k) pixels. `card` and `preprocessing` give values of the card.
    """
    import onnx
    from onnx import TensorProto, helper

    from sonoseg.model.card import ModelCard, Preprocessing
    from sonoseg.model.model import Model

    prepared = Preprocessing(size=size, **preprocessing)

    def scalar(name: str, value: float) -> Any:
        return helper.make_tensor(name, TensorProto.FLOAT, [], [value])

    nodes = [
        helper.make_node("ReduceMean", ["image", "axes"], ["grey"], keepdims=1),
        helper.make_node(
            "AveragePool", ["grey"], ["smooth"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=0
        ),
        helper.make_node("Sub", ["level", "smooth"], ["depth"]),
        helper.make_node("Mul", ["depth", "steepness"], ["logit"]),
        helper.make_node("Sub", ["one", "grey"], ["dark"]),
    ]
    outputs = [helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["N", 1, size, size])]
    names = [f"attention_{k}" for k in range(1, gates + 1)]
    for k, name in enumerate(names, start=1):
        step = 2 ** (gates + 1 - k)
        nodes.append(
            helper.make_node("AveragePool", ["dark"], [name], kernel_shape=[step, step], strides=[step, step])
        )
        side = size // step
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 1, side, side]))
    graph = helper.make_graph(
        nodes,
        "dark",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", prepared.channels, size, size])],
        outputs,
        [
            scalar("level", level),
            scalar("steepness", steepness),
            scalar("one", 1.0),
            helper.make_tensor("axes", TensorProto.INT64, [1], [1]),
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(made, str(folder / "model.onnx"))
    values = {"name": "dark", "preprocessing": prepared, "attention": names, **(card or {})}
    ModelCard.model_validate(values).write(folder / "card.json")
    return Model.load(folder).folder


@contextmanager
def _ordinary_rights() -> Iterator[None]:
    if os.name != "posix":
        pytest.skip("rights of files are another matter here")
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)  # root may do anything: be nobody for a while
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def ordinary_rights() -> Callable[[], AbstractContextManager[None]]:
    """A context in which the rights of files count, also where the tests run as root."""
    return _ordinary_rights


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """An empty folder that any user may enter and write to, unlike tmp_path."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


@pytest.fixture(scope="session")
def dark_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder whose network finds what is dark: a prediction without training."""
    return write_dark_model(tmp_path_factory.mktemp("dark") / "model")


@pytest.fixture(scope="session")
def make_dark_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Write such a model with values of one's own: see write_dark_model."""
    return lambda **options: write_dark_model(tmp_path_factory.mktemp("dark") / "model", **options)


@pytest.fixture(autouse=True)
def _torchs_exporter_is_not_traced() -> None:
    """Its seconds take half as long again while coverage looks on, and none of its lines is ours."""
    torch = sys.modules.get("torch")
    real = getattr(getattr(torch, "onnx", None), "export", None)
    if real is None or hasattr(real, "__wrapped__"):
        return

    @functools.wraps(real)
    def export(*arguments: Any, **options: Any) -> Any:
        tracer = sys.gettrace()
        sys.settrace(None)
        try:
            return real(*arguments, **options)
        finally:
            sys.settrace(tracer)

    torch.onnx.export = export  # type: ignore[union-attr]


@pytest.fixture(scope="session", autouse=True)
def _this_process_stays() -> None:
    """`sonoseg train` replaces its process by one with other allocator settings: not inside the tests."""
    os.environ["SONOSEG_KEEP_ALLOCATOR"] = "1"


@pytest.fixture(scope="session", autouse=True)
def _verbs_are_read_once() -> None:
    """typer reads the signatures of all verbs at each call, which takes longer than most calls."""
    import typer.testing

    typer.testing._get_command = functools.cache(typer.testing._get_command)  # type: ignore[attr-defined]


MadeOnce = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> MadeOnce:
    """Make a file or folder once for all of xdist's processes: the first makes it, the others wait.

    Takes a name and what makes it at the path that it is given. Nobody may change what comes back.
    """
    root = tmp_path_factory.getbasetemp()
    root = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "made-once"

    def made(name: str, make: Callable[[Path], object]) -> Path:
        with locked(root / f"{name}.lock", "another process makes it, and does not end", "End it", 900):
            path, done = root / name, root / f"{name}.done"
            if not done.exists():
                make(path)
                done.touch()
        return path

    return made


@pytest.fixture(scope="session")
def phantom_folder(made_once: MadeOnce) -> Path:
    """Forty phantoms in the layout of a user's own set."""
    from sonoseg.data.phantoms import write_phantoms

    return made_once("phantoms", lambda path: write_phantoms(path, 40, 7))


@pytest.fixture(scope="session")
def phantom_set(phantom_folder: Path, made_once: MadeOnce) -> Path:
    """The same, prepared."""
    from typer.testing import CliRunner

    from sonoseg.cli.main import app

    def prepare(path: Path) -> None:
        words = ["data", "prepare", str(phantom_folder), "--out", str(path), "--size", "64"]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output

    return made_once("prepared", prepare)


@pytest.fixture(scope="session")
def phantom_split(phantom_set: Path, made_once: MadeOnce) -> Path:
    """Five folds of it."""
    from sonoseg.data.prepared_set import PreparedSet
    from sonoseg.data.splits import make_split

    return made_once("split.json", lambda path: make_split(PreparedSet.open(phantom_set)).save(path))


@pytest.fixture
def no_onnx() -> Iterator[None]:
    """For tests of weights and cards: trainings end without seconds of writing ONNX, tested elsewhere."""

    def unwritten(network: Any, path: Path, size: int) -> list[str]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"no ONNX of {size} pixels".encode())
        return [f"attention_{k + 1}" for k in range(len(network.gates))]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("sonoseg.training.model_writing.write_onnx", unwritten)
        yield


@pytest.fixture(scope="session")
def phantom_run(phantom_set: Path, phantom_split: Path, made_once: MadeOnce) -> Path:
    """A tiny network trained on it for two epochs: a run folder with a Model."""
    from sonoseg.data.prepared_set import PreparedSet
    from sonoseg.data.splits import Split
    from sonoseg.training.recipe import load_recipe
    from sonoseg.training.train import train

    recipe = load_recipe("quick", ["data.size=64", "epochs=2", "batch=8", "optimiser.ema=0.8"])
    return made_once(
        "run", lambda path: train(recipe, PreparedSet.open(phantom_set), Split.load(phantom_split), path)
    )


# DICOM ultrasound in every transfer syntax that can be written here ---------------------------------------

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG = "1.2.840.10008.1.2.2"
JPEG = "1.2.840.10008.1.2.4.50"
NAME = "Secretname^Anna"
"""The patient of every file made here: no message may say it."""


def region(
    x0: int, y0: int, x1: int, y1: int, *, delta: Any = (0.01, 0.02), units: Any = (3, 3), kind: Any = (1, 1)
) -> Any:
    """One item of SequenceOfUltrasoundRegions; delta (x, y) in cm, kind (spatial format, data type)."""
    from pydicom.dataset import Dataset

    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType = kind
    item.RegionFlags = 0
    item.RegionLocationMinX0, item.RegionLocationMinY0 = x0, y0
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = x1, y1
    item.PhysicalUnitsXDirection, item.PhysicalUnitsYDirection = units
    item.PhysicalDeltaX, item.PhysicalDeltaY = delta
    return item


def jpeg(pixels: NDArray[np.uint8], **options: Any) -> bytes:
    """A baseline JPEG stream of grey (H, W) or RGB (H, W, 3)."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="JPEG", quality=95, **options)
    return stream.getvalue()


def write_dicom(
    path: Path,
    pixels: NDArray[Any],
    *,
    syntax: str = EXPLICIT,
    regions: Sequence[Any] | None = None,
    photometric: str | None = None,
    preamble: bool = True,
    frames: Sequence[bytes] | None = None,
    table: str = "basic",
    fragments: int = 1,
    data: bytes | None = None,
    **attributes: Any,
) -> Path:
    """Write ultrasound of grey (H, W) or (N, H, W), or colour with a last axis of 3.

    regions: one over the whole frame by default. frames: streams instead of those encoded from pixels.
    table: "basic", "extended" or "none". fragments: of each frame. data: native bytes instead of pixels'.
    attributes: elements by keyword; None leaves one out.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate, encapsulate_extended
    from pydicom.uid import UID, generate_uid

    colour = pixels.shape[-1] == 3
    grid = pixels.shape[:-1] if colour else pixels.shape
    ds = Dataset()
    many = len(grid) == 3
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.3.1" if many else "1.2.840.10008.5.1.4.1.1.6.1"
    ds.SOPInstanceUID = generate_uid(entropy_srcs=[str(path)])
    ds.Modality, ds.PatientName, ds.PatientID = "US", NAME, "4711"
    ds.SamplesPerPixel = 3 if colour else 1
    ds.PhotometricInterpretation = photometric or ("RGB" if colour else "MONOCHROME2")
    if colour:
        ds.PlanarConfiguration = 0
    ds.Rows, ds.Columns = grid[-2:]
    if many:
        ds.NumberOfFrames = grid[0]
    bits = pixels.dtype.itemsize * 8
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = bits, bits, bits - 1
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    if regions is None:
        regions = [region(0, 0, ds.Columns - 1, ds.Rows - 1)]
    if len(regions):
        ds.SequenceOfUltrasoundRegions = list(regions)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(EXPLICIT)
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    native = syntax in (IMPLICIT, EXPLICIT, DEFLATED, BIG)
    order = ">" if syntax == BIG else "<"
    ds.PixelData = data if data is not None else pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    if len(ds.PixelData) % 2:
        ds.PixelData += b"\0"
    ds["PixelData"].VR = "OB" if bits == 8 and syntax != IMPLICIT else "OW"
    if syntax == JPEG and frames is None:
        frames = [jpeg(one) for one in (pixels if many else pixels[None])]
    if frames is not None:
        ds.file_meta.TransferSyntaxUID = UID(syntax)
        if table == "extended":
            ds.PixelData, ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths = encapsulate_extended(
                list(frames)
            )
        else:
            ds.PixelData = encapsulate(list(frames), fragments_per_frame=fragments, has_bot=table == "basic")
        ds["PixelData"].is_undefined_length = True
        ds["PixelData"].VR = "OB"
    elif not native:
        ds.compress(syntax, generate_instance_uid=False)
        if photometric:
            ds.PhotometricInterpretation = photometric
    else:
        ds.file_meta.TransferSyntaxUID = UID(syntax)
    for keyword, value in attributes.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    if preamble:
        ds.save_as(path, enforce_file_format=True)
    else:
        del ds.file_meta
        ds.save_as(
            path, implicit_vr=syntax == IMPLICIT, little_endian=syntax != BIG, enforce_file_format=False
        )
    return path


@pytest.fixture(scope="session")
def make_dicom() -> Callable[..., Path]:
    """Write a DICOM file: see write_dicom."""
    return write_dicom


@pytest.fixture(scope="session")
def make_region() -> Callable[..., Any]:
    """One ultrasound region: see region."""
    return region


@pytest.fixture(scope="session")
def make_jpeg() -> Callable[..., bytes]:
    """A baseline JPEG stream: see jpeg."""
    return jpeg


@pytest.fixture(scope="session")
def patient_name() -> str:
    """The patient's name in every file made here."""
    return NAME.split("^")[0]
