"""What the fuzzer reads: for each reader its sound files, and the call that reads a mutant of one of them."""

from __future__ import annotations

import importlib.util
import io
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, TiffImagePlugin

import turns
from fuzz_mutations import Sample, with_secrets

MAX_BYTES = 1 << 20
"""Larger samples are left out, since they allow few mutants."""

DIGITS = "0" * 64
FINGERPRINT = {"command": "sonoseg predict", "threshold": 0.4}


@dataclass(frozen=True)
class Reader:
    """A reader under test.

    samples: makes the sound files, of files that are given besides. read: reads a folder in which one of
    them is a mutant; the flag keeps burned-in text, or chooses another way. together: whether the samples
    are the files of one folder; else the mutant lies in it alone.
    """

    what: str
    samples: Callable[[Sequence[Path]], list[Sample]]
    read: Callable[[Path, bool], object]
    together: bool = False


def _tests(path: str) -> Any:
    """Load helpers of the tests: they write DICOM in every transfer syntax, and entries of results."""
    name = "fuzz_" + path.replace("/", "_").removesuffix(".py")
    spec = importlib.util.spec_from_file_location(name, turns.ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _encoded(pixels: np.ndarray[Any, Any] | Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(stream, format=kind, **options)
    return stream.getvalue()


def _ramp(dtype: Any = np.uint8) -> np.ndarray[Any, Any]:
    return (np.add.outer(np.arange(60), np.arange(80)) % 140).astype(dtype)


def raster_samples(files: Sequence[Path]) -> list[Sample]:
    """Small images of every format but TIFF: grey, colour, palette, alpha, 16 bits, EXIF, several frames."""
    grey, rgb = _ramp(), np.dstack([_ramp(), _ramp()[::-1], _ramp()])
    image, alpha = Image.fromarray(grey), Image.fromarray(rgb).convert("RGBA")
    exif = Image.Exif()
    exif[0x0112] = 6
    made = {
        "grey.png": _encoded(grey, "png"),
        "16.png": _encoded(_ramp(np.uint16) * 400, "png"),
        "alpha.png": _encoded(alpha, "png"),
        "palette.png": _encoded(image.convert("P"), "png", transparency=3),
        "bits.png": _encoded(image.convert("1"), "png"),
        "grey.jpg": _encoded(grey, "jpeg"),
        "rgb.jpg": _encoded(rgb, "jpeg", exif=exif),
        "cmyk.jpg": _encoded(Image.fromarray(rgb).convert("CMYK"), "jpeg", progressive=True),
        "rgb.mpo": _encoded(Image.fromarray(rgb), "mpo", save_all=True, append_images=[image]),
        "rgb.bmp": _encoded(rgb, "bmp"),
        "palette.bmp": _encoded(image.convert("P"), "bmp"),
        "grey.gif": _encoded(grey, "gif"),
        "moving.gif": _encoded(image, "gif", save_all=True, append_images=[image.rotate(180)]),
        "rgb.webp": _encoded(rgb, "webp"),
        "alpha.webp": _encoded(alpha, "webp", lossless=True),
        "rgb.jp2": _encoded(rgb, "jpeg2000"),
        "16.j2k": _encoded(_ramp(np.uint16) * 400, "jpeg2000", no_jp2=True),
        "grey.pgm": _encoded(grey, "ppm"),
        "rgb.ppm": _encoded(rgb, "ppm"),
        "bits.pbm": _encoded(image.convert("1"), "ppm"),
        "plain.pgm": b"P2\n20 20\n255\n" + b"7 90 200 13 " * 100,
        "deep.ppm": b"P6\n20 20\n4095\n" + bytes(range(240)) * 10,
    }
    given = [path for path in files if path.suffix.lower() in (".png", ".jpg", ".bmp", ".webp")]
    return [Sample(name, data) for name, data in made.items()] + [
        Sample(path.name, path.read_bytes()) for path in given if path.stat().st_size <= MAX_BYTES
    ]


def tiff_samples(files: Sequence[Path]) -> list[Sample]:
    """TIFF: bit depths, signed and float samples, MinIsWhite, compressions, planes, BigTIFF, pages."""
    grey, rgb = _ramp(), np.dstack([_ramp(), _ramp()[::-1], _ramp()])
    image = Image.fromarray(grey)
    white = TiffImagePlugin.ImageFileDirectory_v2()
    white[TiffImagePlugin.PHOTOMETRIC_INTERPRETATION] = 0
    turned = TiffImagePlugin.ImageFileDirectory_v2()
    turned[274] = 6
    made = {
        "grey": _encoded(grey, "tiff"),
        "white": _encoded(grey, "tiff", tiffinfo=white),
        "turned": _encoded(grey, "tiff", tiffinfo=turned),
        "16": _encoded(_ramp(np.uint16) * 400, "tiff"),
        "16big": _encoded(Image.fromarray((_ramp(np.uint16) * 400).astype(">u2")), "tiff"),
        "32": _encoded(_ramp(np.int32) * 400, "tiff"),
        "float": _encoded(_ramp(np.float32) / 140, "tiff"),
        "rgb": _encoded(rgb, "tiff"),
        "alpha": _encoded(Image.fromarray(rgb).convert("RGBA"), "tiff"),
        "cmyk": _encoded(Image.fromarray(rgb).convert("CMYK"), "tiff"),
        "lab": _encoded(Image.fromarray(rgb).convert("YCbCr"), "tiff"),
        "palette": _encoded(image.convert("P"), "tiff"),
        "bits": _encoded(image.convert("1"), "tiff", compression="group4"),
        "pages": _encoded(image, "tiff", save_all=True, append_images=[image]),
        "big": _encoded(image, "tiff", big_tiff=True),
    }
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        made[compression] = _encoded(rgb, "tiff", compression=compression)
    made["float_lzw"] = _encoded(_ramp(np.float32) / 140, "tiff", compression="tiff_lzw")
    given = [path for path in files if path.suffix.lower() in (".tif", ".tiff")]
    return [Sample(f"{name}.tif", data) for name, data in made.items()] + [
        Sample(path.name, path.read_bytes()) for path in given if path.stat().st_size <= MAX_BYTES
    ]


def _dicom_samples(files: Sequence[Path], *, many: bool) -> list[Sample]:
    """Ultrasound in every transfer syntax that can be written here, pydicom's samples and the given files."""
    import pydicom
    from pydicom.uid import HTJ2KLossless, JPEG2000Lossless, JPEGLSLossless, RLELossless

    tests = _tests("tests/conftest.py")
    grey, rgb = _ramp(), np.dstack([_ramp(), _ramp()[::-1], _ramp()])
    deep = _ramp(np.uint16) * 25
    pixels = {"grey": grey, "rgb": rgb, "deep": deep}
    if many:
        pixels = {name: np.stack([one, one[::-1], one]) for name, one in pixels.items()}
    found = []
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "made.dcm"

        def make(name: str, *arguments: Any, **options: Any) -> None:
            tests.write_dicom(path, *arguments, **options)
            found.append(with_secrets(name, path.read_bytes()))

        for syntax in (tests.IMPLICIT, tests.EXPLICIT, tests.DEFLATED, tests.BIG):
            for name, one in pixels.items():
                make(f"{name} {syntax}", one, syntax=syntax)
        make("jpeg", pixels["grey"], syntax=tests.JPEG)
        make("jpeg rgb", pixels["rgb"], syntax=tests.JPEG, photometric="YBR_FULL_422")
        for syntax in (RLELossless, JPEGLSLossless, JPEG2000Lossless, HTJ2KLossless):
            for name, one in pixels.items():
                try:
                    make(f"{name} {syntax}", one, syntax=syntax)
                except Exception:  # no encoder for it here
                    continue
        make("no preamble", pixels["grey"], preamble=False)
        make("fragments", pixels["grey"], syntax=tests.JPEG, fragments=3, table="none")
        make("extended", pixels["grey"], syntax=tests.JPEG, table="extended")
        make("white", pixels["deep"], photometric="MONOCHROME1", WindowCenter="900", WindowWidth="1500")
    own = Path(pydicom.__file__).parent / "data" / "test_files"
    given = [path for path in files if path.suffix.lower() == ".dcm"]
    for path in [*given, *sorted(own.glob("*.dcm"))]:
        if path.stat().st_size <= MAX_BYTES:
            one = with_secrets(path.name, path.read_bytes())
            try:
                frames = int(pydicom.dcmread(path, specific_tags=["NumberOfFrames"]).get("NumberOfFrames", 1))
            except Exception:  # the samples hold broken files too
                frames = 1
            if (frames > 1) is many:
                found.append(one)
    return found


def read_still(folder: Path, keep: bool) -> None:
    """Read the first two key frames of a file, as predict does."""
    from sonoseg.inputs.frame_list import list_frames, read

    for ref in list_frames(folder / "mutant", "key", keep_burned_in=keep)[:2]:
        read(ref, keep_burned_in=keep)


def read_clip(folder: Path, keep: bool) -> None:
    """Read the first forty frames of a clip."""
    from sonoseg.inputs.frame_list import list_frames, read

    for ref in list_frames(folder / "mutant", "all", keep_burned_in=keep)[:40]:
        read(ref, keep_burned_in=keep)


def search(folder: Path, keep: bool) -> None:
    """Search a folder whose only file is the mutant."""
    from sonoseg.inputs.file_search import find_images

    find_images([folder], masks=keep)


def search_samples(files: Sequence[Path]) -> list[Sample]:
    """Images and DICOM objects, and a results.json, under names of which the search looks at the content."""
    results = json.dumps({"format": "sonoseg-results/3", "images": [], "refused": []}).encode()
    some = [*raster_samples(()), *tiff_samples(()), *_dicom_samples((), many=False)]
    names = ("mutant", "mutant.1", "mutant.img", "US.1.2.840", "mask_1.png", "mutant.dic")
    found = [
        Sample(one.name, one.data, names[number % len(names)], one.secrets) for number, one in enumerate(some)
    ]
    return [*found, Sample("results.json", results, "results.json"), Sample("image", some[0].data, "a.png")]


def _disc(values: Sequence[int] = (255,), dtype: Any = np.uint8) -> np.ndarray[Any, Any]:
    """A mask of one disc for each value."""
    rows, columns = np.mgrid[:60, :80]
    mask = np.zeros((60, 80), dtype)
    for number, value in enumerate(values):
        mask[(rows - 30) ** 2 + (columns - 20 - 30 * number) ** 2 < 100] = value
    return mask


def mask_samples(files: Sequence[Path]) -> list[Sample]:
    """Masks: 1 bit, classes, labels, grey, palette, alpha, 16 bits, floats, JPEG, BMP."""
    mask, labels = _disc(), _disc((1, 40))
    image = Image.fromarray(mask)
    alpha = Image.merge("LA", (Image.new("L", (80, 60)), image))
    made = {
        "255.png": _encoded(mask, "png"),
        "classes.png": _encoded(_disc((1, 2)), "png"),
        "labels.png": _encoded(labels, "png"),
        "levels.png": _encoded(_disc((85, 255)), "png"),
        "bits.png": _encoded(image.convert("1"), "png"),
        "palette.png": _encoded(Image.fromarray(labels).convert("P"), "png"),
        "rgb.png": _encoded(np.dstack([mask, labels, mask]), "png"),
        "alpha.png": _encoded(alpha, "png"),
        "16.png": _encoded(_disc((400, 65535), np.uint16), "png"),
        "grey.jpg": _encoded(mask, "jpeg"),
        "classes.jpg": _encoded(_disc((1,)), "jpeg", quality=95),
        "float.tif": _encoded(_disc((1,), np.float32), "tiff"),
        "signed.tif": _encoded(_disc((-1, 3), np.int32), "tiff"),
        "mask.bmp": _encoded(mask, "bmp"),
        "mask.gif": _encoded(mask, "gif"),
    }
    return [Sample(name, data) for name, data in made.items()]


def mask_object_samples(files: Sequence[Path]) -> list[Sample]:
    """Masks as DICOM segmentations and as NRRD label maps, of several encodings."""
    from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

    segments = _tests("tests/dicom/reading/test_segmentation.py")
    label_maps = _tests("tests/data/test_nrrd_masks.py")
    found = []
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "made"

        def add(name: str) -> None:
            found.append(with_secrets(name, path.read_bytes(), "mutant.dcm"))

        for syntax in (None, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian):
            segments.seg(path, segments.TWO, **({} if syntax is None else {"syntax": syntax}))
            add(f"segmentation {syntax or ''}".strip())
        segments.seg(path, segments.TWO, spacing=[0.1, 0.2])
        add("segmentation with spacing")
        for encoding in ("raw", "gzip"):
            for kind in ("u1", ">i4", "<f4"):
                written = path.with_suffix(".nrrd")
                label_maps.written(
                    written, label_maps.LABELS.astype(kind), encoding=encoding, **label_maps.SLICER
                )
                found.append(Sample(f"{kind} {encoding}", written.read_bytes(), "mutant.nrrd"))
    return found


def read_masks(folder: Path, keep: bool) -> None:
    """Measure a mask with and without spacing, and read it as an upload of the review page."""
    from sonoseg.image.calibration import Spacing
    from sonoseg.results.mask_measurements import measure_mask_file
    from sonoseg.review.mask_png import read_mask

    if keep:
        from sonoseg.review.http_errors import Unusable

        try:
            read_mask((folder / "mutant").read_bytes(), (60, 80))
        except Unusable as error:
            raise _refusal(error) from error
        return
    measure_mask_file(folder / "mutant", None, Spacing(0.1, 0.2))


def read_mask_object(folder: Path, keep: bool) -> None:
    """Measure a mask in a file of its own name, with and without spacing."""
    from sonoseg.image.calibration import Spacing
    from sonoseg.results.mask_measurements import measure_mask_file

    (path,) = folder.iterdir()
    measure_mask_file(path, None, Spacing(0.1, 0.2) if keep else None)


def _refusal(error: Exception) -> Exception:
    from sonoseg.errors import InputError, SonosegError

    return error if isinstance(error, SonosegError) else InputError(str(error))


def spacing_samples(files: Sequence[Path]) -> list[Sample]:
    """Tables of spacings in the dialects that people write."""
    made = {
        "commas": "file,row,column\na.png,0.1,0.2\nclinic/b.png,,\n",
        "semicolons": "sep=;\nFile;Spacing\na.png;0,105\nb.png;\n",
        "tabs": 'file\tspacing\n"a b.png"\t0.1\n\'=1.png\t0.2\n',
        "windows": "\ufefffile,row,column\r\nclinic\\é.png,0.1,0.1\r\n",
    }
    return [Sample(name, text.encode(), "mutant.csv") for name, text in made.items()]


def read_spacings(folder: Path, keep: bool) -> None:
    """Read a table of spacings, and ask it for a file."""
    from sonoseg.inputs.spacing_table import read_spacings as read

    table = read(folder / "mutant.csv")
    table.of("clinic/a.png")
    table.unmatched(["a.png", "b"])


def set_samples(files: Sequence[Path]) -> list[Sample]:
    """A set of one's own: its table, its image and its mask."""
    grey, mask = _encoded(_ramp(), "png"), _encoded(_disc(), "png")
    tables = (
        "image,mask,label,patient,spacing_row,spacing_column\na.png,m/a.png,benign,1,0.1,0.1\n"
        "b.png,,normal,2,,\n",
        "sep=;\nImage;Mask;Class\na.png;m/a.png;malignant\n",
        "image\tmask\tid\tgroup\na.png\tm/a.png\tx-1\tg\n",
    )
    return [
        *(Sample(f"table {number}", text.encode(), "mutant.csv") for number, text in enumerate(tables)),
        Sample("image", grey, "a.png"),
        Sample("normal", grey, "b.png"),
        Sample("mask", mask, "m/a.png"),
    ]


def read_set(folder: Path, keep: bool) -> None:
    """Read a set and check it, as data check does."""
    from sonoseg.data.folder_check import check
    from sonoseg.data.readers import read_source

    check([read_source(folder / "mutant.csv" if keep else folder)], threads=1)


def recipe_samples(files: Sequence[Path]) -> list[Sample]:
    """The recipes of the package and the plans of research/."""
    recipes = sorted((turns.ROOT / "src/sonoseg/training/recipes").glob("*.yaml"))
    plans = sorted((turns.ROOT / "research/plans").glob("*.yaml"))
    return [
        *(Sample(path.name, path.read_bytes(), "recipe.yaml") for path in recipes),
        *(Sample(path.name, path.read_bytes(), "plan.yaml") for path in plans),
    ]


def read_recipes(folder: Path, keep: bool) -> None:
    """Read a recipe or a plan, with the recipes of its variants."""
    from sonoseg.experiments.plan import load_plan
    from sonoseg.training.recipe import load_recipe

    if (folder / "recipe.yaml").exists():
        load_recipe(folder / "recipe.yaml").yaml()
    if (folder / "plan.yaml").exists():
        plan = load_plan(folder / "plan.yaml")
        plan.yaml()
        plan.recipes(folder / "plan.yaml")


def card_samples(files: Sequence[Path]) -> list[Sample]:
    """The card of the shipped model, beside small files in place of its networks."""
    card = (turns.ROOT / "src/sonoseg/model/weights/card.json").read_bytes()
    others = json.loads(card)["sha256"]
    return [Sample("card", card, "card.json"), *(Sample(name, b"network", name) for name in others)]


def read_card(folder: Path, keep: bool) -> None:
    """Load a model folder, with or without its checksums."""
    from sonoseg.model.model import Model

    Model.load(folder, verify=not keep)


def document_samples(files: Sequence[Path]) -> list[Sample]:
    """A split file, and the descriptions of a run and of a batch."""
    split = {
        "format": "sonoseg-split/1",
        "method": "random",
        "policy": "strict",
        "seed": 0,
        "fingerprint": DIGITS,
        "folds": {"x/1": 0, "x/2": 1},
        "dropped": {"x/3": "duplicate"},
    }
    from sonoseg.batch.partitions import MANIFEST, Manifest

    found = [Sample("split", json.dumps(split).encode(), "split.json")]
    run = {"recipe": "quick", "fold": 0, "seed": 1, "data": {"name": "x", "fingerprint": DIGITS}}
    found.append(Sample("run", json.dumps(run).encode(), "run.json"))
    manifest = Manifest(FINGERPRINT, ["/scans"], "/scans", DIGITS, 3, 2)
    found.append(Sample("manifest", manifest.to_json().encode(), MANIFEST))
    return found


def read_documents(folder: Path, keep: bool) -> None:
    """Read whichever of the documents there is."""
    from sonoseg.batch.partitions import MANIFEST, Manifest
    from sonoseg.data.splits import Split
    from sonoseg.training.run_folder import Run

    if (folder / "split.json").exists():
        Split.load(folder / "split.json")
    if (folder / "run.json").exists():
        Run(folder).given()
    if (folder / MANIFEST).exists():
        Manifest.read(folder)


def evaluation_samples(files: Sequence[Path]) -> list[Sample]:
    """What evaluate writes: its summary, its rows and its curves, of a stored evaluation."""
    import pandas as pd

    from sonoseg.evaluation import evaluation

    stored = turns.ROOT / "research/evaluations/bus-bra-to-busi-128.json"
    found = [Sample("summary", stored.read_bytes(), evaluation.SUMMARY)]
    rows = pd.read_parquet(stored.with_suffix(".parquet")).head(4)
    found.append(Sample("rows", rows.to_csv(index=False).encode(), evaluation.ROWS))
    curves = (evaluation.FROC, evaluation.RELIABILITY, evaluation.RISK_COVERAGE)
    return found + [Sample(name, b"threshold,value\n0.5,1\n0.6,\n", name) for name in curves]


def read_evaluation(folder: Path, keep: bool) -> None:
    """Load an evaluation."""
    from sonoseg.evaluation.evaluation import Evaluation

    Evaluation.load(folder)


def prepared_samples(files: Sequence[Path]) -> list[Sample]:
    """A prepared set of two images, as data prepare writes it."""
    from sonoseg.data.preparation import prepare
    from sonoseg.data.readers import read_source

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for one in set_samples(())[-3:]:
            (folder / "set" / one.file).parent.mkdir(parents=True, exist_ok=True)
            (folder / "set" / one.file).write_bytes(one.data)
        (folder / "set" / "list.csv").write_bytes(set_samples(())[0].data)
        prepare([read_source(folder / "set" / "list.csv")], folder / "out")
        return [
            Sample(path.name, path.read_bytes(), path.relative_to(folder / "out").as_posix())
            for path in sorted((folder / "out").rglob("*"))
            if path.is_file() and path.suffix in (".json", ".csv", ".png")
        ]


def read_prepared(folder: Path, keep: bool) -> None:
    """Open a prepared set and read its images and masks."""
    from sonoseg.data.prepared_set import PreparedSet

    prepared = PreparedSet.open(folder)
    for name in prepared.ids:
        prepared.frame(name)
        prepared.mask(name)


def journal_samples(files: Sequence[Path]) -> list[Sample]:
    """The journal of a results folder, and the ledger of a state folder with a reviewed image."""
    from sonoseg.results.entries import OutputFile, SourceObjects
    from sonoseg.results.journal import Journal

    make = _tests("tests/results/conftest.py")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with Journal(folder / "journal.sqlite", FINGERPRINT) as journal:
            journal.add(make.entry("a", (5, 5, 10, 20)))
            journal.add(make.entry("none", preview=None))
            journal.add_session({"started": "now", "images": 2})
            journal.add_objects(SourceObjects("clip.dcm", {"seg": OutputFile("seg/clip.dcm", DIGITS, 9)}))
        return [Sample("journal", (folder / "journal.sqlite").read_bytes(), "journal.sqlite")]


def read_journal(folder: Path, keep: bool) -> None:
    """Resume a journal and read all that it holds, or its settings alone."""
    from sonoseg.results.journal import Journal, recorded_fingerprint

    if not keep:
        recorded_fingerprint(folder / "journal.sqlite")
    with Journal(folder / "journal.sqlite", FINGERPRINT, resume=True) as journal:
        len(journal)
        list(journal.entries(["a", "none"]))
        _ = journal.sessions, journal.objects


def state_samples(files: Sequence[Path]) -> list[Sample]:
    """The state folder of a review server with two images."""
    from sonoseg.review.file_import import import_samples
    from sonoseg.review.settings import ServerLimits
    from sonoseg.review.state_folder import DATABASE
    from sonoseg.review.store import Store

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "state"
        with Store(folder) as store:
            import_samples(store, ServerLimits())
        samples = [
            Sample(path.name, path.read_bytes(), path.relative_to(folder).as_posix())
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.stat().st_size
        ]
    return samples + [one for one in samples if one.file == DATABASE] * 20  # mostly the ledger is damaged


def read_state(folder: Path, keep: bool) -> None:
    """Open a state folder and read its images and reviews, as a read-only server does."""
    from sonoseg.review.store import Store

    with Store(folder, read_only=keep) as store:
        for item in store.items().items:
            store.frame(item.id)
            store.review(item.id)
            store.history(item.id)
            store.lesions(item.id)


READERS: dict[str, Reader] = {
    "raster": Reader("PNG, JPEG, BMP, GIF, WebP, JPEG 2000, PPM", raster_samples, read_still),
    "tiff": Reader("TIFF", tiff_samples, read_still),
    "dicom": Reader("DICOM images", lambda files: _dicom_samples(files, many=False), read_still),
    "clips": Reader("DICOM clips", lambda files: _dicom_samples(files, many=True), read_clip),
    "search": Reader("search of a folder by content", search_samples, search),
    "masks": Reader("masks", mask_samples, read_masks),
    "mask-objects": Reader("masks in DICOM and NRRD", mask_object_samples, read_mask_object),
    "spacings": Reader("tables of spacings", spacing_samples, read_spacings),
    "sets": Reader("a set of one's own with its table", set_samples, read_set, True),
    "recipes": Reader("recipes and plans", recipe_samples, read_recipes),
    "cards": Reader("model cards", card_samples, read_card, True),
    "documents": Reader("split files, descriptions of runs and batches", document_samples, read_documents),
    "evaluations": Reader("folders of evaluations", evaluation_samples, read_evaluation, True),
    "prepared": Reader("prepared sets", prepared_samples, read_prepared, True),
    "journals": Reader("journals of results", journal_samples, read_journal),
    "states": Reader("state folders of the review server", state_samples, read_state, True),
}


def lay_out(folder: Path, reader: Reader, samples: Sequence[Sample], mutant: Sample, data: bytes) -> None:
    """Write a folder with a mutant, and with the sound files of the same set."""
    shutil.rmtree(folder, ignore_errors=True)
    files = {one.file: one.data for one in reversed(samples)} if reader.together else {}
    for name, content in {**files, mutant.file: data}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
