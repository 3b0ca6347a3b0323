"""Is the critic by hand as fast as one made of Keras's layers? `python -m benchmarks.critic`

A step is what the penalty adds to training: `models.independence.Critic` on a batch, and the gradients of penalty and
loss with respect to latents and weights, at 18 binary labels and 45 latents. Three critics take 50 steps each in turn:

- by hand: `Critic` as it is;
- Dense: the same networks as `keras.Sequential` of `keras.layers.Dense`; the pass whose gradient must not reach the
  weights is `stateless_call` on weights behind `stop_gradient`;
- EinsumDense: a network of its own for each label, all of them as one `keras.layers.EinsumDense` a layer. It has other
  weights than the critic by hand, and more.

What counts is processor time of all threads, so that other programs on the machine disturb little.
"""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.common import keep, machine, parser_of, table

if TYPE_CHECKING:
    import keras

    from tf_ccvae.models.independence import Critic

LABELS, LATENTS = 18, 45


def dense(units: int, outputs: int) -> "list[keras.layers.Layer]":
    import keras

    sizes = ((units, "relu"), (units, "relu"), (outputs, None))
    return [keras.layers.Dense(size, activation, kernel_initializer="he_normal") for size, activation in sizes]


def einsum_dense(units: int, outputs: int) -> "list[keras.layers.Layer]":
    """Takes (rows, labels, inputs): each label has a kernel of its own."""
    import keras

    sizes = ((units, "relu"), (units, "relu"), (outputs, None))
    return [
        keras.layers.EinsumDense(
            "nli,lio->nlo", (LABELS, size), activation=activation, bias_axes="lo", kernel_initializer="he_normal"
        )
        for size, activation in sizes
    ]


def of_layers(make: "Callable[[int, int], list[keras.layers.Layer]]", by_label: bool) -> "Critic":
    """A critic whose networks are Keras's layers.

    Args:
      make: (units, outputs) -> layers of a network.
      by_label: whether they take (rows, labels, inputs) in place of (rows x labels, inputs).
    """
    import keras
    import tensorflow as tf

    from tf_ccvae.labels import Labels
    from tf_ccvae.models import independence

    class OfLayers(independence.Critic):
        def _network(self, inputs: int, units: int, outputs: int, name: str) -> "list[keras.Variable]":
            network = keras.Sequential(make(units, outputs), name=name)
            network.build((None, LABELS, inputs) if by_label else (None, inputs))
            self.networks = {**getattr(self, "networks", {}), id(network.weights[0]): network}
            return list(network.weights)

        def log_probabilities(self, inputs: tf.Tensor, weights: "Sequence[tf.Tensor | keras.Variable]") -> tf.Tensor:
            if by_label:
                inputs = tf.reshape(inputs, [-1, LABELS, inputs.shape[-1]])
            trained = id(weights[0]) in self.networks
            network = self.networks[id(weights[0] if trained else self.with_latents[0])]
            logits = network(inputs) if trained else network.stateless_call(weights, [], inputs)[0]
            return tf.nn.log_softmax(tf.reshape(logits, [-1, LABELS, self.labels.values]), axis=-1)

    return OfLayers(Labels.of_binary(f"label{i}" for i in range(LABELS)), LATENTS)


def step_of(critic: "Critic", batch: int) -> Callable[[], object]:
    """A compiled step of a critic, that has been taken once."""
    import tensorflow as tf

    critic.build()
    weights = [*critic.with_latents, *critic.without]
    latents = tf.random.stateless_normal([batch, LATENTS], [0, 0])
    values = tf.cast(tf.random.stateless_uniform([batch, LABELS], [0, 1]) > 0.5, tf.int32)
    observed = tf.fill([batch, LABELS], True)

    @tf.function
    def step() -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(latents)
            penalty, loss = critic(latents, values, observed)
            total = tf.reduce_mean(penalty) + tf.reduce_mean(loss)
        return tape.gradient(total, [latents, *(weight.value for weight in weights)])

    taken = step()
    assert all(gradient is not None for gradient in taken)
    return lambda: step()[0].numpy()


def processor_times(steps: dict[str, Callable[[], object]], count: int, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of processor time of a step, by critic and round; the critics take turns."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            before = time.process_time()
            for _ in range(count):
                step()
            times[name].append(1000 * (time.process_time() - before) / count)
    return times


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=50, help="of each critic in a round")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    from tf_ccvae.support.startup import prepare

    prepare()
    from tf_ccvae.labels import Labels
    from tf_ccvae.models.independence import Critic

    critics = {
        "by hand": Critic(Labels.of_binary(f"label{i}" for i in range(LABELS)), LATENTS),
        "Dense": of_layers(dense, by_label=False),
        "EinsumDense": of_layers(einsum_dense, by_label=True),
    }
    steps = {name: step_of(critic, arguments.batch) for name, critic in critics.items()}
    processor_times(steps, arguments.steps, 1)  # not counted: threads and memory are made
    times = processor_times(steps, arguments.steps, arguments.rounds)
    hand = np.array(times["by hand"])
    results = {
        name: {"median": float(np.median(of)), "ratio": float(np.median(np.array(of) / hand))}
        for name, of in times.items()
    }
    where = machine()
    text = table(
        ["critic", "ms of processor time a step", "over the critic by hand"],
        [[name, f"{row['median']:.2f}", f"{row['ratio']:.2f}"] for name, row in results.items()],
    )
    page = "\n".join(
        [
            *("# The critic by hand and of Keras's layers", ""),
            *("Made by `python -m benchmarks.critic`; see its docstring.", f"Machine: {where}", ""),
            *(f"Batch {arguments.batch}, median of {arguments.rounds} rounds of {arguments.steps} steps:", "", text),
        ]
    )
    keep(arguments.results, "critic", {"machine": where, "results": results}, page)
    print(page)


if __name__ == "__main__":
    main()
