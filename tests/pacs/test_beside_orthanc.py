"""The whole way beside a real archive: Orthanc sends to our node, and results come back into it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset, dcmread

from sonoseg.inference.predictor import Predictor
from sonoseg.inputs.frame_list import list_frames, read

Phantom = Callable[..., Path]
SEG = "1.2.840.10008.5.1.4.1.1.66.4"
REPORTS = ("1.2.840.10008.5.1.4.1.1.88.33", "1.2.840.10008.5.1.4.1.1.88.34", "1.2.840.10008.5.1.4.1.1.88.22")
CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
PATIENCE = 120.0


def settings(orthanc: Any, way: str, model: Path, folder: Path, *, anonymise: bool = False) -> Path:
    """A node's settings file; what it does not say is as it comes."""
    archive = f'kind = "web"\nurl = "{orthanc.web}"\n'
    if way == "dimse":
        archive = f'kind = "dimse"\nae = "{orthanc.ae}"\nhost = "127.0.0.1"\nport = {orthanc.port}\n'
    path = folder / "node.toml"
    path.write_text(
        f'port = 0\nallow = ["{orthanc.ae}"]\nstate = "state"\nmodel = "{model}"\nthreads = 1\n'
        f'send_back = ["seg", "sr", "capture"]\nanonymise = {str(anonymise).lower()}\n[archive]\n{archive}',
        "utf-8",
    )
    return path


@contextmanager
def node(config: Path) -> Iterator[int]:
    """`sonoseg pacs serve`, as a process of its own: its port."""
    started = subprocess.Popen(
        [sys.executable, "-m", "sonoseg", "pacs", "serve", "--config", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert started.stdout is not None
    try:
        first = started.stdout.readline()
        assert "listens on 127.0.0.1, port" in first, first + started.stdout.read()
        yield int(first.split()[-1])
    finally:
        started.terminate()
        try:
            started.wait(30)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()
    assert started.returncode == 0, started.stdout.read()


def wait_for(orthanc: Any, count: int) -> dict[str, str]:
    """Until it has so many instances, and a moment longer, in which there must not be more."""
    ended = time.monotonic() + PATIENCE
    while len(orthanc.instances()) < count and time.monotonic() < ended:
        time.sleep(0.2)
    time.sleep(1)
    there: dict[str, str] = orthanc.instances()
    assert len(there) == count
    return there


def results_of(orthanc: Any, folder: Path, sources: list[Path]) -> dict[str, dict[str, list[Dataset]]]:
    """Source instance -> kind -> objects, of all that is in the archive beside the sources themselves."""
    uids = [str(dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in sources]
    sorted_out: dict[str, dict[str, list[Dataset]]] = {
        uid: {"seg": [], "sr": [], "capture": []} for uid in uids
    }
    for number, instance in enumerate(orthanc.instances()):
        if instance in uids:
            continue
        found = dcmread(orthanc.read(instance, folder / f"{number}.dcm"))
        kinds = {SEG: "seg", CAPTURE: "capture"} | dict.fromkeys(REPORTS, "sr")
        (source,) = referenced(found) & set(uids)
        sorted_out[source][kinds[str(found.SOPClassUID)]].append(found)
    return sorted_out


def referenced(found: Dataset) -> set[str]:
    """The instances that an object names anywhere."""
    return {
        str(element.value) for element in found.iterall() if element.keyword == "ReferencedSOPInstanceUID"
    }


def masks_of(seg: Dataset, frames: int) -> NDArray[np.bool_]:
    """The lesions of a SEG, together, on each frame of its source: (frames, H, W)."""
    stored = seg.pixel_array.reshape(-1, seg.Rows, seg.Columns).astype(bool)
    masks = np.zeros((frames, seg.Rows, seg.Columns), bool)
    for k, item in enumerate(seg.PerFrameFunctionalGroupsSequence):
        (derived,) = item.DerivationImageSequence
        (image,) = derived.SourceImageSequence
        number = image.get("ReferencedFrameNumber") or 1
        masks[int(number) - 1] |= stored[k]
    return masks


def check(sources: list[Path], results: dict[str, dict[str, list[Dataset]]], model: Path) -> None:
    """One SEG and one report an instance, a capture a frame; the SEG's pixels are the model's own mask."""
    predictor = Predictor(model, threads=1)
    for path in sources:
        source = dcmread(path)
        made = results[str(source.SOPInstanceUID)]
        frames = int(source.get("NumberOfFrames") or 1)
        assert {kind: len(objects) for kind, objects in made.items()} == {
            "seg": 1,
            "sr": 1,
            "capture": frames,
        }
        for objects in made.values():
            for found in objects:
                assert found.StudyInstanceUID == source.StudyInstanceUID
                assert found.PatientID == source.PatientID
                assert found.SeriesInstanceUID != source.SeriesInstanceUID
        (seg,) = made["seg"]
        assert (seg.Rows, seg.Columns) == (source.Rows, source.Columns)
        masks = masks_of(seg, frames)
        own = predictor.predict_many([partial(read, frame) for frame in list_frames(path, "all")])
        expected = np.stack([one.mask for one in own])
        np.testing.assert_array_equal(masks, expected)
        (report,) = made["sr"]
        assert report.VerificationFlag == "UNVERIFIED"
        assert str(seg.SOPInstanceUID) in referenced(report)
        for capture in made["capture"]:
            assert capture.pixel_array.shape[:2] >= (source.Rows, source.Columns)


def send_all(orthanc: Any) -> None:
    """Have Orthanc send all that it has to the node, in one job."""
    done = orthanc.rest("/modalities/node/store", "POST", orthanc.rest("/instances"))
    assert done["FailedInstancesCount"] == 0, done


@pytest.mark.process
@pytest.mark.parametrize("way", ["dimse", "web"])
def test_results_come_back_aligned(
    orthanc: Any, make_phantom: Phantom, dark_model: Path, tmp_path: Path, way: str
) -> None:
    sources = [
        make_phantom(tmp_path / "in" / "0.dcm", 0),
        make_phantom(tmp_path / "in" / "1.dcm", 1, jpeg=True),
        make_phantom(tmp_path / "in" / "2.dcm", 2, study="b", jpeg=True, frames=2),
    ]
    for path in sources:
        orthanc.put(path)
    with node(settings(orthanc, way, dark_model, tmp_path)) as port:
        orthanc.know("node", "SONOSEG", port)
        orthanc.rest("/modalities/node/echo", "POST", {})
        send_all(orthanc)
        wait_for(orthanc, 3 + 3 * 2 + 4)
        check(sources, results_of(orthanc, tmp_path, sources), dark_model)
        assert any(found.any() for found in _masks(orthanc, tmp_path, sources)), (
            "the model found nothing at all"
        )

        # The same instances again: they are known, and nothing is made or stored a second time.
        before = orthanc.instances()
        for path in sources:
            uid = str(dcmread(path, stop_before_pixels=True).SOPInstanceUID)
            orthanc.rest("/modalities/node/store", "POST", [before[uid]])
        assert set(wait_for(orthanc, len(before))) == set(before)


def _masks(orthanc: Any, folder: Path, sources: list[Path]) -> Iterator[NDArray[np.bool_]]:
    for made in results_of(orthanc, folder, sources).values():
        for seg in made["seg"]:
            yield seg.pixel_array


@pytest.mark.process
def test_nothing_of_the_patient_goes_back(
    orthanc: Any, make_phantom: Phantom, dark_model: Path, tmp_path: Path
) -> None:
    """With `anonymise`, as docs/dicom-objects.md says: UIDs stay, so that results find their study."""
    source = make_phantom(tmp_path / "0.dcm", 0)
    orthanc.put(source)
    with node(settings(orthanc, "dimse", dark_model, tmp_path, anonymise=True)) as port:
        orthanc.know("node", "SONOSEG", port)
        send_all(orthanc)
        there = wait_for(orthanc, 4)
    own = dcmread(source)
    for number, instance in enumerate(there):
        if instance == own.SOPInstanceUID:
            continue
        path = orthanc.read(instance, tmp_path / f"r{number}.dcm")
        found = dcmread(path)
        assert found.StudyInstanceUID == own.StudyInstanceUID
        assert (found.PatientName, found.PatientID, found.StudyDate) == ("", "", "")
        for personal in (b"Musterfrau", b"P-a", b"19610412", b"ACC-a", b"berweis", b"20240229"):
            assert personal not in path.read_bytes()
    log = (tmp_path / "state" / "audit.jsonl").read_text("utf-8")
    assert str(own.SOPInstanceUID) in log
    assert not any(personal in log for personal in ("Musterfrau", "P-a", "ACC-a"))


@pytest.mark.process
def test_an_archive_that_is_down_gets_the_results_later(
    make_orthanc: Callable[..., Any], make_phantom: Phantom, dark_model: Path, tmp_path: Path
) -> None:
    mine = make_orthanc()
    source = make_phantom(tmp_path / "0.dcm", 0)
    config = settings(mine, "dimse", dark_model, tmp_path)
    config.write_text(config.read_text() + "[retry]\nfirst_delay = 0.2\nmax_delay = 0.5\n")
    with node(config) as port:
        mine.stop()
        sent = subprocess.run(
            ["storescu", "-aet", mine.ae, "-aec", "SONOSEG", "127.0.0.1", str(port), str(source)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert sent.returncode == 0, sent.stderr
        time.sleep(2)
        mine.start()
        wait_for(mine, 3)


@pytest.mark.process
def test_a_stranger_may_not_send(
    orthanc: Any, make_phantom: Phantom, dark_model: Path, tmp_path: Path, dcmtk: Callable[..., Any]
) -> None:
    source = make_phantom(tmp_path / "0.dcm", 0)
    with node(settings(orthanc, "dimse", dark_model, tmp_path)) as port:
        sent = dcmtk("storescu", "-aet", "STRANGER", "-aec", "SONOSEG", "127.0.0.1", port, source)
        assert sent.returncode != 0
        assert "Calling AE Title Not Recognized" in sent.stdout + sent.stderr
        assert dcmtk("echoscu", "-aet", orthanc.ae, "-aec", "SONOSEG", "127.0.0.1", port).returncode == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sonoseg.errors.SonosegWarning")  # most of them need caution
@pytest.mark.parametrize("way", ["dimse", "web"])
def test_real_files_come_back_segmented(
    orthanc: Any, real_data: Path, dark_model: Path, tmp_path: Path, way: str
) -> None:
    real = sorted((real_data / "dicom").glob("*.dcm"))
    if not real:
        pytest.skip("there are no real DICOM files beside the repository")
    for path in real:
        orthanc.put(path)
    frames = sum(int(dcmread(path, stop_before_pixels=True).get("NumberOfFrames") or 1) for path in real)
    with node(settings(orthanc, way, dark_model, tmp_path)) as port:
        orthanc.know("node", "SONOSEG", port)
        send_all(orthanc)
        wait_for(orthanc, len(real) * 3 + frames)
        check(real, results_of(orthanc, tmp_path, real), dark_model)
