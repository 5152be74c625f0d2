"""The training loop, on Accelerate: one process or many, CPU or GPU, resumable at any step.

Every random draw comes from a seed of (run, epoch, step), so a checkpoint needs no generator's state: a run
that was killed and resumed ends, on a CPU, with the weights of an unbroken one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState
from accelerate.utils import broadcast, set_seed
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from sonoseg._util.text import first_line
from sonoseg.errors import SonosegError, TrainingError
from sonoseg.networks.presets import build
from sonoseg.training.batch_augmentation import apply, draw
from sonoseg.training.batches import TrainingImages, seed_for
from sonoseg.training.checkpoint import load_checkpoint, save_checkpoint
from sonoseg.training.computing_precision import computed
from sonoseg.training.distributed import lost_another
from sonoseg.training.epoch_metrics import Score
from sonoseg.training.image_augmentation import dresser
from sonoseg.training.initial_weights import start_network
from sonoseg.training.losses import image_losses
from sonoseg.training.recipe import OptimiserOptions, Recipe
from sonoseg.training.run_folder import Run
from sonoseg.training.synchronised_norm import count_images, join_norms

Report = Callable[[int, int, int, dict[str, Any] | None], None]


@dataclass
class Progress:
    """Where a run stands: the next step to take, sums of the epoch under way, what is done."""

    epoch: int = 0
    step: int = 0
    sums: Tensor | None = None
    seconds: float = 0.0
    best_epoch: int = -1
    best_dice: float = -1.0
    history: list[dict[str, Any]] = field(default_factory=list)


class Trainer:
    """Trains one network by a recipe; what it learns lies in the run folder.

    train, validation: the images of two parts of the split. report: called after each step with the epoch,
    the step, the number of steps and, at an epoch's end, its log entries.
    """

    def __init__(
        self,
        recipe: Recipe,
        train: TrainingImages,
        validation: TrainingImages,
        run: Run,
        *,
        device: str = "auto",
        report: Report | None = None,
    ) -> None:
        self.recipe, self.train_images, self.validation_images, self.run = recipe, train, validation, run
        self.report = report or (lambda *_: None)
        cpu = device == "cpu" or no_gpu(device)
        self.precision = computed(recipe.precision, PartialState(cpu=cpu).device)
        # Accelerate keeps its settings for the process; a second run in it may want others.
        AcceleratorState._reset_state()
        mixed = "bf16" if self.precision == "bf16" else "no"
        self.accelerator = Accelerator(mixed_precision=mixed, cpu=cpu)
        self.device = self.accelerator.device
        set_seed(recipe.seed)
        network = build(recipe.network)
        start_network(network, recipe)
        network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if self.accelerator.num_processes > 1:
            if self.device.type == "cuda":  # torch's own is the quicker one, and for CUDA only
                network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
            else:
                join_norms(network)
        self.ema: AveragedModel | None = None
        if recipe.optimiser.ema:
            # Buffers (running means) are averaged too: they belong to the averaged weights.
            average = get_ema_multi_avg_fn(recipe.optimiser.ema)  # type: ignore[no-untyped-call]
            self.ema = AveragedModel(network, multi_avg_fn=average, use_buffers=True)
        optimiser = make_optimiser(network, recipe.optimiser)
        self.network, self.optimiser = self.accelerator.prepare(network, optimiser)
        self.progress = Progress()
        self.steps = math.ceil(len(train) / recipe.batch)

    @property
    def plain(self) -> nn.Module:
        """The network without the wrappers of Accelerate."""
        unwrapped: nn.Module = self.accelerator.unwrap_model(self.network)
        return unwrapped

    @property
    def judged(self) -> nn.Module:
        """The network that is validated and kept: the averaged one where the recipe averages."""
        return self.ema.module if self.ema is not None else self.plain

    def fit(self) -> Progress:
        """Train to the recipe's last epoch. Raises TrainingError, OutputError."""
        saved = time.monotonic()
        while self.progress.epoch < self.recipe.epochs:
            p = self.progress
            score, order = Score(p.sums), self.train_images.order(self.recipe.seed, p.epoch)
            self.network.train()
            while p.step < self.steps:
                began = time.monotonic()
                self._step(order[p.step * self.recipe.batch :][: self.recipe.batch], score)
                p.step, p.sums = p.step + 1, score.sums
                p.seconds += time.monotonic() - began
                self.report(p.epoch, p.step, self.steps, None)
                if self._due(saved) and p.step < self.steps:
                    self.save()
                    saved = time.monotonic()
            self._end_epoch(score)
            saved = time.monotonic()
        return self.progress

    def _due(self, saved: float) -> bool:
        """Whether a checkpoint is due; process 0's clock says so, for all take part in one."""
        due = time.monotonic() - saved > 60 * self.recipe.checkpoint_minutes
        if self.accelerator.num_processes == 1:
            return due
        return bool(broadcast(torch.tensor([int(due)], device=self.device))[0])

    def _step(self, which: Any, score: Score) -> None:
        """One step on the images `which` of the whole batch; each process takes its share of them."""
        p, share = self.progress, slice(self.accelerator.process_index, None, self.accelerator.num_processes)
        torch.manual_seed(seed_for(self.recipe.seed, p.epoch, p.step, self.accelerator.process_index))
        mine = which[share]
        if self.accelerator.num_processes > 1:
            count_images(self.network, len(mine) > 0)
        try:
            # Without an image of a short last batch a process takes part with one that weighs nothing.
            images, masks = self._prepare(which, share if len(mine) else slice(1), p.epoch, p.step)
            rate = set_rate(self.optimiser, self.recipe, p.epoch + p.step / self.steps)
            self.optimiser.zero_grad()
            outputs = self.network(images)
            losses = image_losses(outputs, masks, self.recipe.loss) * (1 if len(mine) else 0)
            # Accelerate averages over processes: weigh each by its images, so the mean is over images.
            loss = losses.sum() * self.accelerator.num_processes / len(which)
            if not bool(torch.isfinite(loss)):
                raise self._diverged(mine, rate)
            self.accelerator.backward(loss)
            if self.recipe.optimiser.clip:
                self.accelerator.clip_grad_norm_(self.network.parameters(), self.recipe.optimiser.clip)
            self.optimiser.step()
        except SonosegError:
            raise
        except Exception as error:
            if lost_another(error):
                raise
            names = ", ".join(self.train_images.ids[i] for i in mine[:4])
            raise TrainingError(
                f"{type(error).__name__}: {first_line(error)}",
                where=f"epoch {p.epoch + 1}, step {p.step + 1} ({names}, ...)",
                remedy="The last good checkpoint is intact: mend the cause and go on with --resume",
            ) from error
        if self.ema is not None:
            self.ema.update_parameters(self.plain)
        if len(mine):
            score.add(losses, outputs.logit, masks)

    def _prepare(self, which: Any, share: slice, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        """The images of this process's share, augmented and scaled for the network."""
        options, seed = self.recipe.augmentation, (self.recipe.seed, epoch, step)
        # Drawn for the whole batch, so that the number of processes does not change what is drawn.
        places = np.arange(len(which))[share]
        pairs = self.train_images.take(
            which[share], dresser(options, seed, places, self.train_images.any)
        ).to(self.device)
        if options.active and len(pairs):
            generator = torch.Generator().manual_seed(seed_for(*seed, 1 << 20))
            pairs = apply(draw(options, len(which), generator)[share].to(self.device), pairs)
        return self._scaled(pairs[:, :1]), pairs[:, 1:]

    def _scaled(self, images: Tensor) -> Tensor:
        data = self.recipe.data
        scaled = (images - data.mean) / data.std
        return scaled.expand(-1, self.recipe.network.channels, -1, -1).contiguous(
            memory_format=torch.channels_last
        )

    def _diverged(self, mine: Any, rate: float) -> TrainingError:
        p = self.progress
        return TrainingError(
            f"the loss is no longer a number (learning rate {rate:.3g})",
            where=f"epoch {p.epoch + 1}, step {p.step + 1} "
            f"({', '.join(self.train_images.ids[i] for i in mine[:8])})",
            remedy="The last good checkpoint is intact: start again with a lower optimiser.rate, "
            "or with optimiser.clip=1",
        )

    def _end_epoch(self, score: Score) -> None:
        """Validate, log, keep the best, save."""
        p = self.progress
        validated, seconds = self.validate()
        means = Score(self._summed(score.sums)).means()
        number = p.epoch + 1
        speed = len(self.train_images) / p.seconds if p.seconds else None
        entries = [
            {"epoch": number, "split": "train", **means, "seconds": p.seconds, "images_per_second": speed},
            {"epoch": number, "split": "validation", **validated, "seconds": seconds},
        ]
        p.history += entries
        dice = validated["dice"] or 0.0
        if dice > p.best_dice:
            p.best_dice, p.best_epoch = dice, number
            if self.accelerator.is_main_process:
                save_checkpoint(self.run.best, {"network": self.judged.state_dict(), "epoch": number})
        p.epoch, p.step, p.sums, p.seconds = p.epoch + 1, 0, None, 0.0
        self.save()
        if self.accelerator.is_main_process:
            self.run.write_log(p.history)
        self.report(p.epoch - 1, self.steps, self.steps, {"train": entries[0], "validation": entries[1]})

    def _summed(self, sums: Tensor) -> Tensor:
        if self.accelerator.num_processes == 1:
            return sums
        # Sums of one process are float64; GPUs of some makers have none.
        total = self.accelerator.reduce(sums.float().to(self.device), reduction="sum")
        return torch.as_tensor(total).double().cpu()

    @torch.no_grad()
    def validate(self) -> tuple[dict[str, float | None], float]:
        """Scores of the judged network on the validation part, and the seconds it took."""
        began, score, images = time.monotonic(), Score(), self.validation_images
        for logit, target in self.predict(images):
            losses = image_losses_of(logit, target, self.recipe)
            score.add(losses, logit, target)
        self.judged.train()
        means = Score(self._summed(score.sums)).means()
        return means, time.monotonic() - began

    @torch.no_grad()
    def predict(self, images: TrainingImages) -> Any:
        """Yield logits and targets, float (n, 1, S, S), of this process's share of `images`, in batches."""
        self.judged.eval()
        count = self.accelerator.num_processes
        mine = torch.arange(self.accelerator.process_index, len(images), count).numpy()
        for start in range(0, len(mine), self.recipe.batch):
            pairs = images.take(mine[start : start + self.recipe.batch]).to(self.device)
            with self.accelerator.autocast():
                logit = self.judged(self._scaled(pairs[:, :1])).logit
            yield logit.float(), pairs[:, 1:]

    def save(self) -> None:
        """Write the checkpoint from which `resume` goes on."""
        p = self.progress
        sums = None if p.sums is None else self._summed(p.sums)
        if not self.accelerator.is_main_process:
            return
        save_checkpoint(
            self.run.last,
            {
                "network": self.plain.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "ema": None if self.ema is None else self.ema.state_dict(),
                "progress": {**vars(p), "sums": sums},
            },
        )

    def resume(self) -> None:
        """Go back to where the last checkpoint stood. Raises TrainingError."""
        state = load_checkpoint(self.run.last)
        try:
            self.plain.load_state_dict(state["network"])
            self.optimiser.load_state_dict(state["optimiser"])
            if self.ema is not None:
                self.ema.load_state_dict(state["ema"])
            self.progress = Progress(**state["progress"])
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise TrainingError(
                f"the checkpoint does not fit this run ({first_line(error)})", where=self.run.last
            ) from error
        if self.progress.sums is not None:
            # One process carries what all had summed up; the others start from nothing.
            first = self.accelerator.is_main_process
            self.progress.sums = self.progress.sums.cpu() * (1 if first else 0)

    def keep_best(self) -> nn.Module:
        """Load the weights of the best validation Dice into the judged network, and return it."""
        self.accelerator.wait_for_everyone()  # process 0 may be writing them still
        self.judged.load_state_dict(load_checkpoint(self.run.best)["network"])
        return self.judged


def image_losses_of(logit: Tensor, target: Tensor, recipe: Recipe) -> Tensor:
    """The recipe's loss of plain logits, (N,), without the coarser outputs."""
    from sonoseg.training.losses import LOSSES

    return LOSSES[recipe.loss.kind](logit, target)


def make_optimiser(network: nn.Module, options: OptimiserOptions) -> torch.optim.Optimizer:
    """Adam, AdamW or SGD (Nesterov, 0.99 as nnU-Net); biases and normalisations do not decay.

    A group's `share` is its learning rate as a share of the recipe's: see `set_rate`.
    """
    encoder: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        inside = name.split(".")[0] in ("stem", "encoder", "bottleneck")
        (encoder if inside and options.encoder_rate != 1 else rest).append(parameter)
    groups = [
        {
            "params": [p for p in part if (p.ndim > 1) == decays],
            "weight_decay": options.weight_decay if decays else 0.0,
            "share": share,
        }
        for part, share in ((rest, 1.0), (encoder, options.encoder_rate))
        for decays in (True, False)
        if part
    ]
    if options.kind == "sgd":
        return torch.optim.SGD(groups, lr=options.rate, momentum=0.99, nesterov=True)
    if options.kind == "adamw":
        return torch.optim.AdamW(groups, lr=options.rate)
    # Keras' epsilon: the seed was trained with it, and bf16 gradients are coarse.
    return torch.optim.Adam(groups, lr=options.rate, eps=1e-7)


def set_rate(optimiser: Any, recipe: Recipe, epoch: float) -> float:
    """Set the learning rate for a moment of the run, counted in epochs, and return it (the decoder's)."""
    options = recipe.optimiser
    rate = options.rate
    if epoch < options.warmup_epochs:
        rate *= (epoch + 1e-2) / options.warmup_epochs
    elif options.schedule == "cosine":
        done = (epoch - options.warmup_epochs) / max(recipe.epochs - options.warmup_epochs, 1e-9)
        rate *= 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
    for group in optimiser.param_groups:
        # A checkpoint of before there were shares has none.
        group["lr"] = rate * group.get("share", 1.0)
    return rate


def no_gpu(device: str) -> bool:
    """Whether there is no CUDA device. Raises TrainingError where `device` asks for one."""
    if device == "cuda" and not torch.cuda.is_available():
        raise TrainingError("no CUDA device is here", remedy="Leave --device out, or say --device cpu")
    return not torch.cuda.is_available()
