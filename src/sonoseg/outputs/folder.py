"""A folder of results: what goes where in it, checked before the work and written as it goes."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from sonoseg.errors import OutputError
from sonoseg.files import atomic_write_bytes, atomic_write_text
from sonoseg.findings.lesions import Findings, measure
from sonoseg.inference.segmentation import Segmentation
from sonoseg.outputs.entries import About, Entry, Refused
from sonoseg.outputs.index_page import index_page
from sonoseg.outputs.png import attention_png, colour_png, mask_png, probability_png, thumbnail_jpeg
from sonoseg.outputs.tables import results_csv, results_json

CSV, JSON, PAGE = "results.csv", "results.json", "index.html"

SUBFOLDERS = ("masks", "overlays", "probability", "attention")


class ResultsFolder:
    """Results of a batch: masks/, overlays/, on request probability/ and attention/, and the three summaries.

    folder: where to. names: what each file's results are called (see result_names); a frame that comes from
        none of them is called by its own name.
    probability, attention: whether to write those pictures too; `gates` are the attention maps' names.

    Call `check` before the work, `add` or `refuse` for each picture, `finish` once at the end.
    """

    def __init__(
        self,
        folder: str | Path,
        names: Mapping[Path, str],
        about: About,
        *,
        probability: bool = False,
        attention: bool = False,
        gates: Sequence[str] = (),
    ) -> None:
        self.folder = Path(folder)
        self.about = about
        self.entries: list[Entry] = []
        self.refused: list[Refused] = []
        self._names = dict(names)
        self._probability = probability
        self._gates = tuple(gates) if attention else ()

    @property
    def wants_attention(self) -> bool:
        """Whether `add` needs attention maps."""
        return bool(self._gates)

    @property
    def summary(self) -> Path:
        """The object for programs."""
        return self.folder / JSON

    @property
    def page(self) -> Path:
        """The page for people."""
        return self.folder / PAGE

    def check(self, *, overwrite: bool = False) -> None:
        """Make the folder, and make sure that everything can be written to it.

        Raises OutputError where it cannot be written to, or where a result is there already and `overwrite`
        is not given.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            raise OutputError(
                f"this folder cannot be written to: {error.strerror or error}",
                where=self.folder,
                remedy="Choose another with --out, or ask for permission to write",
            ) from error
        if overwrite:
            return
        wanted = [self.folder / name for name in (CSV, JSON, PAGE)]
        for name in self._names.values():
            wanted += [self.folder / path for path in self._places(name).values()]
        there = [path for path in wanted if path.exists()]
        if there:
            more = f" and {len(there) - 1} more" if len(there) > 1 else ""
            raise OutputError(
                f"results are here already ({there[0].relative_to(self.folder).as_posix()}{more})",
                where=self.folder,
                remedy="Choose another folder with --out, or replace them with --overwrite",
            )

    def add(self, segmentation: Segmentation) -> Findings:
        """Measure a segmentation and write its pictures. Raises OutputError where that fails."""
        frame = segmentation.frame
        name = self._names[frame.source] if frame.source in self._names else PurePath(frame.name).name
        places = self._places(name)
        made = {"mask": mask_png(segmentation.mask), "overlay": colour_png(segmentation.overlay())}
        if self._probability:
            made["probability"] = probability_png(segmentation.probability)
        for gate in self._gates:
            made[gate] = attention_png(segmentation, gate)
        for kind, content in made.items():
            atomic_write_bytes(self.folder / places[kind], content)
        findings = measure(segmentation)
        self.entries.append(
            Entry(
                name=name,
                file=str(frame.source or ""),
                shape=frame.shape,
                spacing=frame.spacing,
                findings=findings,
                files=places,
                thumbnail=thumbnail_jpeg(segmentation),
            )
        )
        return findings

    def refuse(self, file: str | Path, reason: str) -> None:
        """Note a file that could not be used."""
        self.refused.append(Refused(str(file), reason))

    def finish(self) -> dict[str, Any]:
        """Write results.csv, results.json and index.html; returns what results.json holds."""
        value = results_json(self.about, self.entries, self.refused)
        atomic_write_text(self.folder / CSV, results_csv(self.about, self.entries, self.refused))
        atomic_write_text(self.summary, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
        atomic_write_text(self.page, index_page(self.about, self.entries, self.refused))
        return value

    def _places(self, name: str) -> dict[str, str]:
        """Where the pictures of one name go, relative to the folder, by kind."""
        places = {"overlay": f"overlays/{name}.png", "mask": f"masks/{name}.png"}
        if self._probability:
            places["probability"] = f"probability/{name}.png"
        for gate in self._gates:
            places[gate] = f"attention/{name}_gate{gate.removeprefix('attention_')}.png"
        return places
