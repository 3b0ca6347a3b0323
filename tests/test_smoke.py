"""Every command that the README and the docs show runs, and so does every configuration file."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests import processes
from tf_ccvae.training import build

ROOT = Path(__file__).resolve().parent.parent
FEW_FACES = ("--data.examples", "240", "--training.epochs", "1")

# Arguments that make each documented program small; {folder} is an empty folder, {run} a run of the tiny folder,
# {export} an export of {exported_run}, {trained_runs} a folder with the run that benchmarks.comparison would train, and
# others are fixtures; {weights} is a folder with untrained weights of the official programs.
PROGRAMS = {
    "tf_ccvae.fit": (*FEW_FACES, "--run-dir", "{folder}/run"),
    "tf_ccvae.intervene": ("{run}", "set", "0", "--label", "Top=1", "--out", "{folder}/set.png"),
    "tf_ccvae.data": ("inspect", "configs/avatars.yaml", "--data.examples", "240", "--to", "{folder}/inspection"),
    "tf_ccvae.tune": ("examples/sweep.yaml", "--to", "{folder}/sweep", "--trials", "1", *FEW_FACES),
    "tf_ccvae.evaluate": ("{run}", "--generated", "24"),
    "export": ("{run}", "--to", "{folder}/export", "--formats", "litert"),
    "export.import_pytorch": (
        *("{weights}/encoder.pt", "{weights}/decoder.pt", "{weights}/classifier.pt", "{weights}/cond_prior.pt"),
        *("--to", "{folder}/official"),
    ),
    "benchmarks.comparison": (
        *("--models", "ccvae", "--fractions", "0.2", "--steps", "1", "--generated", "40"),
        *("--runs", "{trained_runs}", "--results", "{folder}"),
    ),
    "benchmarks.default_run": ("--run", "{run}", "--results", "{folder}"),
    "benchmarks.estimators": (
        *("--examples", "240", "--settings", "ours", "--methods", "pytorch", "--fractions", "0.2", "--seeds", "0"),
        *("--results", "{folder}"),
    ),
    "benchmarks.fashion_mnist": (
        *("--data", "{idx_folder}", "--models", "ccvae", "--labelled", "20", "--epochs", "1", "--samples", "2"),
        *("--runs", "{folder}/runs", "--results", "{folder}", "--figure", "{folder}/samples.png"),
    ),
    "benchmarks.input_speed": (
        *("--examples", "300", "--batches", "4", "--seconds", "0.1", "--folder", "{folder}", "--results", "{folder}"),
    ),
    "benchmarks.orl_glasses": (
        *("--folds", "0", "--epochs", "1", "--runs", "{folder}/runs", "--results", "{folder}"),
        *("--figure", "{folder}/swaps.png", "--decoded", "{folder}/decoded.png"),
    ),
    "benchmarks.own_images": (
        *("--examples", "240", "--only", "100", "1", "--generated", "24"),
        *("--runs", "{folder}/runs", "--results", "{folder}"),
    ),
    "benchmarks.paper": (
        *("--data", "{celeba_folder}", "--rates", "0.2", "--methods", "exact", "--epochs", "1"),
        *("--runs", "{folder}/runs", "--results", "{folder}"),
    ),
    "benchmarks.unseen": (
        *("--quick", "--styles", "micah", "--models", "paper"),
        *("--cache", "{folder}/cache", "--results", "{folder}/unseen.jsonl"),
    ),
    "benchmarks.gradient_variance": (
        *("--examples", "240", "--epochs", "1", "--draws", "2", "--estimators", "exact", "--results", "{folder}"),
    ),
    "benchmarks.training_speed": (
        *("--batches", "4", "--rounds", "1", "--seconds", "0.1", "--variants", "graph", "--steps", "labelled"),
        *("--results", "{folder}"),
    ),
    "benchmarks.device_speed": (
        *("--xla", "no", "--batches", "4", "--matrix", "64", "--seconds", "0.1", "--results", "{folder}"),
    ),
    "benchmarks.step_profile": ("--batch", "4", "--steps", "2", "--results", "{folder}"),
    "benchmarks.critic": ("--batch", "4", "--steps", "2", "--rounds", "1", "--results", "{folder}"),
    "benchmarks.scaling": (
        *("--sizes", "28", "--labels", "1", "--batches", "4", "--no-replicated", "--seconds", "0.1"),
        *("--results", "{folder}"),
    ),
    "benchmarks.runtimes": (
        *("--run", "{exported_run}", "--export", "{export}", "--batches", "1", "--graphs", "encoder"),
        *("--runtimes", "onnxruntime", "--rounds", "1", "--seconds", "0.05", "--results", "{folder}"),
    ),
    "benchmarks.avatars_learnability": ("--examples", "240", "--epochs", "1", "--output", "{folder}/learnable.json"),
    "benchmarks.avatars_contact_sheet": ("{folder}/sheet.png", "--examples", "600"),
}

# Programs that tests elsewhere run.
ELSEWHERE = {
    "tf_ccvae.launch_ray": "training/test_workers.py",
    "benchmarks.serving_load": "serving/test_load.py",
    "benchmarks.few_labels": "test_benchmarks.py",
}

# Arguments that make each configuration file small; {images} and {labels} are the tiny folder.
TINY_FOLDER = (
    *("--data.images", "{images}", "--data.labels", "{labels}", "--data.image-size", "28"),
    *("--training.epochs", "1"),
)
CONFIGS = {"avatars.yaml": FEW_FACES, "folder.yaml": TINY_FOLDER}

# Configuration files for data that have to be downloaded: the fixture that makes up a few in the true format (none for
# faces, which are drawn), and a label to set. These take one step in this process: a whole run each would be half a
# minute in all.
MADE_UP = {
    "avatars_numbers.yaml": (None, "Hair_Lightness=70"),
    "celeba.yaml": ("celeba_folder", "Smiling=1"),
    "chexpert.yaml": ("chexpert_folder", "Pleural Effusion=1"),
    "fashion_mnist.yaml": ("idx_folder", "Article=Bag"),
    "huggingface.yaml": ("huggingface_folder", "No_Beard=off"),
    "mnist.yaml": ("idx_folder", "Digit=7"),
    "tfds.yaml": ("tfds_folder", "label=frog"),
}
FEW_WEIGHTS = (
    *("--model.encoder-widths", "[4, 4, 4]", "--model.hidden", "8", "--data.image-size", "28"),
    *("--training.epochs", "1", "--training.batch-size", "8"),
)


def documented_programs() -> set[str]:
    pages = [ROOT / "README.md", ROOT / "benchmarks" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return {
        name
        for page in pages
        for name in re.findall(r"python -m ((?:tf_ccvae|benchmarks|export)[\w.]*)", page.read_text())
    }


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """A folder with untrained weights of the official programs for 64x64 images, as state dicts."""
    import torch

    widths = ((3, 32), (32, 32), (32, 64), (64, 128))
    convolutions = [(out, before, 4, 4) for before, out in widths]
    shapes = {
        "encoder": {f"encoder.{2 * i}": shape for i, shape in enumerate([*convolutions, (256, 128, 4, 4)])}
        | {"locs": (45, 256), "scales": (45, 256)},
        "decoder": {"decoder.0": (256, 45), "decoder.3": (256, 128, 4, 4)}
        | {f"decoder.{5 + 2 * i}": shape for i, shape in enumerate(convolutions[::-1])},
        "classifier": {"diag": (18,)},
    }
    place = tmp_path_factory.mktemp("weights")
    for part, layers in shapes.items():
        arrays = {f"{name}.weight": torch.zeros(shape) for name, shape in layers.items()}
        # transposed convolutions have their output second
        sizes = {name: shape[1 if part == "decoder" and len(shape) == 4 else 0] for name, shape in layers.items()}
        torch.save(arrays | {f"{name}.bias": torch.zeros(size) for name, size in sizes.items()}, place / f"{part}.pt")
    prior = {f"diag_{kind}_{value}": torch.ones(18) for kind in ("loc", "scale") for value in ("true", "false")}
    torch.save(prior, place / "cond_prior.pt")
    return place


@pytest.mark.parametrize("module", sorted(PROGRAMS))
def test_every_documented_program_runs(module, tmp_path, tiny_run, request):
    copy = tmp_path / "a run"
    if "{run}" in PROGRAMS[module]:
        unwanted = shutil.ignore_patterns("judge", "evaluation.json", "report.html")
        shutil.copytree(tiny_run, copy, ignore=unwanted)
    if "{trained_runs}" in PROGRAMS[module]:
        shutil.copytree(tiny_run, tmp_path / "runs" / "ccvae-0.2-1-0")
    before = len(list(tmp_path.rglob("*"))) + 1  # what it says
    named = {"folder": tmp_path, "run": copy, "trained_runs": tmp_path / "runs"}
    if "{export}" in PROGRAMS[module]:
        exported = request.getfixturevalue("exported")
        named |= {"export": exported.folder, "exported_run": exported.run}
    for fixture in ("weights", "idx_folder", "celeba_folder"):
        if any(f"{{{fixture}}}" in argument for argument in PROGRAMS[module]):
            named[fixture] = request.getfixturevalue(fixture)
    processes.run(module, *(x.format(**named) for x in PROGRAMS[module]), output=tmp_path / "said.txt")
    assert len(list(tmp_path.rglob("*"))) > before


def test_every_program_in_the_docs_and_every_program_there_is_has_a_smoke_test():
    made = {
        path.parent.name if path.stem == "__main__" else f"{path.parent.name}.{path.stem}"
        for folder in ("tf_ccvae", "benchmarks", "export")
        for path in (ROOT / folder).glob("*.py")
        if '__name__ == "__main__"' in path.read_text()
    }
    assert documented_programs() | made == set(PROGRAMS) | set(ELSEWHERE)
    assert all(f'"{name}"' in (ROOT / "tests" / file).read_text() for name, file in ELSEWHERE.items())


@pytest.mark.parametrize("name", sorted(CONFIGS.keys() - {"avatars.yaml"}))  # which tf_ccvae.fit trains above
def test_every_config_file_trains(name, tmp_path, tiny_folder):
    images, labels = tiny_folder
    extra = [argument.format(images=images, labels=labels) for argument in CONFIGS[name]]
    arguments = ("--config", f"configs/{name}", *extra, "--run-dir", tmp_path / "run")
    processes.run("tf_ccvae.fit", *arguments, output=tmp_path / "said.txt")
    assert (tmp_path / "run" / "results.json").is_file()


@pytest.mark.parametrize("name", sorted(MADE_UP))
def test_every_config_file_for_data_from_elsewhere_takes_a_step_and_its_labels_can_be_set(
    name, tmp_path, monkeypatch, request
):
    from tf_ccvae import intervene, settings
    from tf_ccvae.data import pipeline, sources
    from tf_ccvae.training import run_directory

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fixture, label = MADE_UP[name]
    place = ["--data.path", str(request.getfixturevalue(fixture))] if fixture else ["--data.examples", "120"]
    config = settings.parse(["--config", str(ROOT / "configs" / name), *place, *FEW_WEIGHTS]).config
    dataset = sources.load(config.data, config.seed)
    model = build.build_model(config, dataset, dataset.train)
    build.compile_model(model, config, steps=1)
    model.run_eagerly = True
    before = [np.array(weight) for weight in model.trainable_variables]
    batches = pipeline.training_batches(dataset.train, config.training.batch_size, steps=1, seed=0)
    assert np.isfinite(model.fit(batches, shuffle=False, verbose=0).history["loss"]).all()
    assert any((a != np.array(b)).any() for a, b in zip(before, model.trainable_variables, strict=True))

    run = run_directory.create(tmp_path / "run", config.name)
    config.to_yaml(run.config)
    run.save_model(model)
    assert intervene.main([str(run.path), "set", "0", "--label", label, "--out", str(tmp_path / "set.png")]) == 0
    assert (tmp_path / "set.png").is_file()


def test_every_config_file_has_a_smoke_test_and_a_header():
    files = sorted((ROOT / "configs").glob("*.yaml"))
    assert {path.name for path in files} == set(CONFIGS) | set(MADE_UP)
    assert all(path.read_text().startswith("# ") for path in files)


def test_help_lists_every_setting_with_type_and_default(tmp_path):
    text = " ".join(processes.run("tf_ccvae.fit", "--help", output=tmp_path / "said.txt").split())  # wherever lines end
    for part in ("--data.labelled-fraction float", "(default: 1.0)", "--training.precision", "--resume", "--seed int"):
        assert part in text


def test_readme_shows_exactly_the_two_commands_for_a_fresh_machine():
    text = (ROOT / "README.md").read_text()
    for command in (
        "pip install -r requirements.txt && python -m tf_ccvae.fit",
        "pip install -r requirements-dev.txt && pytest",
    ):
        assert command in text


def test_pictures_and_pages_that_the_docs_link_are_there():
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
