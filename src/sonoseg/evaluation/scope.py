"""What an evaluation covers: the part of a split, and whether the model may have seen the images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sonoseg._util.files import sha256_file
from sonoseg.errors import UsageError

if TYPE_CHECKING:
    from sonoseg.data.prepared_set import PreparedSet
    from sonoseg.data.splits import Split
    from sonoseg.model.card import ModelCard

Part = Literal["test", "validation", "train", "all"]

_OF_PART = {
    "validation": "Validation images: checkpoint and threshold were chosen on these or similar images, "
    "so the figures are optimistic.",
    "train": "Training images: the figures do not show how the model performs on new images.",
    "all": "All images, whatever the split: unbiased only for a model that has seen none of them.",
}


def only_sets(prepared: PreparedSet, ids: list[str], sets: Sequence[str]) -> list[str]:
    """Those of `ids` from the named sets of a joined prepared set; all where no set is named.

    Raises UsageError for an unknown set.
    """
    known = [source["name"] for source in prepared.sources]
    for name in sets:
        if name not in known:
            raise UsageError(
                f"no set '{name}' in this prepared set",
                where=prepared.folder,
                remedy=f"Choose from: {', '.join(known)}",
            )
    own = prepared.table["set"]
    return [name for name in ids if own[name] in sets] if sets else ids


def choose_ids(prepared: PreparedSet, split: Split | None, fold: int, part: Part) -> list[str]:
    """The ids of a part of a fold; without a split the only part is "all", the whole prepared set.

    Raises UsageError for a part that needs a split or a fold that does not exist, DatasetError where the
    split was made for another prepared set.
    """
    if split is None:
        if part != "all":
            raise UsageError(
                f"the {part} part needs a split",
                remedy="Give --split FILE, or --part all to measure a model on a set it has never seen",
            )
        return list(prepared.ids)
    split.check(prepared)
    parts = split.part(fold)
    named = {"train": parts.train, "validation": parts.validation, "test": parts.test}
    return [name for own in named.values() for name in own] if part == "all" else named[part]


def describe(
    prepared: PreparedSet,
    split: Split | None,
    split_file: Path | None,
    fold: int,
    part: Part,
    card: ModelCard | None = None,
    threshold: float | None = None,
    sets: Sequence[str] = (),
) -> dict[str, Any]:
    """The summary's entries data, split, part, statement and cautions.

    card: of the model, with the data it was trained on. threshold: the one used, where it may differ from the
    card's. sets: those measured, of a joined prepared set; none means all.
    Each caution is a sentence on why the figures may be optimistic.
    """
    cautions = [_OF_PART[part]] if part in _OF_PART else []
    if split is not None and split.method == "random":
        cautions.append(
            "The split is random: duplicates, or images of one patient, may be both in training and in test."
        )
    sha = sha256_file(split_file) if split_file is not None else None
    seen = _seen(prepared, sha, fold, part, card)
    if threshold is not None and card is not None and threshold != card.threshold:
        cautions.append(
            f"The threshold is {threshold:g}, not the card's {card.threshold:g}: if it was chosen on these "
            "images, the figures are optimistic."
        )
    if seen is not None:
        cautions.append(seen)
    return {
        "data": {
            "fingerprint": prepared.fingerprint,
            "sources": [
                {key: source.get(key, "") for key in ("name", "title", "licence", "citation")}
                for source in prepared.sources
            ],
        },
        "split": None
        if split is None
        else {
            "file": split_file.name if split_file else "",
            "sha256": sha,
            "method": split.method,
            "policy": split.policy,
            "seed": split.seed,
            "folds": split.count,
            "fold": fold,
            "dropped": len(split.dropped),
        },
        "part": part,
        "statement": _statement(split, fold, part) + (f"; only {', '.join(sets)}" if sets else ""),
        "cautions": cautions,
    }


def _statement(split: Split | None, fold: int, part: Part) -> str:
    if split is None:
        return "All images of the prepared set; no split"
    how = f"{split.method} split of {split.count} folds, policy '{split.policy}', seed {split.seed}"
    if part == "all":
        return f"All images of the split, including its training part; {how}"
    return f"The {part} part of fold {fold}; {how}"


def _seen(
    prepared: PreparedSet, split_sha: str | None, fold: int, part: Part, card: ModelCard | None
) -> str | None:
    """Why the model may have seen these images, by its card; None where it has not."""
    if card is None or not card.data:
        return "The model's card does not name its training data, so it may have seen these images."
    names = {source["name"] for source in prepared.sources}
    shared = sorted(names & {one.name for one in card.data if one.images})
    training = card.training
    if training.get("fingerprint") == prepared.fingerprint:
        if split_sha is None:
            return "The model was trained on a part of this set."
        if training.get("split_sha256") != split_sha:
            return "The model was trained on another split of this set, so on some of these images."
        if training.get("fold") != fold and part != "train":
            return (
                f"The model was trained on fold {training.get('fold')} of this split: the {part} part of "
                f"fold {fold} was, in part or whole, among its training images."
            )
        return None
    if shared:
        return f"The model's card names {', '.join(shared)} among its training sets, prepared in another way."
    return None
