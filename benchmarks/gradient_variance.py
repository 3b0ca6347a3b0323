"""How noisy is the gradient of each estimator? `python -m benchmarks.gradient_variance`

At the weights after 0 and after some epochs of training by `exact`, the gradient of the loss of one fixed batch is
drawn many times, with other noise each time. Reported per part of the model: the trace of the gradient's covariance
over the squared length of its mean (0 is noiseless), and the standard deviation of the importance weight w.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.common import PAPER_NETWORKS, keep, machine, parser_of, table
from tf_ccvae.data import avatars
from tf_ccvae.data.pipeline import evaluation_batches, training_batches
from tf_ccvae.models.ccvae import CCVAE
from tf_ccvae.objective import ESTIMATORS
from tf_ccvae.objective.classifier import label_logits
from tf_ccvae.settings import Config
from tf_ccvae.training import build


def noise_of_gradient(model: CCVAE, batch: dict[str, Any], estimator: str, draws: int) -> dict[str, float]:
    """Relative variance of the gradient of encoder and decoder, without label weight."""
    parts = {
        "encoder": model.encoder.trainable_weights + model.posterior_head.trainable_weights,
        "decoder": model.decoder.trainable_weights,
    }
    weights = [w for part in parts.values() for w in part]
    size = len(batch["index"])

    @tf.function
    def gradient(key: tf.Tensor) -> list[tf.Tensor]:
        noise = model.noise(size, estimator, 0, key)
        with tf.GradientTape() as tape:
            terms = model.terms(batch, model.encode(batch["image"]), noise, estimator)
            loss = tf.reduce_mean(terms.loss(0.0))
        return tape.gradient(loss, weights)

    total = [np.zeros(w.shape) for w in weights]
    squares = np.zeros(len(weights))
    for draw in range(draws):
        for i, part in enumerate(gradient(tf.constant(draw))):
            total[i] += np.asarray(part, np.float64)
            squares[i] += np.sum(np.square(np.asarray(part, np.float64)))
    mean_squares = np.array([np.sum(np.square(t / draws)) for t in total])
    variances = squares / draws - mean_squares
    result, start = {}, 0
    for name, part in parts.items():
        where = slice(start, start + len(part))
        start += len(part)
        variance = variances[where].sum() * draws / (draws - 1)
        result[name] = float(variance)
        result[f"{name} relative"] = float(variance / max(mean_squares[where].sum() - variance / draws, 1e-30))
    return result


def weight_deviation(model: CCVAE, batch: dict[str, Any], draws: int) -> float:
    """Standard deviation of w = q(y|z) / q(y|x) over noise and examples."""
    posterior = model.encode(batch["image"])
    values = tf.one_hot(batch["labels"], 2) * tf.cast(batch["observed"], tf.float32)[..., None]
    marginal = tf.reduce_sum(model.log_label_marginals(posterior) * values, axis=[1, 2])
    weights = []
    for draw in range(draws):
        latents = posterior.loc + posterior.scale * model.noise(len(batch["index"]), "exact", 0, draw).normal
        logits = label_logits(latents, model.label_model())
        weights.append(np.exp(tf.reduce_sum(tf.nn.log_softmax(logits) * values, axis=[1, 2]) - marginal))
    return float(np.std(weights))


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--epochs", type=int, default=2, help="of training before the second measurement")
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--estimators", nargs="+", default=list(ESTIMATORS), choices=list(ESTIMATORS))
    parser.add_argument("--examples", type=int, default=12000, help="how many faces; fewer only to try it out")
    arguments = parser.parse_args()
    dataset = avatars.load(examples=arguments.examples, progress=True)
    config = Config.model_validate(
        {"model": PAPER_NETWORKS, "training": {"batch_size": 64, "learning_rate": 1e-3, "schedule": "constant"}}
    )
    model = build.build_model(config, dataset, dataset.train)
    steps = build.steps_per_epoch(config, dataset.train)
    model.compile(optimizer=build.build_optimizer(config, steps), jit_compile=False)
    batch = next(iter(evaluation_batches(dataset.validation, 64)))
    rows, results = [], {}
    for epochs in (0, arguments.epochs):
        if epochs:
            batches = training_batches(dataset.train, 64, steps * epochs, 0)
            model.fit(batches, epochs=1, steps_per_epoch=steps * epochs, verbose=0, shuffle=False)
        deviation = weight_deviation(model, batch, arguments.draws)
        for estimator in sorted(arguments.estimators, key=ESTIMATORS.index):
            measured = noise_of_gradient(model, batch, estimator, arguments.draws)
            results[f"{estimator} after {epochs}"] = {**measured, "weight deviation": deviation}
            shown = [f"{measured[f'{part} relative']:.3g}" for part in ("encoder", "decoder")]
            exact = results.get(f"exact after {epochs}")
            ratio = f"{measured['decoder'] / exact['decoder']:.3g}" if exact else "-"
            rows.append([str(epochs), estimator, *shown, ratio, f"{deviation if estimator != 'exact' else 0:.2f}"])
    header = ["epochs", "estimator", "encoder", "decoder", "decoder variance / exact", "deviation of w"]
    title = "# Gradient noise\n\nMade by `python -m benchmarks.gradient_variance`; see its docstring.\n\n"
    text = title + table(header, rows)
    keep(arguments.results, "gradient_variance", {"machine": machine(), "results": results}, text)
    print(text)


if __name__ == "__main__":
    main()
