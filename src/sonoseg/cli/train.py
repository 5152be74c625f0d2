"""`sonoseg train`: from a prepared set to a Model."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from sonoseg._util.packages import require
from sonoseg.cli.common import err, out


class DeviceChoice(StrEnum):
    """Where to train."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


def train(
    to: Annotated[Path, typer.Option("--out", "-o", help="The run folder.")],
    recipe: Annotated[
        str | None, typer.Option(help="A recipe's name (seed, compact, quick, sonoseg) or a YAML file.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="The prepared set.")] = None,
    split: Annotated[Path | None, typer.Option(help="The split file made for it.")] = None,
    fold: Annotated[int, typer.Option(min=0, help="The fold to keep for the test.")] = 0,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="Change one value: optimiser.rate=0.0005. Repeatable.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --out.")] = False,
    device: Annotated[DeviceChoice, typer.Option(help="Where to train.")] = DeviceChoice.auto,
) -> None:
    """Train a network by a recipe, on one fold of a split, and write a Model to OUT/model.

    Continue an interrupted run with: sonoseg train --resume --out OUT. On several processes:
    torchrun --nproc-per-node 2 -m sonoseg train ... (docs/distributed.md)
    """
    require("train", "torch", "accelerate", "onnx", "onnxscript", "safetensors", "yaml", "pandas", "sklearn")
    from sonoseg.training.allocator import reexecute

    reexecute()
    from sonoseg.data.prepared_set import PreparedSet
    from sonoseg.data.splits import Split
    from sonoseg.errors import UsageError
    from sonoseg.training import distributed as processes
    from sonoseg.training import train as training
    from sonoseg.training.device import emulation_warning
    from sonoseg.training.recipe import load_recipe

    with processes.job():
        if resume:
            plan, prepared, parts, fold = training.resume_run(to)
            if recipe is not None or change or data is not None or split is not None:
                raise UsageError(
                    "a resumed run uses what it was started with", remedy="Give only --resume and --out"
                )
        elif recipe is None or data is None or split is None:
            raise UsageError(
                "a new run needs --recipe, --data and --split", remedy="To continue one: --resume --out RUN"
            )
        else:
            plan, prepared = load_recipe(recipe, change or []), PreparedSet.open(data)
            parts = Split.load(split)
        for line in (processes.note(plan.batch), emulation_warning(plan.precision, device.value)):
            if line and processes.is_main():
                err.print(line, soft_wrap=True)
        with _EpochProgress(plan.epochs, quiet=not processes.is_main()) as bar:
            model = training.train(
                plan, prepared, parts, to, fold=fold, resume=resume, device=device.value, report=bar.report
            )
        if processes.is_main():
            chosen = model.card.results[0]
            out.print(
                f"{model.folder}: {model.card.name}, validation Dice {chosen.value:.3f} (n = {chosen.n}) at "
                f"threshold {model.card.threshold:g}, best epoch {model.card.training['best_epoch']}"
            )


class _EpochProgress:
    """A progress bar on a terminal, and a line per epoch."""

    def __init__(self, epochs: int, *, quiet: bool) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.epochs, self.quiet = epochs, quiet
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.bar = Progress(*columns, console=err, transient=True, disable=quiet or not err.is_terminal)
        self.task = self.bar.add_task("training", total=None)

    def __enter__(self) -> _EpochProgress:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def report(self, epoch: int, step: int, steps: int, ended: dict[str, Any] | None) -> None:
        """Show a step; `ended` holds the epoch's log entries after its last one."""
        title, total = f"epoch {epoch + 1}/{self.epochs}", self.epochs * steps
        self.bar.update(self.task, description=title, total=total, completed=epoch * steps + step)
        if ended and not self.quiet:
            train, validation = ended["train"], ended["validation"]
            line = (
                f"epoch {epoch + 1:3d}/{self.epochs}  loss {train['loss']:.4f}  validation loss "
                f"{validation['loss']:.4f}  Dice {validation['dice']:.3f}  IoU {validation['iou']:.3f}"
            )
            if validation["false_positive_rate"] is not None:
                line += f"  false positives {validation['false_positive_rate']:.0%}"
            speed = train["images_per_second"]
            err.print(line + (f"  {speed:.1f} images/s" if speed else ""))
