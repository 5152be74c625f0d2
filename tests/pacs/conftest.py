"""A real archive for the tests: Orthanc with its DICOMweb plug-in, on loopback, in a temporary folder."""

from __future__ import annotations

import io
import json
import shutil
import socket
import socketserver
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
    generate_uid,
)

from sonoseg.pacs.audit import Audit
from sonoseg.pacs.node_settings import load_settings
from sonoseg.pacs.queue import InstanceQueue
from sonoseg.pacs.storage_scp import StorageScp

PLUG_IN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
PATIENT_NAME = "Musterfrau^Erika"


@pytest.fixture(scope="session", autouse=True)
def _servers_stop_at_once() -> None:
    """pynetdicom's servers look every half second, Python's default, whether they are to stop."""
    socketserver.BaseServer.serve_forever.__defaults__ = (0.01,)


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Orthanc:
    """A running Orthanc. move_port: where it sends what is moved to SONOSEG."""

    folder: Path
    ae: str = "ORTHANC"
    host: str = "127.0.0.1"
    port: int = field(default_factory=free_port)
    http_port: int = field(default_factory=free_port)
    move_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def web(self) -> str:
        """The root of its DICOMweb services."""
        return f"http://{self.host}:{self.http_port}/dicom-web"

    @property
    def dimse(self) -> str:
        """Its address as our command line takes it."""
        return f"{self.ae}@{self.host}:{self.port}"

    def start(self, **more: Any) -> None:
        """Start it, with what was stored before a stop; `more` are lines of its configuration."""
        config = {
            "Name": "tests of sonoseg",
            "StorageDirectory": str(self.folder / "storage"),
            "IndexDirectory": str(self.folder / "storage"),
            "DicomAet": self.ae,
            "DicomPort": self.port,
            "DicomCheckCalledAet": True,
            "DicomCheckModalityHost": True,
            "DicomAlwaysAllowStore": False,
            "HttpPort": self.http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomModalities": {
                "sonoseg": {
                    "AET": "SONOSEG",
                    "Host": "127.0.0.1",
                    "Port": self.move_port,
                    "AllowEcho": True,
                    "AllowFind": True,
                    "AllowGet": True,
                    "AllowMove": True,
                    "AllowStore": True,
                }
            },
            "Plugins": [str(PLUG_IN)],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
            "ConcurrentJobs": 4,
            "StableAge": 1,
            **more,
        }
        path = self.folder / "orthanc.json"
        path.write_text(json.dumps(config), "utf-8")
        with (self.folder / "orthanc.log").open("ab") as log:
            self.process = subprocess.Popen(
                ["Orthanc", str(path)], stdout=log, stderr=log, cwd=self.folder, start_new_session=True
            )
        for _ in range(600):
            if self.process.poll() is not None:
                break
            try:
                self.rest("/system")
                self.rest("/dicom-web/studies?limit=1", accept="application/dicom+json")
                return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        log_text = (self.folder / "orthanc.log").read_text("utf-8", errors="replace")
        self.stop()
        raise RuntimeError(f"Orthanc did not start:\n{log_text[-3000:]}")

    def stop(self) -> None:
        """Stop it; what it stored stays."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def rest(self, path: str, method: str = "GET", body: Any = None, accept: str = "*/*") -> Any:
        """What its REST API answers: JSON as Python values, else bytes."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://{self.host}:{self.http_port}{path}", data, {"Accept": accept}, method=method
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            read = answer.read()
            kind = answer.headers.get("Content-Type", "")
        return json.loads(read) if "json" in kind and read else read

    def put(self, path: Path) -> None:
        """Upload a file by its own API."""
        self.rest("/instances", "POST", path.read_bytes())

    def instances(self) -> dict[str, str]:
        """SOP Instance UID -> Orthanc's own id, of all it has."""
        listed = self.rest("/instances?expand")
        return {item["MainDicomTags"]["SOPInstanceUID"]: item["ID"] for item in listed}

    def read(self, instance: str, to: Path) -> Path:
        """One instance as it has it, as a file."""
        to.write_bytes(self.rest(f"/instances/{self.instances()[instance]}/file"))
        return to

    def clear(self) -> None:
        """Delete all studies and modalities: of two nodes with one title, either could be chosen."""
        for patient in self.rest("/patients"):
            self.rest(f"/patients/{patient}", "DELETE")
        for name in set(self.rest("/modalities")) - {"sonoseg"}:
            self.rest(f"/modalities/{name}", "DELETE")

    def know(self, name: str, ae: str, port: int, **more: Any) -> None:
        """Let it know another application entity on loopback, as a target of its C-STORE."""
        self.rest(f"/modalities/{name}", "PUT", {"AET": ae, "Host": "127.0.0.1", "Port": port, **more})


def need_orthanc() -> None:
    """Skip where there is no Orthanc, saying so."""
    if shutil.which("Orthanc") is None or not PLUG_IN.is_file():
        pytest.skip("Orthanc and its DICOMweb plug-in are not installed (Debian: orthanc orthanc-dicomweb)")


@pytest.fixture(scope="session")
def _running_orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    need_orthanc()
    running = Orthanc(tmp_path_factory.mktemp("orthanc"))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def orthanc(_running_orthanc: Orthanc) -> Iterator[Orthanc]:
    """A running, empty Orthanc that knows SONOSEG; skips where Orthanc is not installed."""
    yield _running_orthanc
    if _running_orthanc.process is None:
        _running_orthanc.start()
    _running_orthanc.clear()


@pytest.fixture
def make_orthanc(tmp_path: Path) -> Iterator[Callable[..., Orthanc]]:
    """Start an Orthanc of the test's own, with lines of its configuration."""
    need_orthanc()
    made: list[Orthanc] = []

    def make(**more: Any) -> Orthanc:
        folder = tmp_path / f"orthanc-{len(made)}"
        folder.mkdir()
        made.append(Orthanc(folder))
        made[-1].start(**more)
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture(scope="session")
def dcmtk() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run one of dcmtk's tools; skips where they are not installed."""
    if shutil.which("findscu") is None:
        pytest.skip("dcmtk is not installed (Debian: dcmtk)")

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(w) for w in words], capture_output=True, text=True, timeout=60, check=False
        )

    return run


@lru_cache
def _drawn(seed: int) -> Any:
    from sonoseg.data.phantoms import draw_spec, render

    spec = draw_spec(seed, kind="cyst", size_mm=8, shape=(160, 200), spacing=(0.2, 0.16), borders=False)
    return render(spec).frame.pixels


def write_phantom(
    path: Path,
    number: int = 0,
    *,
    study: str = "a",
    jpeg: bool = False,
    frames: int = 1,
    **attributes: Any,
) -> Path:
    """A phantom as a DICOM ultrasound image with a calibrated region, or a clip of `frames`.

    number: makes pixels and UID its own. study: images of one study share it, and each study has two series:
    images and clips. jpeg: as JPEG Baseline. attributes: elements by keyword.
    """
    from pydicom.encaps import encapsulate

    pixels = np.roll(_drawn(number % 4), number // 4, axis=1)
    clip = np.stack([np.roll(pixels, 2 * k, axis=1) for k in range(frames)])
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit if jpeg else ExplicitVRLittleEndian
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID = UltrasoundImageStorage if frames == 1 else UltrasoundMultiFrameImageStorage
    ds.SOPInstanceUID = generate_uid(entropy_srcs=["phantom", study, str(number), str(jpeg), str(frames)])
    ds.StudyInstanceUID = generate_uid(entropy_srcs=["study", study])
    ds.SeriesInstanceUID = generate_uid(entropy_srcs=["series", study, str(frames > 1)])
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = (
        PATIENT_NAME,
        f"P-{study}",
        "19610412",
        "F",
    )
    ds.StudyID, ds.AccessionNumber, ds.ReferringPhysicianName = "S-1", f"ACC-{study}", "\u00dcberweis^Ruth"
    ds.StudyDate, ds.StudyTime, ds.StudyDescription = "20240229", "101500", "Mammasonographie"
    ds.Modality, ds.Manufacturer = "US", "phantoms"
    ds.SeriesNumber, ds.InstanceNumber = 1 + (frames > 1), number + 1
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, 1, 0
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 0, 0
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = pixels.shape[1] - 1, pixels.shape[0] - 1
    region.PhysicalUnitsXDirection, region.PhysicalUnitsYDirection = 3, 3
    region.PhysicalDeltaX, region.PhysicalDeltaY = 0.016, 0.02
    ds.SequenceOfUltrasoundRegions = [region]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = pixels.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    if frames > 1:
        ds.NumberOfFrames, ds.FrameTime, ds.FrameIncrementPointer = frames, "40", 0x00181063
    if jpeg:
        ds.PixelData = encapsulate([_jpeg(one) for one in clip])
        ds["PixelData"].is_undefined_length = True
        ds.LossyImageCompression = "01"
    else:
        ds.PixelData = clip.tobytes()
    ds["PixelData"].VR = "OB"
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
    return path


def _jpeg(pixels: Any) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="JPEG", quality=95)
    return stream.getvalue()


@pytest.fixture(scope="session")
def make_phantom() -> Callable[..., Path]:
    """Write a phantom as a DICOM file: see write_phantom."""
    return write_phantom


class FakeArchive:
    """An archive that does what a test wants: takes results, refuses, is slow, or is away.

    stored: how often each instance came. answer: the status for an instance's kind (SOP class).
    """

    SEG, SR, SC = (
        "1.2.840.10008.5.1.4.1.1.66.4",
        "1.2.840.10008.5.1.4.1.1.88.33",
        "1.2.840.10008.5.1.4.1.1.7",
    )

    def __init__(self) -> None:
        self.port = free_port()
        self.stored: dict[str, int] = {}
        self.datasets: dict[str, Dataset] = {}
        self.answer: Callable[[str], int] = lambda sop_class: 0x0000
        self.asked = 0
        self._server: Any = None

    @property
    def word(self) -> str:
        """Its address as our command line takes it."""
        return f"ARCHIVE@127.0.0.1:{self.port}"

    def start(self, *, classes: tuple[str, ...] = (SEG, SR, SC)) -> None:
        """Listen, always at the same port."""
        from pynetdicom import AE, evt

        entity = AE("ARCHIVE")
        for one in classes:
            entity.add_supported_context(one)
        self._server = entity.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)]
        )

    def stop(self) -> None:
        """Be away."""
        if self._server is not None:
            self._server.shutdown()
            for one in self._server.active_associations:
                one.abort()
            self._server = None

    def _store(self, event: Any) -> int:
        self.asked += 1
        status = self.answer(str(event.request.AffectedSOPClassUID))
        if status == 0x0000:
            dataset = event.dataset
            dataset.file_meta = event.file_meta
            uid = str(event.request.AffectedSOPInstanceUID)
            self.stored[uid] = self.stored.get(uid, 0) + 1
            self.datasets[uid] = dataset
        return status


@pytest.fixture
def fake_archive() -> Iterator[FakeArchive]:
    """An archive that is not started yet."""
    made = FakeArchive()
    yield made
    made.stop()


@pytest.fixture
def sender() -> Callable[..., list[int | None]]:
    """Send files to a node with pynetdicom: one status each; None where it was not taken at all."""
    import pydicom
    from pynetdicom import AE, build_context

    def send(
        port: int, files: list[Path], *, ae: str = "SCANNER", called: str = "SONOSEG", **tls: Any
    ) -> Any:
        entity = AE(ae)
        kinds = []
        for path in files:
            meta = pydicom.filereader.read_file_meta_info(path)
            kinds.append((meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID))
        wanted = [build_context(sop_class, syntax) for sop_class, syntax in dict.fromkeys(kinds)]
        association = entity.associate("127.0.0.1", port, contexts=wanted, ae_title=called, **tls)
        if not association.is_established:
            return [None] * len(files)
        statuses: list[int | None] = []
        for path in files:
            try:
                statuses.append(association.send_c_store(path).get("Status"))
            except (ValueError, RuntimeError):  # no context for it, or the association is gone
                statuses.append(None)
        if association.is_established:
            association.release()
        return statuses

    return send


@pytest.fixture
def until() -> Callable[[Callable[[], Any]], None]:
    """Wait for something to become true; what never does fails the test."""

    def wait(true: Callable[[], Any]) -> None:
        end = time.monotonic() + 120
        while not true():
            assert time.monotonic() < end, "it never came true"
            time.sleep(0.02)

    return wait


@dataclass(frozen=True)
class Certificates:
    """PEM files: an authority, a server of 127.0.0.1 and a client that it signed, and a stranger."""

    ca: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path
    stranger: Path


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Certificates for the tests of TLS, made by openssl; skips where it is not installed."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*words: object) -> None:
        subprocess.run(["openssl", *map(str, words)], cwd=folder, check=True, capture_output=True, timeout=60)

    def key(name: str) -> list[object]:
        return [
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-keyout",
            f"{name}.key",
        ]

    for name in ("ca", "stranger"):
        openssl("req", "-x509", *key(name), "-out", f"{name}.pem", "-days", 2, "-subj", f"/CN={name}")
    for name in ("server", "client"):
        openssl("req", *key(name), "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (folder / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", 2, "-extfile", "names")
        openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signed)
    paths = ("ca.pem", "server.pem", "server.key", "client.pem", "client.key", "stranger.pem")
    return Certificates(*(folder / path for path in paths))


@pytest.fixture
def storescp(tmp_path: Path) -> Iterator[Callable[..., tuple[int, Path]]]:
    """Start dcmtk's storescp with options of its own: its port, and the folder where it keeps what it got."""
    if shutil.which("storescp") is None:
        pytest.skip("dcmtk is not installed (Debian: dcmtk)")
    started: list[subprocess.Popen[bytes]] = []

    def start(*options: object, port: int | None = None) -> tuple[int, Path]:
        port = port or free_port()
        folder = tmp_path / f"storescp-{port}"
        folder.mkdir(exist_ok=True)
        words = ["storescp", *options, "-od", folder, "-fe", ".dcm", "+uf", "-aet", "KEEPER", port]
        started.append(
            subprocess.Popen(
                [str(word) for word in words],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        )
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return port, folder
            time.sleep(0.1)
        raise RuntimeError("storescp did not start")

    yield start
    for one in started:
        one.kill()
        one.wait()


class RunningScp:
    """A Storage SCP with its queue and its audit log. woken: how often it woke the worker."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.settings = load_settings(
            None, archive="A@localhost:1", port=0, state=folder / "state", **options
        )
        self.queue = InstanceQueue(self.settings.state, model="m")
        self.audit = Audit(folder / "audit.jsonl")
        self.woken = 0
        self.scp = StorageScp(self.settings, self.queue, self.audit, self._wake)
        self.port = self.scp.port
        self.scp.start()

    def _wake(self) -> None:
        self.woken += 1

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """The lines of the audit log, or those of one event."""
        if not self.audit.path.exists():
            return []
        lines = [json.loads(line) for line in self.audit.path.read_text("utf-8").splitlines()]
        return [one for one in lines if name in (None, one["event"])]

    def close(self) -> None:
        """Stop, aborting open associations."""
        self.scp.stop(patience=0.2)
        self.queue.close()


@pytest.fixture
def start_scp(tmp_path: Path) -> Iterator[Callable[..., RunningScp]]:
    """Start a Storage SCP of AE title SONOSEG; options: of load_settings."""
    started: list[RunningScp] = []

    def start(**options: Any) -> RunningScp:
        started.append(RunningScp(tmp_path, **options))
        return started[-1]

    yield start
    for one in started:
        one.close()
