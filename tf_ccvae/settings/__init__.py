"""Settings: frozen, typed models; a YAML file in, overrides from the command line on top, resolved YAML out.

A setting is written `training.learning_rate` in a YAML file and `--training.learning-rate` on the command line. Values
are written alike in both places: `0.05`, `1e-3`, `true`, `null`, `[32, 64]`. Anything unknown, of the wrong type or
impossible is refused by one line which names the setting. Paths are relative to the current directory, wherever the
file that holds them is. Nothing here imports TensorFlow.
"""

from tf_ccvae.settings.base import Settings
from tf_ccvae.settings.checks import check_data, check_labels, check_strategy, number_of_latents
from tf_ccvae.settings.command_line import Command, parse, read
from tf_ccvae.settings.errors import ConfigError
from tf_ccvae.settings.schema import Config, Data, flatten

__all__ = [
    "Command",
    "Config",
    "ConfigError",
    "Data",
    "Settings",
    "check_data",
    "check_labels",
    "check_strategy",
    "flatten",
    "number_of_latents",
    "parse",
    "read",
]
