"""Weights of the official programs: read, converted, equal to PyTorch, and accepted by every program."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from export import import_pytorch
from export.errors import ExportError
from export.run import Options, export_run
from tf_ccvae import fit, interventions
from tf_ccvae.settings import Config
from tf_ccvae.training import run_directory

SHARED = (nn.ReLU(), nn.Flatten())


def networks(program, channels=1, latents=6, labels=2, hidden=8, widths=(4, 6, 8)):
    """Modules with the layers and names of the official programs; `program` is 'pytorch' or 'pyro'."""
    torch.manual_seed(0)
    sizes = (channels, *widths)
    layers = []
    for before, after in pairwise(sizes):
        layers += [nn.Conv2d(before, after, 4, 2, 1), nn.ReLU()]
    layers += [nn.Conv2d(widths[-1], hidden, 4), *SHARED]
    encoder = nn.Module()
    encoder.encoder = nn.Sequential(*layers, *([nn.Linear(hidden, 2 * latents)] if program == "pyro" else []))
    encoder.locs, encoder.scales = nn.Linear(hidden, latents), nn.Linear(hidden, latents)
    layers = [nn.Linear(latents, hidden), nn.Unflatten(1, (hidden, 1, 1)), nn.ReLU()]
    layers += [nn.ConvTranspose2d(hidden, widths[-1], 4)]
    for before, after in zip(widths[::-1], (*widths[-2::-1], channels), strict=True):
        layers += [nn.ReLU(), nn.ConvTranspose2d(before, after, 4, 2, 1)]
    decoder = nn.Module()
    decoder.decoder = nn.Sequential(*layers, nn.Sigmoid())
    classifier, prior = nn.Module(), nn.Module()
    classifier.diag = nn.Module()
    for name in ("weight", "bias"):
        setattr(classifier.diag, name, nn.Parameter(torch.randn(labels)))
    for name in ("loc_true", "loc_false", "scale_true", "scale_false"):
        setattr(prior, f"diag_{name}", nn.Parameter(torch.randn(labels) * 3))
    return dict(zip(import_pytorch.PARTS, (encoder, decoder, classifier, prior), strict=True))


def posterior(parts, program, image):
    """q(z|x) as the official encoders compute it."""
    encoder = parts["encoder"]
    with torch.no_grad():
        hidden = encoder.encoder(torch.tensor(image.transpose(0, 3, 1, 2)))
        if program == "pyro":
            loc, raw = hidden.chunk(2, dim=1)
        else:
            loc, raw = encoder.locs(hidden), encoder.scales(hidden)
        return loc.numpy(), torch.clamp(nn.functional.softplus(raw), min=1e-3).numpy()


def saved(folder, parts, whole=False):
    paths = []
    for name, module in parts.items():
        paths.append(folder / f"{name}.pt")
        torch.save(module if whole else module.state_dict(), paths[-1])
    return paths


@pytest.mark.parametrize("program", ["pytorch", "pyro"])
def test_imported_weights_compute_what_pytorch_computes(program, tmp_path):
    parts = networks(program)
    arrays = {x: import_pytorch.read(p) for x, p in zip(parts, saved(tmp_path, parts), strict=True)}
    model = import_pytorch.convert(arrays, ["a", "b"])
    image = np.random.default_rng(0).random((3, 32, 32, 1), np.float32)
    loc, scale = posterior(parts, program, image)
    np.testing.assert_allclose(model.encode(image).loc, loc, atol=1e-5)
    np.testing.assert_allclose(model.encode(image).scale, scale, atol=1e-5)
    with torch.no_grad():
        decoded = parts["decoder"].decoder(torch.tensor(loc)).numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(model.decode(loc).mean(), decoded, atol=1e-5)
    diagonal = parts["classifier"].diag
    logits = (torch.tensor(loc[:, :2]) * diagonal.weight + diagonal.bias).detach().numpy()
    table = np.asarray(model.values_table(loc))
    np.testing.assert_allclose(table[..., 1], 1 / (1 + np.exp(-logits)), atol=1e-5)
    prior = parts["cond_prior"]
    for value, name in ((0, "false"), (1, "true")):
        np.testing.assert_allclose(
            model.label_distributions.prior.loc[value], getattr(prior, f"diag_loc_{name}").detach(), atol=1e-5
        )
        positive = torch.clamp(nn.functional.softplus(getattr(prior, f"diag_scale_{name}")), min=1e-3).detach()
        np.testing.assert_allclose(model.label_distributions.prior.scale[value], positive, atol=1e-5)


@pytest.mark.parametrize("whole", [False, True])
def test_weights_saved_from_data_parallel_are_the_same_weights(whole, tmp_path):
    parts = networks("pytorch")
    plain = [import_pytorch.read(path) for path in saved(tmp_path, parts)]
    wrapped = saved(tmp_path, {name: nn.DataParallel(module) for name, module in parts.items()}, whole)
    for path, expected in zip(wrapped, plain, strict=True):
        found = import_pytorch.read(path, trust_pickle=whole)
        assert found.keys() == expected.keys()
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("name", ["module._orig_mod.diag.weight", "_orig_mod.diag.weight", "diag.module.weight"])
def test_wrappers_may_stand_anywhere_in_the_name_of_a_weight(name, tmp_path):
    torch.save({name: torch.ones(2)}, tmp_path / "x.pt")
    assert import_pytorch.read(tmp_path / "x.pt").keys() == {"diag.weight"}


def test_weights_that_are_there_wrapped_and_plain_are_refused(tmp_path):
    torch.save({"x": torch.ones(2), "module.x": torch.zeros(2)}, tmp_path / "x.pt")
    with pytest.raises(ExportError, match="with and without 'module'"):
        import_pytorch.read(tmp_path / "x.pt")


@pytest.fixture(scope="module")
def imported(tmp_path_factory, tiny_folder):
    """A run of imported weights whose config names the tiny folder, as images of 32 pixels."""
    place = tmp_path_factory.mktemp("imported")
    images, labels = tiny_folder
    config = place / "x.yaml"
    config.write_text(
        f"data: {{name: folder, images: {images}, labels: {labels}}}\n"
        "training: {epochs: 1, batch_size: 32, learning_rate: 1e-6}\n"
    )
    files = saved(place, networks("pytorch"))
    arguments = [*files, "--to", place / "run", "--labels", "Top", "Bright", "--config", config]
    assert import_pytorch.main([str(x) for x in arguments]) == 0
    return place / "run"


def test_backbone_and_latents_of_an_imported_run_are_those_of_the_weights(tmp_path):
    config = tmp_path / "x.yaml"
    config.write_text("model: {backbone: residual, style_latents: 9}\n")
    run = import_pytorch.import_run(saved(tmp_path, networks("pytorch")), tmp_path / "run", ["a", "b"], config)
    model = Config.from_yaml(run.config).model
    assert (model.backbone, model.latents, model.style_latents) == ("paper", 6, "auto")


def test_an_imported_run_is_exported(imported, tmp_path):
    manifest = export_run(imported, tmp_path / "to", Options(("litert",)))
    assert manifest["labels"] == ["Top", "Bright"]


def test_fit_trains_on_from_the_imported_weights(imported):
    _, before = run_directory.load(imported)
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 1), np.uint8)
    latents = interventions.encode(before, images)
    assert fit.main(["--resume", str(imported)]) == 0
    _, after = run_directory.load(imported)
    moved = np.abs(interventions.encode(after, images) - latents).max()
    assert 0 < moved < 1e-3
    assert np.isfinite(np.asarray(after.label_statistics.log_label_prior)).all()


def test_pickled_modules_need_an_explicit_yes(tmp_path, capsys):
    class Encoder(nn.Module):  # whose class is not there when the file is read
        pass

    parts = networks("pytorch")
    paths = saved(tmp_path, parts, whole=True)
    arguments = [*map(str, paths), "--to", str(tmp_path / "run"), "--labels", "a", "b"]
    assert import_pytorch.main(arguments) == 2
    line = capsys.readouterr().err
    assert "encoder.pt: not a state dict" in line and "--trust-pickle" in line and line.count("\n") == 1
    assert not (tmp_path / "run").exists()
    assert import_pytorch.main([*arguments, "--trust-pickle"]) == 0
    assert run_directory.load(tmp_path / "run")[1].labels.names == ("a", "b")


def test_pickled_modules_are_read_without_the_classes_of_the_programs(tmp_path, monkeypatch):
    import sys
    import types

    module = types.ModuleType("models.networks")
    module.Classifier = type("Classifier", (nn.Module,), {"__module__": "models.networks"})
    monkeypatch.setitem(sys.modules, "models", types.ModuleType("models"))
    monkeypatch.setitem(sys.modules, "models.networks", module)
    classifier = module.Classifier()
    classifier.diag = networks("pytorch")["classifier"].diag
    torch.save(classifier, tmp_path / "classifier.pt")
    monkeypatch.undo()
    read = import_pytorch.read(tmp_path / "classifier.pt", trust_pickle=True)
    np.testing.assert_array_equal(read["diag.weight"], classifier.diag.weight.detach())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda p: p["encoder"].unlink(), "encoder.pt: no such file"),
        (lambda p: p["decoder"].write_bytes(b"nothing"), "decoder.pt: not a"),
        (lambda p: torch.save([1, 2], p["decoder"]), "decoder.pt: holds a list instead of a state dict"),
        (lambda p: torch.save({"x.weight": torch.ones(2)}, p["decoder"]), "not those of the official networks"),
        (lambda p: torch.save(nn.Linear(2, 2).state_dict(), p["classifier"]), "not those of the official networks"),
    ],
)
def test_files_that_are_something_else_end_in_one_line(tmp_path, capsys, spoil, message):
    parts = networks("pytorch")
    paths = dict(zip(parts, saved(tmp_path, parts), strict=True))
    spoil(paths)
    arguments = [*map(str, paths.values()), "--to", str(tmp_path / "run"), "--labels", "a", "b"]
    assert import_pytorch.main(arguments) == 2
    line = capsys.readouterr().err
    assert message in line and line.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_wrong_number_of_labels_is_named(tmp_path, capsys):
    paths = saved(tmp_path, networks("pytorch"))
    assert import_pytorch.main([*map(str, paths), "--to", str(tmp_path / "run")]) == 2
    assert "--labels: the classifier has 2 labels, 18 names are given" in capsys.readouterr().err
