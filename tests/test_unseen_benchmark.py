"""The benchmark on unseen styles: factors that can be seen, the official program's labels, and where it goes on."""

import inspect
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.unseen import __main__ as unseen
from benchmarks.unseen import data, measuring, official, official_training, training
from benchmarks.unseen.styles import STYLES
from tf_ccvae.labels import MISSING, Label, Labels

MICAH = STYLES["micah"]


class CCVAE(nn.Module):
    """Stands in for the official program: its layers by name, and a loss of reconstruction alone."""

    def __init__(self, z_dim, num_classes, im_shape, use_cuda, prior_fn):
        super().__init__()
        assert prior_fn().shape == (1, num_classes)
        self.encoder, self.decoder, self.classifier, self.cond_prior = (nn.Module() for _ in range(4))
        convolutions = [nn.Conv2d(before, 4, 4, 2, 1) for before in (im_shape[0], 4, 4, 4)]
        self.encoder.encoder = nn.Sequential(*convolutions, nn.Conv2d(4, 4, 4), nn.Flatten())
        self.encoder.locs, self.encoder.scales = nn.Linear(4, z_dim), nn.Linear(4, z_dim)
        up = [nn.ConvTranspose2d(4, after, 4, 2, 1) for after in (4, 4, 4, im_shape[0])]
        first = (nn.Linear(z_dim, 4), nn.Unflatten(1, (4, 1, 1)), nn.ConvTranspose2d(4, 4, 4))
        self.decoder.decoder = nn.Sequential(*first, *up, nn.Sigmoid())
        self.classifier.diag = nn.Module()
        for name in ("weight", "bias"):
            setattr(self.classifier.diag, name, nn.Parameter(torch.ones(num_classes)))
        for name in ("loc_true", "loc_false", "scale_true", "scale_false"):
            setattr(self.cond_prior, f"diag_{name}", nn.Parameter(torch.ones(num_classes)))

    def sup(self, x, y):
        rebuilt = self.decoder.decoder(self.encoder.locs(self.encoder.encoder(x)))
        return (rebuilt - x).abs().mean() + 0 * y.sum()


class Diverging(CCVAE):
    def sup(self, x, y):
        return super().sup(x, y) * float("nan")


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Forty faces of the style micah."""
    return data.dataset("micah", 40, cache_dir=tmp_path_factory.mktemp("drawings"), processes=1)


@pytest.fixture
def checkout(tmp_path):
    """A folder like a checkout of the official program, with `CCVAE` in it."""
    (tmp_path / "checkout" / "models").mkdir(parents=True)
    source = f"import torch\nfrom torch import nn\n\n\n{inspect.getsource(CCVAE)}"
    (tmp_path / "checkout" / "models" / "ccvae.py").write_text(source)
    return tmp_path / "checkout"


def test_a_style_is_a_data_set_with_categorical_labels_and_factors(faces):
    assert [len(faces.split(name)) for name in ("train", "validation", "test")] == [32, 4, 4]
    assert faces.labels.names == tuple(MICAH.labels)
    assert faces.labels.items[faces.labels.names.index("Skin")].classes == ("light", "medium", "dark")
    assert all(len(values) == 32 for values in faces.train.factors.values())
    assert faces.about["factors"]["glasses"] == ("none", "round", "square")


def test_the_color_of_what_is_not_drawn_is_not_known(faces):
    values, factors = faces.train.labels, faces.train.factors
    for shade, label, absent in (("glasses_shade", "Glasses", 0), ("hair_shade", "Hair_Color", MISSING)):
        nowhere = values[:, faces.labels.names.index(label)] == absent
        assert nowhere.any() and not nowhere.all()
        np.testing.assert_array_equal(np.isnan(factors[f"{shade}_color"]).all(1), nowhere)
    assert np.isfinite(factors["skin_color"]).all()


@pytest.mark.parametrize(
    ("label", "varies"),
    [
        ("Glasses", (1, ("glasses", "glasses_shade_color"))),
        ("Beard", (1, ("beard_shade_color",))),
        ("Smiling", (1, ("mouth",))),
        ("Skin", (0, ("skin_color",))),
    ],
)
def test_what_varies_within_a_label_are_its_variants_and_the_color_of_its_part(label, varies):
    assert data.label_factors(MICAH)[label] == varies


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_factors_within_labels_are_factors_of_the_data_and_every_part_has_a_shade_that_exists(style):
    factors = {*style.parts, *(f"{name}_color" for name in style.shades)}
    assert {name for _, varies in data.label_factors(style).values() for name in varies} <= factors
    assert {part.shade for part in style.parts.values()} - {""} <= set(style.shades)


def test_the_official_program_gets_a_binary_label_for_each_class(faces):
    classes = official.by_class(faces)
    assert classes.labels.names[-4:] == tuple(f"Clothes_Color_{name}" for name in ("blue", "pink", "yellow", "white"))
    columns = {name: classes.train.labels[:, i] for i, name in enumerate(classes.labels.names)}
    hair = faces.train.labels[:, faces.labels.names.index("Hair_Color")]
    np.testing.assert_array_equal(columns["Hair_Color_blond"], np.where(hair == MISSING, MISSING, hair == 2))
    np.testing.assert_array_equal(columns["Glasses"], faces.train.labels[:, 0])
    assert classes.about["label_factors"]["Skin_light"] == (1, ("skin_color",))
    few = official.by_class(faces.with_labels(("Skin", "Glasses")))
    assert few.labels.names == ("Skin_light", "Skin_medium", "Skin_dark", "Glasses")
    assert set(few.about["label_factors"]) == {"Skin_light", "Glasses"}


def test_probabilities_of_classes_are_read_as_those_of_their_label():
    labels = Labels((Label("on"), Label("color", ("red", "green", "blue"))))
    on = np.array([[0.3, 0.2, 0.6, 0.0]])
    joined = official.joined(labels, np.stack([1 - on, on], axis=-1))
    np.testing.assert_allclose(joined, [[[0.7, 0.3, 0], [0.25, 0.75, 0]]], atol=1e-6)
    seen = np.array([[[0.1, 0.9, 0], [0.2, 0.3, 0.5]]])
    judge = SimpleNamespace(network=None, factors={}, about={}, labels=labels, probabilities=lambda images: seen)
    by_class = official.JudgeByClass(judge, Labels.of_binary("abcd"))
    np.testing.assert_allclose(by_class.probabilities(np.zeros((1, 4, 4, 3)))[0, :, 1], [0.9, 0.2, 0.3, 0.5])
    assert by_class.values(np.zeros((1, 4, 4, 3))).tolist() == [[1, 0, 0, 0]]  # a half is not more than a half


def test_the_official_program_is_trained_once_and_read_as_a_model(faces, checkout, tmp_path, monkeypatch):
    classes = official.by_class(faces)
    trained = official.train(classes, checkout, 0.01, 0, tmp_path / "weights")
    assert trained["steps"] >= 1 and trained["seconds"] >= 0.01
    monkeypatch.setattr(official.subprocess, "run", None)
    assert official.train(classes, checkout, 0.01, 0, tmp_path / "weights") == trained
    model = official.load(tmp_path / "weights", classes)
    assert model.labels.names == classes.labels.names
    row = measuring.pictures(model, faces, by_class=True)
    assert row[0].shape == row[1].shape == faces.test.images.shape


def test_an_official_program_that_diverges_is_not_measured(monkeypatch):
    nothing = SimpleNamespace(step=lambda: None, zero_grad=lambda: None)
    monkeypatch.setattr(torch.optim, "Adam", lambda *given, **named: nothing)
    images, values = np.zeros((3, 64, 64, 3), np.uint8), np.zeros((3, 2))
    with pytest.raises(SystemExit, match="not finite after 1 steps"):
        official_training.train(Diverging, images, values, 60, 0)


def test_an_edit_shows_another_value_of_a_label_that_is_known(faces):
    edits = measuring.edits(faces)
    assert len(edits) == len(faces.test)
    for truth, (name, value) in zip(faces.test.labels, edits, strict=True):
        assert truth[faces.labels.names.index(name)] not in (MISSING, value)


def test_settings_are_those_of_the_file_but_for_backbone_seed_and_epochs():
    file = training.settings.Config.from_yaml(training.CONFIG)
    plain = training.configured(file.model.backbone, file.seed, None)
    assert plain.model_dump(exclude={"name"}) == file.model_dump(exclude={"name"})
    other = training.configured("residual", 3, 1)
    assert (other.model.backbone, other.seed, other.training.epochs) == ("residual", 3, 1)
    assert other.data == plain.data and other.objective == plain.objective
    hiding = training.configured(training.HIDING, 3, 1)
    assert (hiding.model, hiding.objective.hiding_weight, other.objective.hiding_weight) == (other.model, 1.0, 0.0)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (("--official", "nowhere"), "no models/ccvae.py there"),
        (("--results", "unseen.json"), "does not end in .jsonl"),
        (("--seconds", "0"), "not above 0"),
        (("--seed", "-1"), "is below 0"),
        (("--official", "{checkout}", "--models", "paper"), "give --seconds too"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(given, what, checkout, capsys):
    with pytest.raises(SystemExit) as error:
        unseen.main([x.format(checkout=checkout) for x in given])
    assert error.value.code == 2 and what in capsys.readouterr().err


def test_a_benchmark_that_was_stopped_goes_on_and_writes_page_and_sheet(faces, tmp_path, monkeypatch):
    asked = []

    def run(name, dataset, judge, place, arguments):
        asked.append(name)
        if len(asked) == 2:
            raise KeyboardInterrupt
        empty = np.zeros((len(dataset.test), 64, 64, 3), np.float32)
        place.parent.mkdir(exist_ok=True)
        measuring.save_pictures((empty, empty), unseen.pictures_of(place))
        numbers = {name: {"mean": 0.5, "low": 0.4, "high": 0.6} for name in measuring.COLUMNS}
        return {"steps": 10, "seconds": 1.0, **numbers, "Fréchet": None}

    monkeypatch.setattr(unseen, "run", run)
    monkeypatch.setattr(unseen.measuring, "judge_of", lambda *given: None)
    monkeypatch.setattr(unseen, "prepared", lambda style, arguments: (faces, tmp_path / "faces"))
    arguments = ["--styles", "micah", "--results", str(tmp_path / "unseen.jsonl")]
    with pytest.raises(KeyboardInterrupt):
        unseen.main(arguments)
    unseen.main(arguments)
    assert asked == ["residual", "paper", "paper"]
    page = (tmp_path / "unseen.md").read_text()
    assert "| micah | residual |" in page and "| micah | paper |" in page and "Micah Lanier" in page
    assert (tmp_path / "unseen-micah.png").is_file()


def test_errors_are_set_beside_the_official_program_on_the_same_data(tmp_path):
    row = {
        "style": "lorelei",
        "model": "paper",
        "seed": 0,
        "train": 10,
        "machine": {"cores": 2},
        "error": {"mean": 0.03},
    }
    theirs = {**row, "model": unseen.OFFICIAL, "error": {"mean": 0.06}}
    assert unseen.against_official(row, [row, theirs]) == "0.50"
    assert unseen.against_official(row, [row, {**theirs, "train": 20}]) == "-"
    assert unseen.against_official(theirs, [row, theirs]) == "-"
