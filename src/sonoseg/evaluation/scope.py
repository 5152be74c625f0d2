"""What a study was made on, in checkable words: part, split, and whether the model knew the images."""

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
    "validation": "Validation images: checkpoint and threshold were chosen on images like these, or on these "
    "themselves, so the figures flatter the model.",
    "train": "Training images: the figures show what the model remembers, not what it can do.",
    "all": "All images at once, whatever the split: honest only for a model that has seen none of them.",
}


def only_sets(prepared: PreparedSet, ids: list[str], sets: Sequence[str]) -> list[str]:
    """Those of `ids` that come from the named sets of a joined prepared set; all of them for no name.

    Raises UsageError for a set that is not in it.
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
    """The ids that a part means. Without a split there is only the part "all": the whole prepared set.

    Raises UsageError for a part that needs a split, or a fold that is not there, DatasetError where the split
    was made for another prepared set.
    """
    if split is None:
        if part != "all":
            raise UsageError(
                f"no split says which images are the {part} part",
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

    sets: the names of the sets that were measured, of a joined one; none is all of them.
    card: of the model, which says what it was trained on. threshold: one given in place of the card's.
    A caution is a sentence on why the figures may flatter; without one the images are, as far as the card
    and the split can tell, new to the model.
    """
    cautions = [_OF_PART[part]] if part in _OF_PART else []
    if split is not None and split.method == "random":
        cautions.append(
            "The split is random: copies of a scan, or images of a patient, may lie in training and in test."
        )
    sha = sha256_file(split_file) if split_file is not None else None
    seen = _seen(prepared, sha, fold, part, card)
    if threshold is not None and card is not None and threshold != card.threshold:
        cautions.append(
            f"The threshold {threshold:g} was given by hand (the card's is {card.threshold:g}): had it been "
            "chosen on these images, the figures would flatter the model."
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
        return f"All images of the split, its training part among them; {how}"
    return f"The {part} part of fold {fold}; {how}"


def _seen(
    prepared: PreparedSet, split_sha: str | None, fold: int, part: Part, card: ModelCard | None
) -> str | None:
    """Why the model may know these images, as far as its card tells; None where it does not."""
    if card is None or not card.data:
        return "The model's card does not say what it was trained on, so it may have seen these images."
    names = {source["name"] for source in prepared.sources}
    shared = sorted(names & {one.name for one in card.data if one.images})
    training = card.training
    if training.get("fingerprint") == prepared.fingerprint:
        if split_sha is None:
            return "The model was trained on a part of this very set."
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
