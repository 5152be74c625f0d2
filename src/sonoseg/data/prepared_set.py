"""Access to a prepared set: its table, and its pixels at their own size or on the network grid."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sonoseg._util.csv_text import unescape_columns
from sonoseg._util.documents import parse_json
from sonoseg._util.packages import missing_extra
from sonoseg.data.network_arrays import build_arrays, read_own
from sonoseg.data.record import PROVENANCE, check_ids
from sonoseg.errors import DatasetError
from sonoseg.image.calibration import Spacing
from sonoseg.image.frame import Frame
from sonoseg.image.network_grid import Fit

if TYPE_CHECKING:
    import pandas as pd

TEXT = (
    *("set", "label", "group", "patient", "duplicates", "objection", "marks"),
    *("source", "mask_sources", "sha256", "mask_sha256"),
    *PROVENANCE,
)
NUMBERS = ("spacing_row", "spacing_column", "fold5", "fold10")


class PreparedSet:
    """A folder that `sonoseg data prepare` wrote.

    table: pandas DataFrame indexed by id, one row an image; text columns hold "" where nothing is known,
        spacing (mm per pixel) and official folds NaN.
    fingerprint: of the content; equal on any machine for the same sources.
    sources: name, kind, licence, citation and counts of each set in it.
    """

    def __init__(self, folder: Path, description: dict[str, Any], table: pd.DataFrame) -> None:
        self.folder = folder
        self.table = table
        self.fingerprint = str(description["fingerprint"])
        self.sources = [{**source, "name": str(source["name"])} for source in description["sources"]]

    @classmethod
    def open(cls, path: str | Path) -> PreparedSet:
        """Open the prepared set in the folder `path`. Raises DatasetError, MissingExtra."""
        try:
            import pandas as pd
        except ImportError as error:
            raise missing_extra("pandas", "data") from error
        folder = Path(path)
        try:
            description = parse_json((folder / "prepared.json").read_text("utf-8"))
            table = pd.read_csv(
                folder / "images.csv",
                dtype={"id": str, **dict.fromkeys(TEXT, str)},
                keep_default_na=False,
                na_values={name: [""] for name in NUMBERS},
            )
            table = unescape_columns(table, ("id", *TEXT)).set_index("id")
            wrong = len(table) != description["images"] or not table.index.is_unique
            if wrong or not description["format"].startswith("sonoseg-prepared/"):
                raise ValueError("its table and its description differ")
            check_ids(table.index, folder)
            return cls(
                folder, description, table.astype(dict.fromkeys(("spacing_row", "spacing_column"), float))
            )
        except FileNotFoundError as error:
            raise DatasetError(
                f"not a prepared set: {Path(error.filename).name} is missing",
                where=folder,
                remedy="Make one with: sonoseg data prepare SET --out FOLDER",
            ) from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DatasetError(
                f"the prepared set is damaged: {error}",
                where=folder,
                remedy="Prepare it again with sonoseg data prepare --overwrite",
            ) from error

    @cached_property
    def ids(self) -> list[str]:
        """The ids in the table's order, which is that of the arrays' rows."""
        return [str(name) for name in self.table.index]

    def rows(self, ids: Iterable[str]) -> NDArray[np.intp]:
        """The row numbers of `ids` in the arrays, int (n,). Raises DatasetError for an unknown id."""
        import pandas as pd

        wanted = list(ids)
        found = np.asarray(self.table.index.get_indexer(pd.Index(wanted)), dtype=np.intp)
        if (found < 0).any():
            missing = wanted[int(np.argmax(found < 0))]
            raise DatasetError(
                f"no image has the id '{missing}' ({int((found < 0).sum())} of {len(wanted)} are unknown)",
                where=self.folder,
                remedy="Use the split that was made for this prepared set",
            )
        return found

    def arrays(self, size: int = 256, fit: Fit = "stretch") -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """All pixels and masks on the network's grid: two read-only memory maps, uint8 (N, size, size).

        Masks hold 0 and 1. The arrays are built atomically, unless they exist.
        """
        pixels, masks = build_arrays(self.folder, size, fit)
        return np.load(pixels, mmap_mode="r"), np.load(masks, mmap_mode="r")

    def frame(self, name: str) -> Frame:
        """The image `name` at its own size, with its spacing. Raises DatasetError."""
        self.rows([name])
        path = self.folder / "images" / f"{name}.png"
        row, column = self.table.loc[[name], ["spacing_row", "spacing_column"]].to_numpy(float)[0].tolist()
        spacing = Spacing(row, column) if np.isfinite(row) and np.isfinite(column) else None
        return Frame(read_own(path).astype(np.uint8), spacing, path, name=name)

    def mask(self, name: str) -> NDArray[np.bool_]:
        """The mask of the image `name` at its own size, bool (H, W). Raises DatasetError."""
        self.rows([name])
        return np.asarray(read_own(self.folder / "masks" / f"{name}.png") > 0)

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        names = " + ".join(source["name"] for source in self.sources)
        return f"PreparedSet({names}: {len(self)} images, {self.fingerprint[:12]})"
