"""Weights of the official PyTorch programs to a run directory.

    python -m export.import_pytorch encoder.pt decoder.pt classifier.pt cond_prior.pt --to RUN
                                    [--labels NAME ...] [--config FILE] [--trust-pickle]

The four files are those that both programs (ccvae and ccvae_pytorch of thwjoy) save, as state dicts; the programs
themselves save pickled modules, which are read with --trust-pickle only, and then by PyTorch's restricted reader, which
makes layers of PyTorch and nothing else. Names may carry what DataParallel, DistributedDataParallel or torch.compile
put before them (`module.`, `_orig_mod.`). The run directory is accepted by intervene, evaluate and export, and `python
-m tf_ccvae.fit --resume RUN` trains on from the weights. PyTorch must be installed.

What the programs do not save is set so: p(y) is uniform and no values exclude each other, until training on data.
"""

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from export.errors import ExportError
from tf_ccvae.support.errors import UserError
from tf_ccvae.support.packages import missing_package
from tf_ccvae.support.parser import Parser, report

if TYPE_CHECKING:
    from tf_ccvae.models.ccvae import CCVAE
    from tf_ccvae.training.run_directory import Run

PARTS = ("encoder", "decoder", "classifier", "cond_prior")
WRAPPERS = ("module", "_orig_mod")  # what DataParallel and torch.compile insert into the names of weights
CELEBA = (  # the labels of both programs, in their order
    *("Arched_Eyebrows", "Bags_Under_Eyes", "Bangs", "Black_Hair", "Blond_Hair", "Brown_Hair", "Bushy_Eyebrows"),
    *("Chubby", "Eyeglasses", "Heavy_Makeup", "Male", "No_Beard", "Pale_Skin", "Receding_Hairline", "Smiling"),
    *("Wavy_Hair", "Wearing_Necktie", "Young"),
)
Weights = Mapping[str, np.ndarray]


def read(path: Path, trust_pickle: bool = False) -> dict[str, np.ndarray]:
    """The arrays of a state dict, by the names that they have without `WRAPPERS`.

    Args:
      path: what `torch.save` wrote.
      trust_pickle: also read pickled modules, of PyTorch's layers and the programs' classes alone.

    Raises:
      ExportError: there is no PyTorch or no such file, or it holds something else.
    """
    try:
        import torch
    except ImportError as error:
        raise ExportError(f"the import {missing_package('torch')}") from error
    if not path.is_file():
        raise ExportError(f"{path}: no such file")
    try:
        with torch.serialization.safe_globals(_known_classes(path) if trust_pickle else []):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except ExportError:
        raise
    except Exception as error:  # PyTorch raises many kinds, one of them for whatever is more than arrays
        if type(error).__name__ == "UnpicklingError" and not trust_pickle:
            raise ExportError(
                f"{path}: not a state dict; if it is a whole module that you trust, add --trust-pickle"
            ) from error
        raise ExportError(f"{path}: not a file of PyTorch ({error})") from error
    if isinstance(content, torch.nn.Module):
        content = content.state_dict()
    if not isinstance(content, Mapping) or not all(isinstance(x, torch.Tensor) for x in content.values()):
        raise ExportError(f"{path}: holds a {type(content).__name__} instead of a state dict")
    arrays = {_unwrapped(str(name)): value.detach().cpu().numpy() for name, value in content.items()}
    if len(arrays) < len(content):
        raise ExportError(f"{path}: holds weights with and without 'module' in their names; save only one of them")
    return arrays


def _unwrapped(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def _known_classes(path: Path) -> list[Callable[..., object] | tuple[Callable[..., object], str]]:
    """What a module of the programs is made of: PyTorch's own layers, and empty stand-ins for the programs' classes.

    Raises:
      ExportError: the file names anything else, which is not read whoever made it.
    """
    import torch

    named: list[
        Callable[..., object] | tuple[Callable[..., object], str]
    ] = []  # a class, and the name that stands for it in the file
    for name in torch.serialization.get_unsafe_globals_in_checkpoint(path):
        place, _, last = name.rpartition(".")
        if place.startswith(("torch.nn.modules.", "torch.nn.parallel.")):
            kind = getattr(importlib.import_module(place), last, None)
            if isinstance(kind, type) and issubclass(kind, torch.nn.Module):
                named.append((kind, name))
                continue
        elif place.split(".")[0] in ("models", "utils", "__main__"):
            named.append((type(last, (torch.nn.Module,), {}), name))
            continue
        raise ExportError(f"{path}: needs {name}, which is neither a layer of PyTorch nor a class of the programs")
    return named


def convert(parts: Mapping[str, Weights], labels: Sequence[str] | None = None, **settings: Any) -> "CCVAE":
    """A CCVAE with the weights of the four parts.

    Args:
      parts: arrays by `PARTS` and name.
      labels: names of the labels, in the order of the classifier; by default those of CelebA in the programs.
      settings: more arguments of `CCVAE`.

    Raises:
      ExportError: the arrays are not those of the programs' networks.
    """
    from tf_ccvae.labels import Labels
    from tf_ccvae.models.ccvae import CCVAE

    try:
        encoder = _layers(parts["encoder"], "encoder.")
        decoder = _layers(parts["decoder"], "decoder.")
        convolutions = [x for x in encoder if x[0].ndim == 4]
        names = _names(labels, len(parts["classifier"]["diag.weight"]))
        model = CCVAE(
            (4 * 2 ** (len(convolutions) - 1),) * 2 + (convolutions[0][0].shape[1],),
            Labels.of_binary(names),
            latents=decoder[0][0].shape[1],
            widths=tuple(len(x[0]) for x in convolutions[:-1]),
            hidden=len(convolutions[-1][0]),
            **settings,
        )
        _set_encoder(model, convolutions, _heads(parts["encoder"], model.latents))
        _set_decoder(model, decoder)
        _set_labels(model, parts["classifier"], parts["cond_prior"])
    except (KeyError, IndexError, ValueError) as error:
        raise ExportError(f"the weights are not those of the official networks: {error!r}") from error
    return model


def _names(labels: Sequence[str] | None, count: int) -> Sequence[str]:
    names = CELEBA if labels is None else labels
    if len(names) != count:
        raise ExportError(f"--labels: the classifier has {count} labels, {len(names)} names are given")
    return names


def _layers(weights: Weights, prefix: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weight and bias of the layers of a sequence, in order."""
    numbers = sorted({int(name.split(".")[1]) for name in weights if name.startswith(prefix)})
    return [(weights[f"{prefix}{i}.weight"], weights[f"{prefix}{i}.bias"]) for i in numbers]


def _heads(weights: Weights, latents: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weight and bias of the posterior's loc and raw scale: in the Pyro program halves of the sequence's last layer."""
    last, bias = _layers(weights, "encoder.")[-1]
    if last.ndim == 2:
        return [(last[:latents], bias[:latents]), (last[latents:], bias[latents:])]
    return [(weights[f"{name}.weight"], weights[f"{name}.bias"]) for name in ("locs", "scales")]


def _set_encoder(
    model: "CCVAE", convolutions: list[tuple[np.ndarray, np.ndarray]], heads: list[tuple[np.ndarray, np.ndarray]]
) -> None:
    layers = [*model.encoder.convolutions, model.encoder.to_features]
    for layer, (weight, bias) in zip(layers, convolutions, strict=True):
        layer.set_weights([weight.transpose(2, 3, 1, 0), bias])  # (out, in, h, w) to (h, w, in, out)
    head = model.posterior_head
    for layer, (weight, bias) in zip((head.loc, head.raw_scale), heads, strict=True):
        layer.set_weights([weight.T, bias])


def _set_decoder(model: "CCVAE", layers: list[tuple[np.ndarray, np.ndarray]]) -> None:
    (weight, bias), *convolutions = layers
    decoder = model.decoder
    decoder.to_features.set_weights([weight.T, bias])
    for layer, (weight, bias) in zip([decoder.to_image, *decoder.convolutions], convolutions, strict=True):
        layer.set_weights([weight.transpose(2, 3, 1, 0), bias])  # (in, out, h, w) to (h, w, out, in)


def _set_labels(model: "CCVAE", classifier: Weights, prior: Weights) -> None:
    layer = model.label_distributions
    layer.free_kernel.assign(classifier["diag.weight"][:, None])
    layer.free_bias.assign(classifier["diag.bias"][:, None])
    layer.set_prior(
        np.stack([prior["diag_loc_false"], prior["diag_loc_true"]]),
        np.stack([_positive(prior["diag_scale_false"]), _positive(prior["diag_scale_true"])]),
    )


def _positive(raw: np.ndarray) -> np.ndarray:
    return np.maximum(np.logaddexp(0, raw.astype(np.float64)), 1e-3)


def import_run(
    files: Sequence[Path],
    to: Path,
    labels: Sequence[str] | None = None,
    config: Path | None = None,
    trust_pickle: bool = False,
) -> "Run":
    """Makes a run directory from the four files.

    Args:
      files: encoder, decoder, classifier and conditional prior.
      to: the run directory; must be new or empty.
      labels: names of the labels, in order; by default those of CelebA in the programs.
      config: settings of data and training for later commands; its model settings are replaced.
      trust_pickle: see `read`.

    Returns:
      The run.

    Raises:
      ExportError: a file cannot be used.
      ConfigError, RunError: the settings or the run directory cannot be used.
    """
    from tf_ccvae.settings import Config
    from tf_ccvae.training import run_directory

    settings = Config() if config is None else Config.from_yaml(config)
    parts = {name: read(path, trust_pickle) for name, path in zip(PARTS, files, strict=True)}
    model = convert(parts, labels, estimator=settings.objective.estimator, nodes=settings.objective.nodes)
    described = settings.model.model_copy(
        update={
            "name": "ccvae",
            "backbone": model.backbone,
            "latents": model.latents,
            "style_latents": "auto",
            "latents_per_label": 1,
            "encoder_widths": model.widths,
            "hidden": model.hidden,
            "likelihood": model.likelihood,
            "likelihood_scale": model.likelihood_scale,
        }
    )
    height, _, channels = model.image_shape
    data = settings.data.model_copy(update={"image_size": height, "channels": channels})
    try:
        run = run_directory.create(to, "imported")
    except run_directory.RunError as error:
        raise ExportError(str(error).replace("--run-dir", "--to")) from error
    run.save_model(model)
    settings.model_copy(update={"name": "imported", "model": described, "data": data}).to_yaml(run.config)
    return run


def parser() -> Parser:
    """The command line."""
    command_line = Parser("python -m export.import_pytorch", __doc__)
    for name in PARTS:
        command_line.add_argument(name, type=Path, help=f"{name}.pt of the program")
    command_line.add_argument("--to", type=Path, required=True, help="run directory to make")
    command_line.add_argument(
        "--labels", nargs="+", help="names of the labels (default: the 18 of CelebA in the programs)"
    )
    command_line.add_argument("--config", type=Path, help="YAML file with the settings of data and training")
    command_line.add_argument("--trust-pickle", action="store_true", help="also read pickled modules of the programs")
    return command_line


def main(argv: Sequence[str] | None = None) -> int:
    """The program; returns its exit code: 0, or 2 for bad input."""
    try:
        arguments = parser().parse_args(sys.argv[1:] if argv is None else argv)
        files = [getattr(arguments, name) for name in PARTS]
        from tf_ccvae.support.startup import prepare

        prepare()
        run = import_run(files, arguments.to, arguments.labels, arguments.config, arguments.trust_pickle)
    except (UserError, OSError) as error:
        return report(error)
    print(f"Run: {run.path}   Train on: python -m tf_ccvae.fit --resume {run.path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
