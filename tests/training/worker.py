"""One worker of a training: `python -m tests.training.worker SEEN ARGUMENTS ...`, and a cluster in TF_CONFIG.

It is `tf_ccvae.fit`, except that it writes the rows of the training split that it has read to the file SEEN, in order.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

from tf_ccvae import fit
from tf_ccvae.data import sources


class Recorded:
    """An array that keeps which rows were read."""

    def __init__(self, array):
        self.array = array
        self.shape = array.shape
        self.rows = []

    def __len__(self):
        return len(self.array)

    def __getitem__(self, rows):
        self.rows += list(map(int, rows))
        return self.array[rows]


def main(seen, arguments):
    load, recorded = sources.load, []

    def load_recorded(*arguments, **keywords):
        dataset = load(*arguments, **keywords)
        recorded.append(Recorded(dataset.train.images))
        return replace(dataset, train=replace(dataset.train, images=recorded[0]))

    sources.load = load_recorded
    code = fit.main(arguments)
    Path(seen).write_text(json.dumps(recorded[0].rows))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
