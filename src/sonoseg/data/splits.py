"""Splits of a prepared set into training, validation and test parts."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np

from sonoseg._util.documents import parse_json
from sonoseg._util.files import atomic_write_text
from sonoseg._util.packages import missing_extra
from sonoseg.errors import DatasetError, UsageError

if TYPE_CHECKING:
    import pandas as pd

    from sonoseg.data.prepared_set import PreparedSet

FORMAT = "sonoseg-split/1"

Method = Literal["grouped", "random", "official", "leave-one-set-out"]
Policy = Literal["all", "first-of-group", "strict"]


class Parts(NamedTuple):
    """The ids of one fold's three parts."""

    train: list[str]
    validation: list[str]
    test: list[str]


@dataclass(frozen=True)
class Split:
    """A division of a prepared set into folds.

    method: "grouped" (patients and duplicates kept together, stratified by set and class), "random"
        (stratified, ignoring groups), "official" (the published folds), "leave-one-set-out" (a fold for each
        set of a joined prepared set).
    policy: which images take part; see `admit`.
    fingerprint: of the prepared set it was made for.
    folds: id -> fold, from 0. dropped: id -> reason.
    train_only: ids that train in every fold and are never tested; see `extend_split`.
    validation: ids that validate in every fold that does not test them; empty where the next fold validates.
    """

    method: Method
    policy: Policy
    seed: int
    fingerprint: str
    folds: dict[str, int]
    dropped: dict[str, str] = field(default_factory=dict)
    train_only: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """The number of folds."""
        return max(self.folds.values()) + 1

    def part(self, fold: int = 0) -> Parts:
        """Test on fold `fold`, validate on the next one or on `validation`, train on the rest.

        Raises UsageError.
        """
        if not 0 <= fold < self.count:
            raise UsageError(
                f"no fold {fold} in a split of {self.count}", remedy=f"Choose one from 0 to {self.count - 1}"
            )
        if self.count < 3 and not self.validation:
            raise UsageError(
                f"{self.count} folds cannot give three parts", remedy="Make a split of three folds or more"
            )
        other = (fold + 1) % self.count
        chosen = set(self.validation) or {name for name, k in self.folds.items() if k == other}
        parts = Parts([], [], [])
        parts.train.extend(self.train_only)
        for name, k in self.folds.items():
            (parts.test if k == fold else parts.validation if name in chosen else parts.train).append(name)
        return parts

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the split as JSON. Raises OutputError where another file is there and not `overwrite`."""
        from sonoseg.errors import OutputError

        path = Path(path)
        text = json.dumps(
            {
                "format": FORMAT,
                "method": self.method,
                "policy": self.policy,
                "seed": self.seed,
                "fingerprint": self.fingerprint,
                "folds": self.folds,
                "dropped": self.dropped,
                # Written only where present: the file of a split without them does not change.
                **({"train_only": list(self.train_only)} if self.train_only else {}),
                **({"validation": list(self.validation)} if self.validation else {}),
            },
            indent=1,
            ensure_ascii=False,
        )
        if path.exists() and not overwrite and not _holds(path, text + "\n"):
            raise OutputError("the file exists", where=path, remedy="Use --overwrite, or another name")
        atomic_write_text(path, text + "\n")

    @classmethod
    def load(cls, path: str | Path) -> Split:
        """Read a split file. Raises DatasetError where it is not one."""
        path = Path(path)
        try:
            data = parse_json(path.read_text("utf-8"))
            if data["format"] != FORMAT:
                raise ValueError(f"its format is '{data['format']}', not '{FORMAT}'")
            folds = {str(name): int(fold) for name, fold in data["folds"].items()}
            numbers = sorted(set(folds.values()))
            if not numbers or numbers != list(range(len(numbers))):
                raise ValueError("its folds are not numbered consecutively from 0")
            return cls(
                data["method"],
                data["policy"],
                int(data["seed"]),
                data["fingerprint"],
                folds,
                data["dropped"],
                tuple(map(str, data.get("train_only", ()))),
                tuple(map(str, data.get("validation", ()))),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            reason = (
                f"no {error}" if isinstance(error, KeyError) else getattr(error, "strerror", None) or error
            )
            raise DatasetError(
                f"not a split file: {reason}", where=path, remedy="Make one with sonoseg data split"
            ) from error

    def check(self, prepared: PreparedSet) -> None:
        """Raise DatasetError unless this split was made for `prepared`."""
        if self.fingerprint != prepared.fingerprint:
            raise DatasetError(
                f"the split was made for another prepared set (fingerprint {self.fingerprint[:12]}, "
                f"this one is {prepared.fingerprint[:12]})",
                where=prepared.folder,
                remedy="Make a new one with sonoseg data split",
            )


def _holds(path: Path, text: str) -> bool:
    try:
        return path.read_bytes() == text.encode()
    except OSError:
        return False


def admit(table: pd.DataFrame, policy: Policy) -> dict[str, str]:
    """Which images a policy drops, id -> reason.

    "all": none. "first-of-group": all duplicates but the first. "strict": images with a published objection,
    then all remaining duplicates but the first. Several images of one patient are not duplicates and stay.
    """
    dropped: dict[str, str] = {}
    kept: dict[str, str] = {}
    if policy == "all":
        return dropped
    for name, duplicates, objection in zip(
        map(str, table.index), table["duplicates"], table["objection"], strict=True
    ):
        if policy == "strict" and objection:
            dropped[name] = f"objection: {objection}"
        elif duplicates and duplicates in kept:
            # The text is part of the file, whose hash is on the cards of models.
            dropped[name] = f"a copy of {kept[duplicates]}"
        elif duplicates:
            kept[duplicates] = name
    return dropped


def make_split(
    prepared: PreparedSet,
    method: Method = "grouped",
    *,
    policy: Policy = "all",
    folds: int = 5,
    seed: int = 0,
) -> Split:
    """Divide a prepared set into folds; the same seed gives the same split.

    folds: with "leave-one-set-out" the sets are the folds, in their order, and one in `folds` images of each
        set, in whole groups, validates where another set is tested.
    Raises UsageError for an unknown method or policy, DatasetError where there are too few groups or
    images, or no official folds, MissingExtra without scikit-learn.
    """
    for word, kind in ((method, Method), (policy, Policy)):
        if word not in get_args(kind):
            raise UsageError(f"unknown value '{word}'", remedy=f"Choose one of: {', '.join(get_args(kind))}")
    dropped = admit(prepared.table, policy)
    table = prepared.table.drop(index=list(dropped))
    if method == "leave-one-set-out":
        return _leave_one_set_out(prepared, table, policy, folds, seed, dropped)
    if method == "official":
        fold_of = _official(table, folds, prepared.folder)
    else:
        fold_of = _divided(table, folds, seed, prepared.folder, grouped=method == "grouped")
    return Split(method, policy, seed, prepared.fingerprint, fold_of, dropped)


def _leave_one_set_out(
    prepared: PreparedSet, table: pd.DataFrame, policy: Policy, folds: int, seed: int, dropped: dict[str, str]
) -> Split:
    sets = list(dict.fromkeys(table["set"]))
    if len(sets) < 2:
        raise DatasetError(
            "leave-one-set-out needs two sets or more, and this is one",
            where=prepared.folder,
            remedy="Prepare several sets together: sonoseg data prepare A+B --out FOLDER",
        )
    if crossing := (table.groupby("group")["set"].nunique() > 1).sum():
        raise DatasetError(
            f"{crossing} groups have images in more than one set, which would be trained and tested on",
            where=prepared.folder,
            remedy="Remove the images that two sets share from one of them",
        )
    part_of: dict[str, int] = {}
    for name in sets:
        own = table[table["set"] == name]
        part_of |= _divided(own, folds, seed, prepared.folder, grouped=True)
    fold_of = {str(name): sets.index(own) for name, own in table["set"].items()}
    validation = tuple(name for name in fold_of if part_of[name] == 0)
    return Split(
        "leave-one-set-out", policy, seed, prepared.fingerprint, fold_of, dropped, validation=validation
    )


def extend_split(split: Split, prepared: PreparedSet) -> Split:
    """Extend a split to a prepared set with more images, which train in every fold.

    The test parts stay the same, so results before and after can be compared. A new image of a group of
    `split` (another view of a patient, a duplicate) is dropped, since it would leak into training.
    The split's policy applies to new images too.
    Raises DatasetError where an image of `split` is not in `prepared`.
    """
    known = split.folds.keys() | split.dropped.keys() | set(split.train_only)
    there = set(map(str, prepared.table.index))
    if missing := sorted(known - there):
        raise DatasetError(
            f"{len(missing)} images of the split are not in this set, such as {missing[0]}",
            where=prepared.folder,
            remedy="Prepare the old sources and the new ones together, under the same names",
        )
    dropped = dict(split.dropped)
    groups = {str(prepared.table.at[name, "group"]): name for name in split.folds}
    unfit, train_only = admit(prepared.table, split.policy), list(split.train_only)
    for name in map(str, prepared.table.index):
        if name in known:
            continue
        kin = groups.get(str(prepared.table.at[name, "group"]))
        if kin is not None:
            dropped[name] = f"in one group with {kin} of the split"
        elif name in unfit:
            dropped[name] = unfit[name]
        else:
            train_only.append(name)
    return replace(split, fingerprint=prepared.fingerprint, dropped=dropped, train_only=tuple(train_only))


NARROW = 4
"""A narrow split keeps one in this many of the validation images."""


def narrow_split(split: Split, prepared: PreparedSet) -> Split:
    """Narrow a split: the same test part, a quarter of the validation part, the rest trains.

    For the final training of a settled recipe. Of three folds, 0 is the test part of fold 0 of `split`, 1 the
    validation part, 2 the training part. Groups stay together, classes and sets balanced.
    Raises DatasetError where `split` is of another set, or the validation part has too few groups.
    """
    split.check(prepared)
    if split.validation:
        raise DatasetError(
            "a split of the method leave-one-set-out cannot be narrowed",
            where=prepared.folder,
            remedy="Make it with larger --folds: one in so many images of a set validates",
        )
    parts = split.part(0)
    table = prepared.table.loc[parts.validation]
    try:
        part_of = _divided(table, NARROW, split.seed, prepared.folder, grouped=split.method != "random")
    except DatasetError as error:
        raise DatasetError(
            f"the validation part of {len(table)} images is too small for a quarter of it",
            where=prepared.folder,
            remedy="Use the split as it is",
        ) from error
    folds = (
        dict.fromkeys(parts.test, 0)
        | {name: 1 if part == 0 else 2 for name, part in part_of.items()}
        | {name: 2 for name in parts.train if name not in split.train_only}
    )
    ordered = {name: folds[name] for name in split.folds}
    return Split(
        split.method, split.policy, split.seed, prepared.fingerprint, ordered, split.dropped, split.train_only
    )


def strata(table: pd.DataFrame) -> list[str]:
    """The strata that a split balances: set and class; with or without lesion where the class is unknown."""
    return [
        f"{name}/{label}" if label != "unknown" else f"{name}/{'lesion' if area else 'empty'}"
        for name, label, area in zip(table["set"], table["label"], table["lesion_area_px"], strict=True)
    ]


def _divided(table: pd.DataFrame, folds: int, seed: int, where: Path, *, grouped: bool) -> dict[str, int]:
    try:
        from sklearn.model_selection import StratifiedGroupKFold
    except ImportError as error:
        raise missing_extra("scikit-learn", "data") from error
    groups = table["group"].to_numpy() if grouped else np.arange(len(table))
    if folds < 3:
        raise UsageError(f"{folds} folds", remedy="Ask for three or more: train, validation, test")
    if len(set(groups)) < folds:
        raise DatasetError(
            f"{len(set(groups))} groups cannot fill {folds} folds", where=where, remedy="Ask for fewer folds"
        )
    names = [str(name) for name in table.index]
    labels = np.unique(strata(table), return_inverse=True)[1]
    fold_of = np.zeros(len(table), dtype=int)
    if np.bincount(labels).max() < folds:
        raise DatasetError(
            f"no class has {folds} images, one for each fold", where=where, remedy="Ask for fewer folds"
        )
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A class rarer than the folds cannot be in each: the table of folds and classes shows it.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        for fold, (_, chosen) in enumerate(splitter.split(np.zeros(len(table)), labels, groups)):
            fold_of[chosen] = fold
    return dict(zip(names, fold_of.tolist(), strict=True))


def _official(table: pd.DataFrame, folds: int, where: Path) -> dict[str, int]:
    column = f"fold{folds}"
    known = table[column].notna() if column in table else None
    if known is None or not known.all():
        missing = sorted(set(table["set"] if known is None else table["set"][~known]))
        raise DatasetError(
            f"{', '.join(missing)} has no {folds} official folds",
            where=where,
            remedy="Use the method grouped, or --folds 5 or 10 with BUS-BRA",
        )
    return {str(name): int(fold) - 1 for name, fold in zip(table.index, table[column], strict=True)}


def summarise(split: Split, prepared: PreparedSet) -> list[dict[str, int]]:
    """Images by class and the number of groups, one entry a fold."""
    table = prepared.table.loc[list(split.folds)]
    rows: list[dict[str, int]] = []
    for fold in range(split.count):
        own = table[[split.folds[str(name)] == fold for name in table.index]]
        counts = Counter(own["label"])
        rows.append(
            {"fold": fold, "images": len(own), "groups": int(own["group"].nunique())}
            | {label: counts[label] for label in sorted(set(table["label"]))}
        )
    return rows
