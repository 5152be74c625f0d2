"""Which images a user means by a list of files, folders and globs."""

from __future__ import annotations

import glob
import os
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from sonoseg._util.packages import is_installed
from sonoseg.dicom.reading.detection import looks_like_dicom
from sonoseg.errors import InputError, SonosegWarning
from sonoseg.inputs.mask_matching import image_of, looks_like_mask

_RASTER = frozenset(
    {".png", ".jpg", ".jpeg", ".jfif", ".jpe", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".jp2"}
    | {".pgm", ".ppm", ".pnm", ".pbm"}
)
SUFFIXES = _RASTER | {".dcm", ".dicom", ".ima"}
"""The endings by which images in a folder are known; others are known by their content. A file that is named
itself may have any ending."""

COMPANIONS = frozenset(
    {".csv", ".tsv", ".txt", ".md", ".json", ".jsonl", ".html", ".htm", ".css", ".js", ".xml", ".pdf"}
    | {".xlsx", ".xls", ".ods", ".docx", ".doc", ".log", ".yaml", ".yml", ".toml", ".ini", ".py", ".sqlite"}
    | {".parquet", ".lock", ".sha256", ".md5"}
)
"""Endings of documents and tables, which are left out of a folder without a word."""

RESULTS, RESULT_FORMAT = "results.json", b'"sonoseg-results/'
"""The file by which a folder of results is known, and what its first bytes hold."""

MASK_FOLDERS = frozenset({"mask", "masks", "label", "labels", "labelstr"})
IMAGE_FOLDERS = frozenset({"image", "images", "imagestr", "scans"})
"""Names of folders (in lower case) in which data sets keep masks, and the images beside them."""

WITHOUT_IMAGE = (
    *(" SR ", "Segmentation", "Presentation State", "Document", "Encapsulated", "Waveform", "Directory"),
    *("Structure Set", "Registration", "Fiducials", "Procedure Log", "Plan "),
)
"""Parts of the names of SOP classes (PS3.4, B.5) that hold no image."""

NRRD = b"NRRD"
"""First bytes of a label map, which is a mask."""

_MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"GIF8", b"\0\0\0\x0cjP  ")
_HEIF = (b"heic", b"heix", b"mif1", b"msf1", b"avif", b"avis")

DICOMDIR = "DICOMDIR"
"""The table of contents of a DICOM medium (PS3.10, 8.6): no image, and it has no ending."""


def find_images(
    paths: Iterable[str | Path],
    *,
    skip: Sequence[str | Path] = (),
    masks: bool = False,
    objects: bool = False,
) -> list[Path]:
    """List the images meant by `paths`, sorted by path, each once.

    A file is taken whatever its extension; reading it shows whether it is an image. A folder is searched
    with all its sub-folders, a glob (`scans/**/*.png`) is expanded; both give files with an extension of
    images, and others whose content is an image or DICOM, but no hidden ones. They give no masks beside their
    images, no results of sonoseg, and no DICOM objects without an image, such as reports.
    Links to folders are not followed, because they may form a loop.

    skip: folders to leave out, such as the one that results are written to. masks, objects: masks and DICOM
        objects without an image are wanted too.
    Warns (SonosegWarning) of what is left out, counted by kind, and of a sub-folder that cannot be listed.
    Raises InputError where a path does not exist, a folder cannot be listed, or no image is found.
    """
    asked = [Path(path) for path in paths]
    search = _Search(tuple(_absolute(folder) for folder in skip), masks, objects)
    found: dict[Path, Path] = {}
    for path in asked:
        try:
            for image in search.expand(path):
                found.setdefault(_absolute(image), image)
        except OSError as error:
            raise InputError(
                f"cannot be looked at: {error.strerror or error}",
                where=str(path)[:200],
                remedy="Check the path, and that you may read its folder",
            ) from error
    if search.left_out:
        warnings.warn(f"left out: {counted_kinds(search.left_out)}", SonosegWarning, stacklevel=2)
    if not found:
        brackets = " In a pattern, write [[] for a bracket" if any("[" in str(path) for path in asked) else ""
        raise InputError(
            "no image found",
            where=", ".join(map(str, asked)) or None,
            remedy=f"Give image files, or folders with some ({', '.join(sorted(SUFFIXES))}).{brackets}",
        )
    return sorted(found.values(), key=lambda image: image.parts)


def counted_kinds(kinds: Counter[str]) -> str:
    """Format counts by kind, the most frequent first: "3 Segmentations, 1 linked folder"."""
    return ", ".join(
        f"{count:,} {kind if count == 1 else _plural(kind)}" for kind, count in kinds.most_common()
    )


def _plural(kind: str) -> str:
    first, _, rest = kind.partition(" ")
    return f"{first}s {rest}" if first in ("folder", "mask", "capture") else f"{kind}s"


def search_root(path: str | Path) -> Path:
    """The folder that `path` searches: itself, a file's parent, or a glob's part before the first wildcard.

    Absolute, without following links. Results keep their sub-folders below the roots' common parent.
    """
    path = Path(path)
    if not path.exists() and glob.has_magic(str(path)):
        fixed = []
        for part in path.parts[:-1]:
            if glob.has_magic(part):
                break
            fixed.append(part)
        path = Path(*fixed)
    elif not path.is_dir():
        path = path.parent
    return _absolute(path)


class _Search:
    """One search. left_out: the number of files and folders that were left out, by kind."""

    def __init__(self, skip: tuple[Path, ...], masks: bool, objects: bool) -> None:
        self._skip, self._masks, self._objects = skip, masks, objects
        self.left_out = Counter[str]()

    def expand(self, path: Path) -> Iterator[Path]:
        """The files that a path names. Raises InputError, OSError."""
        if path.is_dir():
            yield from self._walk(path)
        elif path.exists():
            yield path
        elif glob.has_magic(str(path)):
            matches = list[Path]()
            # glob, and not Path.glob: it passes over hidden folders, and takes absolute patterns
            for name in glob.iglob(str(path), recursive=True):  # noqa: PTH207
                match = Path(name)
                if match.is_dir():
                    if "**" not in path.parts:  # with ** the files inside match by themselves
                        yield from self._walk(match)
                elif not _inside(match, self._skip):
                    matches.append(match)
            yield from self._wanted(matches)
        else:
            raise InputError("no such file or folder", where=path, remedy="Check the path")

    def _walk(self, folder: Path) -> Iterator[Path]:
        def refused(error: OSError) -> None:
            at = Path(error.filename or folder)
            if at == folder:
                raise InputError(
                    f"this folder cannot be listed: {error.strerror}",
                    where=folder,
                    remedy="Ask for permission to read it",
                ) from error
            warnings.warn(
                f"{at}: this folder cannot be listed and is left out: {error.strerror}",
                SonosegWarning,
                stacklevel=2,
            )

        for base, folders, names in os.walk(folder, onerror=refused):
            here = Path(base)
            seen = [name for name in sorted(folders) if not name.startswith(".")]
            folders[:] = [name for name in seen if self._enters(here / name, seen)]
            files = [here / name for name in sorted(names)]
            yield from self._wanted([path for path in files if not _inside(path, self._skip)])

    def _enters(self, folder: Path, siblings: Sequence[str]) -> bool:
        """Whether a sub-folder is searched."""
        if _inside(folder, self._skip):
            return False
        kind = ""
        if folder.is_symlink():
            kind = "linked folder"
        elif _holds_results(folder):
            kind = "folder of sonoseg's results"
        elif (
            not self._masks
            and folder.name.lower() in MASK_FOLDERS
            and IMAGE_FOLDERS.intersection(name.lower() for name in siblings)
        ):
            kind = "folder of masks beside its images"
        self.left_out.update([kind] if kind else ())
        return not kind

    def _wanted(self, files: Sequence[Path]) -> Iterator[Path]:
        """Those of the files of a folder, or of a glob, that are wanted."""
        images = [path for path in files if not path.name.startswith(".") and self._is_image(path)]
        for path in images:
            if not self._masks and looks_like_mask(path) and image_of(path, _beside(path, images)):
                self.left_out["mask beside its image"] += 1
            else:
                yield path

    def _is_image(self, path: Path) -> bool:
        suffix = path.suffix.strip().lower()
        if suffix in _RASTER:
            return True
        if suffix in COMPANIONS:
            return False
        if path.name.upper() == DICOMDIR or not path.is_file():  # a pipe would hang whoever looks into it
            return False
        try:
            with path.open("rb") as file:
                head = file.read(512)
        except OSError:
            return suffix in SUFFIXES  # reading it names the reason
        if looks_like_dicom(head):
            kind = "" if self._objects else _kind_without_image(path)
            if self._masks and kind == "Segmentation":
                return True
        elif (
            (self._masks and head.startswith(NRRD))
            or suffix in SUFFIXES
            or head.startswith(_MAGIC)
            or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
        ):
            return True
        elif head[4:8] == b"ftyp" and head[8:12] in _HEIF:
            kind = "HEIC or AVIF image"
        elif not suffix or suffix[1:].isdigit():
            return False
        else:
            kind = f"{suffix} file"
        self.left_out.update([kind] if kind else ())
        return not kind


def _kind_without_image(path: Path) -> str:
    """The kind of a DICOM file that holds no image, or one that sonoseg made; "" for others."""
    if not is_installed("pydicom"):
        return ""
    from pydicom import dcmread
    from pydicom.uid import SecondaryCaptureImageStorage

    from sonoseg.dicom.reading.header import quiet_pydicom

    try:
        tags = ["SOPClassUID", "Manufacturer"]
        with quiet_pydicom():  # values are parsed, and warned of, where they are used
            found = dcmread(path, stop_before_pixels=True, specific_tags=tags, force=True)
            sop_class = found.file_meta.get("MediaStorageSOPClassUID") or found.SOPClassUID
            name, maker = str(sop_class.name), str(found.get("Manufacturer"))
    except Exception:  # damage in any form: reading it names the fault
        return ""
    if sop_class == SecondaryCaptureImageStorage and maker.startswith("sonoseg"):
        return "capture by sonoseg"
    return name.removesuffix(" Storage") if any(part in f"{name} " for part in WITHOUT_IMAGE) else ""


def _holds_results(folder: Path) -> bool:
    """Whether sonoseg wrote results into a folder."""
    try:
        with (folder / RESULTS).open("rb") as file:
            return RESULT_FORMAT in file.read(200)
    except OSError:
        return False


def _beside(path: Path, images: Sequence[Path]) -> list[Path]:
    return [other for other in images if other.parent == path.parent]


def _inside(path: Path, folders: tuple[Path, ...]) -> bool:
    absolute = _absolute(path)
    return any(absolute.is_relative_to(folder) for folder in folders)


def _absolute(path: str | Path) -> Path:
    return Path(os.path.normpath(Path(path).absolute()))  # unlike resolve(), links keep their names
