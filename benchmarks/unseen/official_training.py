"""Trains the official PyTorch program for some seconds; `benchmarks.unseen.official` runs this in a process of its own.

The program's own model, loss, optimizer, batch size and learning rate, on arrays instead of CelebA. Nothing of
TensorFlow is imported, so that it has the machine to itself.
"""

import argparse
import math
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import official_program
from export.import_pytorch import PARTS
from tf_ccvae.support.files import write_json

LATENTS, BATCH, RATE = 45, 200, 1e-4  # the program's defaults


def train(program: Any, images: np.ndarray, values: np.ndarray, seconds: float, seed: int) -> tuple[Any, int, float]:
    """Labelled steps, over all images in a new order again and again, until the time is over.

    Args:
      program: the class of the program's model.
      images: uint8 (examples, height, width, 3).
      values: (examples, labels), each 0 or 1.
      seconds: of training; at least one step is taken.
      seed: of weights, order and draws.

    Returns:
      The model, the number of steps and the seconds that they took.

    Raises:
      SystemExit: the loss is not finite.
    """
    import torch

    torch.manual_seed(seed)
    torch.set_num_threads(os.cpu_count() or 1)
    x = torch.tensor(images.transpose(0, 3, 1, 2) / np.float32(255))
    y = torch.tensor(values, dtype=torch.float32)
    prior = y.mean(0, keepdim=True).clamp(1e-3, 1 - 1e-3)
    model = program(LATENTS, y.shape[1], tuple(x.shape[1:]), False, lambda: prior)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    steps, started = 0, time.perf_counter()
    while True:
        for rows in torch.randperm(len(x)).split(BATCH):
            loss = model.sup(x[rows], y[rows])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            steps += 1
            if not math.isfinite(loss.item()):
                raise SystemExit(f"error: --official: the loss of that program is not finite after {steps} steps")
            if time.perf_counter() - started >= seconds:
                return model, steps, time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="uint8 (examples, height, width, 3) as .npy")
    parser.add_argument("values", type=Path, help="(examples, labels), each 0 or 1, as .npy")
    parser.add_argument("--official", type=Path, required=True, help="checkout of github.com/thwjoy/ccvae_pytorch")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--to", type=Path, required=True, help="folder for weights and trained.json, which is last")
    arguments = parser.parse_args()
    program = official_program(str(arguments.official))
    import torch

    images, values = np.load(arguments.images), np.load(arguments.values)
    model, steps, seconds = train(program, images, values, arguments.seconds, arguments.seed)
    for part in PARTS:
        torch.save(getattr(model, part).state_dict(), arguments.to / f"{part}.pt")
    write_json(arguments.to / "trained.json", {"steps": steps, "seconds": seconds})


if __name__ == "__main__":
    main()
