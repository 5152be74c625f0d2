"""Count the images that the training distance marks as unlike the training data.

    python research/scripts/training_distance.py --set NAME=FOLDER ... --other NAME=FOLDER ... \
        [--data PREPARED --split FILE]

--set: a public breast ultrasound set, in a layout that `sonoseg data` reads; its images should not be
marked. --other: a folder of any other images, which should be; files that cannot be read are left out, of a
clip three frames count. With --data and --split the test part of a prepared set is counted too. The shipped
model is used in float32 and in int8. Writes research/measurements/training-distance.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from scipy.stats import binomtest

from evidence import MEASUREMENTS
from page_tables.markdown import table
from sonoseg.data.prepared_set import PreparedSet
from sonoseg.data.readers import read_source
from sonoseg.data.splits import Split
from sonoseg.errors import SonosegError
from sonoseg.image.frame import Frame
from sonoseg.inference.predictor import Predictor
from sonoseg.inputs.frame_list import list_frames, read

FRAMES = 3
PRECISIONS = ("fp32", "int8")


def main() -> None:
    """Count and write the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--set", nargs="*", default=[], metavar="NAME=FOLDER")
    options.add_argument("--other", nargs="*", default=[], metavar="NAME=FOLDER")
    options.add_argument("--data", type=Path, help="the prepared set that the model was trained on")
    options.add_argument("--split", type=Path, help="its split")
    wish = options.parse_args()
    predictors = [Predictor(runtime="onnx", precision=precision) for precision in PRECISIONS]
    rows = []
    if wish.data and wish.split:
        rows.append(count("Test part of the training sets", test_part(wish.data, wish.split), predictors))
    for word in wish.set:
        name, _, folder = word.partition("=")
        rows.append(count(name, of_set(Path(folder)), predictors))
    for word in wish.other:
        name, _, folder = word.partition("=")
        rows.append(count(name, of_folder(Path(folder)), predictors))
    head = ("Images", "n", *(f"marked in {name} [95 % interval]" for name in PRECISIONS))
    (MEASUREMENTS / "training-distance.md").write_text(table(head, rows) + "\n", "utf-8")
    print(table(head, rows))


def count(name: str, frames: Iterator[Frame], predictors: list[Predictor]) -> list[str]:
    """The row of the table for some images."""
    marked, images = [0] * len(predictors), 0
    for frame in frames:
        images += 1
        for number, predictor in enumerate(predictors):
            marked[number] += predictor.predict(frame).unlike_training
    shares = []
    for found in marked:
        interval = binomtest(found, images).proportion_ci(method="wilson")
        shares.append(f"{found / images:.1%} [{interval.low:.1%}, {interval.high:.1%}]")
    return [name, f"{images:,}", *shares]


def test_part(data: Path, split: Path) -> Iterator[Frame]:
    """The images of fold 0's test part, which neither training nor the fit has seen."""
    prepared = PreparedSet.open(data)
    loaded = Split.load(split)
    loaded.check(prepared)
    for name in loaded.part(0).test:
        yield prepared.frame(name)


def of_set(folder: Path) -> Iterator[Frame]:
    """Every image of a set."""
    for record in read_source(folder).records:
        yield from of_file(record.image)


def of_folder(folder: Path) -> Iterator[Frame]:
    """Every image of a folder that can be read."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield from of_file(path)


def of_file(path: Path) -> Iterator[Frame]:
    """The frames of a file, at most FRAMES; none where it cannot be read."""
    try:
        listed = list_frames(path, "all")
        for one in listed[:: max(1, len(listed) // FRAMES)][:FRAMES]:
            yield read(one)
    except SonosegError:
        return


if __name__ == "__main__":
    main()
