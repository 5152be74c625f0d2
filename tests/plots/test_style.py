"""The look, and saving."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import pytest
from PIL import Image

from sonoseg.errors import FigureError, OutputError
from sonoseg.plots.style import CLASSES, SERIES, blank, log_axis, look, save, share_axis


def _figure():
    with look():
        figure = blank(4, 2)
        axes = figure.subplots()
        axes.plot([1, 10, 100], [0.0, 0.5, 1.0])
        axes.set_title("A")
    return figure


@pytest.mark.process
@pytest.mark.parametrize("ending", [".png", ".svg", ".pdf", ".jpg"])
def test_the_same_figure_gives_the_same_bytes(tmp_path: Path, ending: str) -> None:
    one, two = (save(_figure(), tmp_path / f"{n}{ending}").read_bytes() for n in "ab")
    assert one == two
    assert len(one) > 500


def test_a_png_has_the_size_asked_for(tmp_path: Path) -> None:
    with Image.open(save(_figure(), tmp_path / "a.png", dpi=100)) as image:
        assert image.size == (400, 200)


def test_a_folder_is_made_and_nothing_else_is_left_in_it(tmp_path: Path) -> None:
    path = save(_figure(), tmp_path / "deep" / "er" / "a.png")
    assert [file.name for file in path.parent.iterdir()] == ["a.png"]


@pytest.mark.parametrize("name", ["a.docx", "a"])
def test_an_unknown_ending_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(FigureError, match=r"cannot be saved as .*Use \.png"):
        save(_figure(), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_an_unwritable_place_is_our_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OutputError, match="cannot be written"):
        save(_figure(), tmp_path / "file" / "a.png")


def test_the_settings_are_given_back() -> None:
    before = dict(mpl.rcParams)
    with look():
        assert mpl.rcParams["axes.spines.top"] is False
    assert dict(mpl.rcParams) == before


def test_colours_are_distinct() -> None:
    assert len(set(SERIES)) == len(SERIES)
    assert len(set(CLASSES.values())) == len(CLASSES)


def test_axes_leave_room_for_points_on_their_ends() -> None:
    axes = blank().subplots()
    share_axis(axes, "x")
    share_axis(axes, "y", 0.5, 1.0)
    assert axes.get_xlim() == pytest.approx((-0.02, 1.02))
    assert axes.get_ylim() == pytest.approx((0.49, 1.01))


def test_a_log_axis_is_labelled_in_plain_numbers() -> None:
    figure = blank()
    axes = figure.subplots()
    axes.plot([0.2, 50], [1, 100])
    log_axis(axes)
    log_axis(axes, "y")
    figure.draw_without_rendering()
    assert {"0.5", "1", "10"} <= {label.get_text() for label in axes.get_xticklabels()}
    assert axes.get_yscale() == "log"


@pytest.mark.process
def test_no_display_and_no_pyplot_is_needed() -> None:
    code = (
        "import sys\n"
        "from sonoseg.plots import attention_maps, cases, network_diagram, style, training_curves\n"
        "style.blank(); sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.process
def test_an_absent_matplotlib_names_the_extra() -> None:
    code = (
        "import importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'matplotlib' else real(name, *rest)\n"
        "import sonoseg.errors as e\n"
        "try:\n    import sonoseg.plots.style\n"
        "except e.MissingExtra as error:\n    print(error)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    assert "pip install 'sonoseg[data]'" in told.stdout
