#!/usr/bin/env bash
# Lightning's WeightAveraging leaves a model with its last weights, not the averaged ones, where a fit is resumed
# from a checkpoint of its last step.
#
# Versions:  lightning 2.6.6, torch 2.13.0
# Seen:      one weight, which each step raises by 1, averaged with a decay of 0.5, for ten steps:
#              a fit of ten steps                        9.002, the averaged weight
#              the checkpoint of its last step           9.002, as its state_dict
#              a fit of ten steps, resumed from it       10.0, the weight of step ten, without a warning
#              a fit of eleven steps, resumed from it    10.001, the averaged weight of eleven
# Why:       loading puts the current weights into the model, and on_train_end puts the averaged ones there. A fit
#            that has no step left calls neither on_train_start nor on_train_end. So a training that is killed
#            between its last checkpoint and what is done with the model ends with other weights when it is resumed.
# Do:        hand the averaged weights over in on_fit_end, too, which is called either way.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"${PYTHON:-python3}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet torch==2.13.0 lightning==2.6.6 numpy==2.4.6
cd "$dir"
cat > resumed.py <<'PYTHON'
import logging
import warnings

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
warnings.simplefilter("ignore")


class One(LightningModule):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def training_step(self, batch):
        return -self.weight.sum()  # its gradient is -1

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1.0)


class SaveAtTen(Callback):
    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == 10:
            trainer.save_checkpoint("ten.ckpt")


def weight_after(steps, checkpoint=None):
    model = One()
    trainer = Trainer(
        accelerator="cpu",
        max_steps=steps,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[EMAWeightAveraging(decay=0.5), SaveAtTen()],
    )
    batches = torch.utils.data.DataLoader(torch.zeros(100, 1), batch_size=1)
    trainer.fit(model, batches, ckpt_path=checkpoint)
    return round(model.weight.item(), 3)


print("ten steps", weight_after(10))
saved = torch.load("ten.ckpt", weights_only=True)["state_dict"]["weight"].item()
print("the checkpoint", round(saved, 3))
print("ten steps, resumed", weight_after(10, "ten.ckpt"))
print("eleven steps, resumed", weight_after(11, "ten.ckpt"))
PYTHON
venv/bin/python -c 'import lightning, torch; print("lightning", lightning.__version__, "torch", torch.__version__)'
seen=$(venv/bin/python resumed.py)
echo "$seen"
expected='ten steps 9.002
the checkpoint 9.002
ten steps, resumed 10.0
eleven steps, resumed 10.001'
if [[ $seen != "$expected" ]]; then
  echo "CHANGED: no longer as the header of this script states" >&2
  exit 1
fi
echo "As stated: resumed after its last step, the model has the weights of that step."
