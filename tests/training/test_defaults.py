"""What settings that are left at 'auto' stand for."""

import numpy as np
import pytest

from tf_ccvae.data.dataset import Split
from tf_ccvae.labels import Label, Labels, Scale
from tf_ccvae.programs import fit
from tf_ccvae.settings import Config, ConfigError
from tf_ccvae.training import build
from tf_ccvae.training.muon import Muon
from tf_ccvae.training.optimizer import FusedAdam


def settings(**sections):
    return Config.model_validate(sections)


def split(examples):
    return Split(np.zeros((examples, 28, 28, 1), np.uint8), np.zeros((examples, 1), np.int16), {})


@pytest.mark.parametrize(("estimator", "backbone"), [("exact", "residual"), ("pytorch", "paper"), ("pyro", "paper")])
def test_the_official_estimators_keep_the_official_networks(estimator, backbone):
    assert build.backbone_of(settings(objective={"estimator": estimator})) == backbone


def test_a_backbone_that_is_named_is_the_one():
    assert build.backbone_of(settings(model={"backbone": "paper"})) == "paper"
    chosen = settings(model={"backbone": "residual"}, objective={"estimator": "pyro"})
    assert build.backbone_of(chosen) == "residual"


@pytest.mark.parametrize(
    ("scale", "estimator", "weights"),
    [
        ("auto", "exact", (250.0, 150.0, 250.0)),
        (0.4, "exact", (None, None, 0.0)),  # the model's own
        ("learned", "exact", (None, None, 0.0)),
        ("auto", "pytorch", (None, None, 0.0)),
    ],
)
def test_weights_go_with_the_scale_of_the_likelihood(scale, estimator, weights):
    config = settings(model={"likelihood_scale": scale}, objective={"estimator": estimator})
    assert build.weights_of(config) == weights


def test_weights_that_are_given_are_the_ones():
    given = {"label_weight": 7.0, "independence_weight": 0.0, "consistency_weight": 3.0}
    assert build.weights_of(settings(objective=given)) == (7.0, 0.0, 3.0)


@pytest.mark.parametrize("estimator", ["pytorch", "pyro"])
def test_the_scale_of_the_official_estimators_is_that_of_the_official_programs(tiny, estimator):
    config = settings(
        model={"latents": 6, "encoder_widths": [4, 4, 4], "hidden": 8}, objective={"estimator": estimator}
    )
    model = build.build_model(config, tiny, tiny.train)
    assert (model.likelihood_scale, model.backbone, model.consistency_weight) == (1.0, "paper", 0.0)


@pytest.mark.parametrize(
    ("examples", "epochs"),
    [(10000, 10), (9984, 10), (500, 188), (64, 1500), (162770, 3)],  # 3,000 steps of 32, at least 3 epochs
)
def test_the_number_of_epochs_follows_from_the_number_of_steps(examples, epochs):
    assert build.number_of_epochs(settings(), split(examples)) == epochs


def test_epochs_that_are_given_are_the_ones():
    assert build.number_of_epochs(settings(training={"epochs": 5}), split(100)) == 5


def test_a_run_that_is_continued_may_have_more_steps():
    fit.check_unchanged(settings(), settings(training={"steps": 9000}))
    with pytest.raises(ConfigError, match=r"training\.batch_size: cannot change"):
        fit.check_unchanged(settings(), settings(training={"batch_size": 9}))


def test_a_run_from_before_there_were_backbones_has_the_networks_that_it_was_trained_with(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("model: {latents: 45, likelihood_scale: 0.4}\n")
    old = Config.of_run(file)
    assert (build.backbone_of(old), build.weights_of(old).consistency) == ("paper", 0.0)
    assert build.backbone_of(Config.from_yaml(file)) == "residual"
    file.write_text("model: {backbone: residual}\n")
    assert build.backbone_of(Config.of_run(file)) == "residual"


@pytest.mark.parametrize(("warmup", "numbers", "steps"), [("auto", 0, 0), ("auto", 1, 100), (7, 1, 7), (0, 1, 0)])
def test_the_rate_rises_over_some_steps_where_a_label_is_a_number(warmup, numbers, steps):
    labels = Labels((Label("hat"), *[Label("age", scale=Scale(50.0, 10.0, 20.0, 90.0))] * numbers))
    config = settings(training={"warmup_steps": warmup})
    assert build.warmup_of(config, labels) == steps
    rate = build.build_optimizer(config, 1000, labels).learning_rate
    assert float(rate) == pytest.approx(0.0 if steps else 2.5e-3)


PAPER = {"backbone": "paper"}


@pytest.mark.parametrize(
    ("changes", "kind", "rate"),
    [
        ({}, Muon, 2.5e-3),
        ({"model": PAPER}, FusedAdam, 1.5e-3),
        ({"objective": {"estimator": "pyro"}}, FusedAdam, 1.5e-3),
        ({"training": {"optimizer": "adam"}}, FusedAdam, 1.5e-3),
        ({"training": {"optimizer": "muon"}, "model": PAPER}, Muon, 2.5e-3),
        ({"training": {"learning_rate": 1e-4}}, Muon, 1e-4),
    ],
)
def test_the_optimizer_and_its_peak_rate_follow_from_the_networks_unless_they_are_set(changes, kind, rate):
    optimizer = build.build_optimizer(settings(**changes), 100)
    assert type(optimizer) is kind
    assert float(optimizer.learning_rate) == pytest.approx(rate)
