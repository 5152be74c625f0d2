"""The stages of EfficientNet-Lite, held against the numbers of the paper and of the release."""

import subprocess
import sys

import pytest

from sonoseg.networks.efficientnet_stages import EncoderKind, Stage, channels, stages

# Rows 2 to 7 of table 1 (Tan and Le 2019), scaled as the release states: kernel, stride, channels, blocks.
RELEASED: dict[EncoderKind, list[tuple[int, int, int, int]]] = {
    "efficientnet-lite0": [
        (3, 1, 16, 1), (3, 2, 24, 2), (5, 2, 40, 2), (3, 2, 80, 3), (5, 1, 112, 3), (5, 2, 192, 4),
    ],
    "efficientnet-lite1": [
        (3, 1, 16, 1), (3, 2, 24, 3), (5, 2, 40, 3), (3, 2, 80, 4), (5, 1, 112, 4), (5, 2, 192, 5),
    ],
    "efficientnet-lite2": [
        (3, 1, 16, 1), (3, 2, 24, 3), (5, 2, 48, 3), (3, 2, 88, 4), (5, 1, 120, 4), (5, 2, 208, 5),
    ],
}  # fmt: skip


@pytest.mark.parametrize("kind", list(RELEASED))
def test_the_stages_are_the_releases(kind: EncoderKind) -> None:
    found = stages(kind)
    assert [(s.kernel, s.stride, s.outputs, s.blocks) for s in found] == RELEASED[kind]
    assert [s.expand for s in found] == [1, 6, 6, 6, 6, 6]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("efficientnet-lite0", [16, 24, 40, 112, 192]),
        ("efficientnet-lite1", [16, 24, 40, 112, 192]),
        ("efficientnet-lite2", [16, 24, 48, 120, 208]),
    ],
)
def test_a_level_ends_where_the_image_halves(kind: EncoderKind, expected: list[int]) -> None:
    assert channels(kind) == expected
    assert sum(stage.stride == 2 for stage in stages(kind)) == len(expected) - 1


def test_the_plain_encoder_has_no_stages() -> None:
    with pytest.raises(KeyError, match="plain"):
        stages("plain")


@pytest.mark.process
def test_the_numbers_need_nothing_installed() -> None:
    """TensorFlow's environments read them without torch, pydantic or NumPy."""
    code = (
        "import sys; from sonoseg.networks.efficientnet_stages import stages; stages('efficientnet-lite1');"
        "print([name for name in ('torch', 'pydantic', 'numpy') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_a_stage_says_what_it_is() -> None:
    assert stages("efficientnet-lite0")[2] == Stage(blocks=2, kernel=5, stride=2, expand=6, outputs=40)
