"""How far off grades are predicted, from the table of how often grade t is predicted as grade p: (values, values)."""

import numpy as np

GRADE_MEASURES = ("steps_off", "rank_correlation")


def steps_off(counts: np.ndarray) -> float:
    """Mean of |true grade - predicted grade|, in steps from one grade to the next; NaN without examples."""
    values = np.arange(len(counts))
    total = counts.sum()
    return float((counts * np.abs(values[:, None] - values)).sum() / total) if total else float("nan")


def rank_correlation(counts: np.ndarray) -> float:
    """Spearman's, equal grades sharing the mean of their ranks; NaN where true or predicted grades do not vary."""
    table = np.asarray(counts, np.float64)
    total = table.sum()
    true, predicted = (_centred_ranks(table.sum(axis)) for axis in (1, 0))
    spreads = (table.sum(1) @ true**2) * (table.sum(0) @ predicted**2)
    return float(true @ table @ predicted / np.sqrt(spreads)) if spreads > 1e-9 * total else float("nan")


def _centred_ranks(counts: np.ndarray) -> np.ndarray:
    """The mean rank of the examples of each value, less the mean rank of all: (values,)."""
    return counts.cumsum() - counts / 2 - counts.sum() / 2
