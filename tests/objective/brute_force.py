"""The bound and its terms written out in numpy from the model's definition.

Nothing of it is shared with `tf_ccvae.objective`.
"""

import functools
import itertools

import numpy as np

from tests.objective.small_case import (
    PIXELS,
    label_prior,
)
from tf_ccvae.labels import MISSING


def log_sum_exp(x, axis):
    top = x.max(axis, keepdims=True)
    return (top + np.log(np.exp(x - top).sum(axis, keepdims=True))).squeeze(axis)


def log_normal(x, loc, scale):
    return -0.5 * ((x - loc) / scale) ** 2 - np.log(scale) - 0.5 * np.log(2 * np.pi)


def soft_positive(raw):
    return np.maximum(np.logaddexp(0, raw), 1e-3)


def log_classifier(labels, parameters, index, own):
    """log q(y_i | z_i): latents of label `index` (n, d) -> (n, values of that label)."""
    where, count = labels.slices[index], labels.items[index].values
    logits = own @ parameters.kernel[where, : count - 1] + parameters.bias[index, : count - 1]
    logits = np.concatenate([np.zeros((len(own), 1)), logits], axis=1)
    return logits - log_sum_exp(logits, 1)[:, None]


def log_conditional_prior(labels, parameters, index, own):
    """log p(z_i | y_i): latents of label `index` (n, d) -> (n, values of that label)."""
    where = labels.slices[index]
    loc, scale = parameters.prior_loc[:, where], soft_positive(parameters.prior_raw_scale[:, where])
    count = labels.items[index].values
    return np.stack([log_normal(own, loc[v], scale[v]).sum(1) for v in range(count)], axis=1)


def weight_and_ratio(labels, parameters, image, values, z):
    """q(y_O|z) and sum_{y_M} q(y_M|z) log[ p(x|z) p(z|y) p(y_M) / (q(y|z) q(z|x)) ] at draws z: (n,) each."""
    own = [z[:, where] for where in labels.slices]
    means = z @ parameters.decoder[:-1] + parameters.decoder[-1]
    log_p_x = (-np.abs(image.reshape(PIXELS) - means) - np.log(2)).sum(1)
    log_p_style = log_normal(z[:, labels.characteristic :], 0, 1).sum(1)
    log_q_z = log_normal(z, parameters.loc[0], parameters.scale[0]).sum(1)
    log_q_y = [log_classifier(labels, parameters, i, own[i]) for i in range(len(labels))]
    log_p_z = [log_conditional_prior(labels, parameters, i, own[i]) for i in range(len(labels))]
    log_p_y = np.log(np.maximum(label_prior(labels), 1e-300))
    missing = [i for i, v in enumerate(values) if v == MISSING]
    weight = np.exp(sum(log_q_y[i][:, v] for i, v in enumerate(values) if v != MISSING))
    total = np.zeros(len(z))
    for y in itertools.product(
        *(range(x.values) if v == MISSING else [v] for x, v in zip(labels, values, strict=True))
    ):
        probability = np.exp(sum(log_q_y[i][:, y[i]] for i in missing))
        ratio = log_p_x + log_p_style - log_q_z + sum(log_p_y[i, y[i]] for i in missing)
        total += probability * (ratio + sum(log_p_z[i][:, y[i]] - log_q_y[i][:, y[i]] for i in range(len(labels))))
    return np.broadcast_to(weight, total.shape), total


def paper_bound(labels, parameters, image, values, draws, seed=0):
    """The paper's bound on log p(x, y_O) of one example, by samples of z ~ q(z|x) with weights w = q(y_O|z) / q(y_O|x).

        E_q(z|x) w sum_{y_M} q(y_M|z) log[ p(x|z) p(z|y) p(y_M) / (q(y|z) q(z|x)) ]  +  log q(y_O|x) + log p(y_O)

    Written for all latents and labels jointly, as in the paper; `values` has `MISSING` for the labels in M.

    Returns:
      Estimate and standard error (by the delta method: w contains the estimate of q(y_O|x)).
    """
    random = np.random.default_rng(seed + 300)
    chunk, results = 20_000, []
    for _ in range(draws // chunk):
        z = parameters.loc[0] + parameters.scale[0] * random.normal(size=(chunk, parameters.loc.shape[1]))
        results.append(weight_and_ratio(labels, parameters, image, values, z))
    numerator, ratio = np.concatenate(results, axis=1)
    marginal = numerator.mean()
    w = numerator / marginal
    expectation = (w * ratio).mean()
    log_p_y = sum(np.log(label_prior(labels)[i, v]) for i, v in enumerate(values) if v != MISSING)
    influence = w * (ratio - expectation) + (w - 1)
    return expectation + np.log(marginal) + log_p_y, influence.std() / np.sqrt(draws)


def standard_grid(dimensions, points):
    """Points of a tensor grid over [-8, 8] and their standard normal probabilities: (n, dimensions), (n,).

    The trapezoidal rule is exact to rounding here, as all integrands are smooth and vanish at the ends.
    """
    line = np.linspace(-8, 8, points)
    mass = np.exp(-0.5 * line**2)
    mass /= mass.sum()
    grid = np.stack(np.meshgrid(*[line] * dimensions, indexing="ij"), axis=-1).reshape(-1, dimensions)
    return grid, functools.reduce(np.multiply.outer, [mass] * dimensions).reshape(-1)


def label_integrals(labels, parameters, row, index):
    """log q(v|x) and E_{q(z_i|x)} w_v (log p(z_i|v) - log q(z_i|x) - log q(v|z_i)) of one label: (values,) each."""
    where, label = labels.slices[index], labels.items[index]
    grid, mass = standard_grid(label.latents, {1: 2001, 2: 301, 3: 81}[label.latents])
    loc, scale = parameters.loc[row, where], parameters.scale[row, where]
    own = loc + scale * grid
    log_q_y = log_classifier(labels, parameters, index, own)
    log_marginal = log_sum_exp(log_q_y + np.log(mass)[:, None], 0)
    w = np.exp(log_q_y - log_marginal)
    ratio = log_conditional_prior(labels, parameters, index, own) - log_q_y
    ratio = ratio - log_normal(own, loc, scale).sum(1)[:, None]
    return log_marginal, (mass[:, None] * w * ratio).sum(0)


def expected_label_terms(labels, parameters, values):
    """characteristic, label_marginal and label_prior, (batch, labels) each, by integrals over grids."""
    prior = label_prior(labels)
    expected = np.zeros((3, len(values), len(labels)))
    for row, index in np.ndindex(len(values), len(labels)):
        log_marginal, bracket = label_integrals(labels, parameters, row, index)
        value, log_prior = values[row][index], np.log(prior[index, : len(bracket)])
        if value == MISSING:
            share = np.exp(log_marginal)
            expected[:, row, index] = share @ bracket, 0, share @ log_prior
        else:
            expected[:, row, index] = bracket[value], log_marginal[value], log_prior[value]
    return expected


def label_terms(terms):
    return np.stack([terms.characteristic, terms.label_marginal, terms.label_prior])
