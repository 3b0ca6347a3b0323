"""Numbers that are far from the others, which may be mistakes or stand for something else, such as 999 for unknown."""

from collections.abc import Mapping

import numpy as np

from tf_ccvae.labels import Labels

FAR = 5.0  # times the distance between the quartiles, beyond them


def far_away(labels: Labels, values: Mapping[str, np.ndarray]) -> list[str]:
    """One sentence for each number label that has numbers far away from its training values.

    Args:
      labels: what the labels are.
      values: for `train` and other splits, (examples, labels).
    """
    notes = []
    for i in labels.numbers:
        train = values["train"][:, i]
        train = train[~np.isnan(train)]
        if not len(train):
            continue
        low, high = np.quantile(train, [0.25, 0.75])
        reach = FAR * (high - low)
        usual = train[(train >= low - reach) & (train <= high + reach)]
        for split, rows in values.items():
            column = rows[:, i]
            far = column[(column < low - reach) | (column > high + reach)]
            if len(far) and reach > 0:
                examples = "example" if len(far) == 1 else "examples"
                notes.append(
                    f"label {labels.names[i]!r} is {far[0]:g} in {split}, far outside the other training values "
                    f"({usual.min():g} to {usual.max():g}; {len(far):,} such {examples}); correct what is a mistake, "
                    "and leave empty what is not known"
                )
    return notes
