"""One stage of a training as a Lightning module: a step, a validation, an optimiser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from wsi_seg.data.sources import IGNORE
from wsi_seg.evaluation.metrics import VALUES, Confusion, count_pairs
from wsi_seg.inference.network.pixels import Normalisation, best_channel
from wsi_seg.models.biopsy import diagnoses
from wsi_seg.training.data.augment import Augmentation
from wsi_seg.training.engine.loss import SegmentationLoss, diagnosis_loss
from wsi_seg.training.engine.parts import Parts
from wsi_seg.training.engine.step_graphs import Recorded

if TYPE_CHECKING:
    from wsi_seg.models.header import InputSpec
    from wsi_seg.models.network import Network
    from wsi_seg.training.data.draws import Draw
    from wsi_seg.training.recipe import OptimiserRecipe, Recipe


class SegmentationModule(LightningModule):
    """Trains a network on draws.

    Parameters
    ----------
    network : Network
    spec : InputSpec
        How pixels are normalised.
    weights : Tensor or None
        Class weights of the loss.
    recipe : Recipe
    beyond : int
        Class index of pixels outside the scanned fields.
    """

    def __init__(
        self,
        network: Network,
        spec: InputSpec,
        weights: Tensor | None,
        recipe: Recipe,
        beyond: int = IGNORE,
    ) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.confusion = Confusion.empty(network.config.classes)
        self.diagnoses = Confusion.empty(count_diagnoses(network))
        self._pairs: list[Tensor] = []
        self._spec, self._recipe, self._beyond = spec, recipe, beyond
        self._loss = SegmentationLoss(weights, recipe.loss.dice)
        self._augmentations: dict[tuple[int, int], Augmentation] = {}
        self._normalisations: dict[torch.device, Normalisation] = {}
        self._computed: Parts | Recorded | None = None

    def forward(self, rgb: Tensor) -> Tensor:
        """Return the logits for pixel values of 0 to 255, shape (N, 3, H, W)."""
        logits: Tensor = self.network(self._normalised(rgb))
        return logits

    def training_step(self, batch: Draw, batch_idx: int) -> Tensor:
        """Augment a batch and return its loss."""
        # Each step has a seed of its own, so that a resumed training augments as an uninterrupted one.
        number = self.trainer.global_step * self.trainer.world_size + self.trainer.global_rank
        generator = torch.Generator().manual_seed(self._recipe.training.seed * 1_000_003 + number)
        with torch.autocast(self.device.type, enabled=False):
            rgb, classes = self._augmentation(batch.rgb)(batch.rgb, batch.classes, generator)
        return self._loss_of(self._normalised(rgb), classes, batch.diagnosis)

    def _loss_of(self, *batch: Tensor) -> Tensor:
        """Return the loss of normalised images, in the way that is fastest on the device."""
        parts, on_cpu = self._recipe.training.batch_parts, self.device.type == "cpu"
        # Several processes must not wait for one that records. And gradients that are computed with the loss
        # come too early to be scaled for float16.
        recorded = not on_cpu and self.trainer.world_size == 1 and self.trainer.precision != "16-mixed"
        if not recorded and not (on_cpu and parts > 1):
            return self._training_loss(self.network, *batch)
        if self._computed is None:
            self._computed = (
                Parts(self.network, self._training_loss, parts)
                if on_cpu
                else Recorded(self.network, self._training_loss)
            )
        return self._computed(*batch)

    def _training_loss(
        self, network: nn.Module, images: Tensor, classes: Tensor, diagnosis: Tensor
    ) -> Tensor:
        return self._compared(*look(network, images), classes, diagnosis)

    def _compared(
        self, logits: Tensor, diagnosed: Tensor | None, classes: Tensor, diagnosis: Tensor
    ) -> Tensor:
        """Return the loss of a network's output: of the classes, plus that of the diagnoses."""
        loss: Tensor = self._loss(logits, classes)
        if diagnosed is None:
            return loss
        return loss + self._recipe.loss.diagnosis * diagnosis_loss(diagnosed, diagnosis)

    def _normalised(self, rgb: Tensor) -> Tensor:
        if rgb.device not in self._normalisations:
            self._normalisations[rgb.device] = Normalisation(self._spec, rgb.device)
        return self._normalisations[rgb.device](rgb)

    def on_train_end(self) -> None:
        """Release threads or recorded graphs."""
        self._computed = None

    def on_validation_epoch_start(self) -> None:
        """Begin with no pixels."""
        self._pairs = [torch.zeros((VALUES, VALUES), dtype=torch.int64, device=self.device) for _ in range(2)]

    def validation_step(self, batch: Draw, batch_idx: int) -> None:
        """Compare a batch with its truth."""
        logits, diagnosed = look(self.network, self._normalised(batch.rgb))
        known = int((batch.classes != IGNORE).sum())
        loss = self._compared(logits, diagnosed, batch.classes, batch.diagnosis)
        self.log("val_loss", loss, batch_size=max(known, 1), sync_dist=True, logger=False)
        pixels, pictures = self._pairs
        pixels += pairs_of(batch.classes, predicted(logits, batch.classes.shape[-1]))
        if diagnosed is not None:
            pictures += pairs_of(batch.diagnosis, diagnosed.argmax(1))

    def on_validation_epoch_end(self) -> None:
        """Sum over all processes."""
        pixels, pictures = self._pairs
        self.confusion = self._summed(pixels, len(self.confusion.counts))
        self.log("val_miou", self.confusion.mean_iou, sync_dist=True, logger=False)
        diagnoses = count_diagnoses(self.network)
        if diagnoses:
            self.diagnoses = self._summed(pictures, diagnoses)
            self.log("val_diagnosis", self.diagnoses.pixel_accuracy, sync_dist=True, logger=False)

    def _summed(self, pairs: Tensor, classes: int) -> Confusion:
        pairs = self.trainer.strategy.reduce(pairs, reduce_op="sum")
        assert isinstance(pairs, Tensor)
        return Confusion.of_pairs(pairs.cpu().numpy(), classes)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Make the recipe's optimiser; the learning rate is set before each step."""
        return make_optimiser(self.network, self._recipe.optimiser)

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Bound the gradients' norm; Lightning refuses to where an optimiser takes all weights in one go."""
        if gradient_clip_val:
            nn.utils.clip_grad_norm_(self.network.parameters(), gradient_clip_val)

    def _augmentation(self, rgb: Tensor) -> Augmentation:
        """Return the augmentation for draws of this size: patches are read larger than they are used."""
        data = self._recipe.data
        height, width = rgb.shape[-2:]
        size = (data.patch, data.patch) if data.sampling == "patches" else (height, width)
        return self._augmentations.setdefault(size, Augmentation(self._recipe.augment, size, self._beyond))


def look(network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return the logits for normalised images, and those of the diagnoses if the network makes any."""
    return network.diagnose(images) if diagnoses(network) else (network(images), None)


def count_diagnoses(network: nn.Module) -> int:
    """Return the number of diagnoses of a network; 0 if it makes none."""
    return network.config.diagnoses or 0 if diagnoses(network) else 0


def predicted(logits: Tensor, width: int) -> Tensor:
    """Return class indices at full size, uint8 (N, H, W), of logits."""
    return best_channel(logits.float(), width // logits.shape[-1], margin=0)


def pairs_of(truth: Tensor, found: Tensor) -> Tensor:
    """Count pairs of classes on their device, as `count_pairs` does; both tensors stay unchanged."""
    return count_pairs(truth.to(torch.int64, copy=True), found, torch.bincount)


def make_optimiser(network: nn.Module, recipe: OptimiserRecipe) -> torch.optim.Optimizer:
    """Make an optimiser over all of a network's parameters."""
    parameters = list(network.parameters())
    # On a CPU all weights in one go take a fifth of the time; on a GPU it is PyTorch that chooses.
    fused = True if parameters[0].device.type == "cpu" else None
    rate, decay = recipe.learning_rate, recipe.weight_decay
    match recipe.name:
        case "adam":
            return torch.optim.Adam(parameters, rate, recipe.betas, weight_decay=decay, fused=fused)
        case "sgd":
            return torch.optim.SGD(parameters, rate, recipe.momentum, weight_decay=decay, fused=fused)
        case "adamw":
            groups: list[dict[str, Any]] = [
                {"params": [p for p in parameters if p.ndim > 1]},
                {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
            ]
            return torch.optim.AdamW(groups, rate, recipe.betas, weight_decay=decay, fused=fused)
