"""Settings that are refused, each in one line."""

import inspect
from pathlib import Path

import pytest

from tf_ccvae.data import folder, huggingface
from tf_ccvae.settings import ConfigError, parse, read
from tf_ccvae.settings.checks import TERMS_OF_CCVAE, USED_BY

CONFIG_FILES = sorted((Path(__file__).resolve().parents[2] / "configs").glob("*.yaml"))
SOURCES = "avatars, folder, celeba, chexpert, mnist, fashion_mnist, tfds:<name>, huggingface:<name or folder>"


def refusal(capsys, *argv):
    """The one line that `read` prints when it refuses `argv`."""
    with pytest.raises(SystemExit) as stopped:
        read(argv)
    printed = capsys.readouterr()
    assert stopped.value.code == 2
    assert printed.out == ""
    assert printed.err.endswith("\n") and printed.err.count("\n") == 1
    return printed.err.rstrip("\n")


@pytest.mark.parametrize("term", TERMS_OF_CCVAE)
def test_a_term_that_only_ccvae_has_is_refused_with_another_model(term, capsys):
    setting = f"--objective.{term.replace('_', '-')}"
    assert refusal(capsys, "--model.name", "m2", setting, "2") == (
        f"error: objective.{term}: 2 is not used with model.name m2; set it to 0, or model.name to ccvae"
    )
    assert parse(["--model.name", "m2", setting, "0"]).config.model.name == "m2"
    assert getattr(parse([setting, "2"]).config.objective, term) == 2


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (
            ["--data.labeled-fraction", "0.05"],
            "--data.labeled-fraction: unknown setting; did you mean --data.labelled-fraction?",
        ),
        (
            ["--data.labeled-fraction=0.05"],
            "--data.labeled-fraction: unknown setting; did you mean --data.labelled-fraction?",
        ),
        (
            ["--training.batch_size", "8"],
            "--training.batch_size: unknown setting; did you mean --training.batch-size?",
        ),
        (["--epochs", "3"], "--epochs: unknown setting; did you mean --training.epochs?"),
        (["--training.epoch", "3"], "--training.epoch: unknown setting; did you mean --training.epochs?"),
        (["--rundir", "x"], "--rundir: unknown setting; did you mean --run-dir?"),
        (["--xyzzy", "3"], "--xyzzy: unknown setting; --help lists all settings"),
        (["train"], "train: not a setting; settings are written --training.epochs 10"),
        (["--training.epochs", "ten"], "--training.epochs: 'ten' is not an integer or auto"),
        (
            ["--data.label-kinds", "{harm: ordered}"],
            "--data.label-kinds: '{harm: ordered}' is not a mapping from names to one of binary, class, number, "
            "grade or a list of words, such as {age: number}; 'no' needs quotes",
        ),
        (
            ["--data.label-kinds", "{harm: [no, mild]}"],  # YAML's word for false
            "--data.label-kinds: '{harm: [no, mild]}' is not a mapping from names to one of binary, class, number, "
            "grade or a list of words, such as {age: number}; 'no' needs quotes",
        ),
        (["--training.epochs", "2.5"], "--training.epochs: '2.5' is not an integer or auto"),
        (["--training.epochs", "true"], "--training.epochs: 'true' is not an integer or auto"),
        (["--training.epochs", "{"], "--training.epochs: '{' is not an integer or auto"),
        (["--training.epochs", "0"], "--training.epochs: must be at least 1, got 0"),
        (["--training.epochs"], "--training.epochs: a value is missing"),
        (["--training.jit", "3"], "--training.jit: '3' is not true or false or auto"),
        (["--training.learning-rate", "fast"], "--training.learning-rate: 'fast' is not a number or auto"),
        (["--training.learning-rate", ".inf"], "--training.learning-rate: '.inf' is not a finite number"),
        (["--training.clip-norm", "0"], "--training.clip-norm: must be above 0, got 0"),
        (["--training.clip-norm", "none"], "--training.clip-norm: 'none' is not a number or null"),
        (["--data.labelled-fraction", "1.5"], "--data.labelled-fraction: must be at most 1, got 1.5"),
        (["--data.missing-rate", "1"], "--data.missing-rate: must be below 1, got 1"),
        (
            ["--data.labelled-share", "aut"],
            "--data.labelled-share: 'aut' is not a number or auto; did you mean auto?",
        ),
        (["--data.labelled-share", "1"], "--data.labelled-share: must be below 1, got 1"),
        (["--data.image-size", "65"], "--data.image-size: '65' is not one of 28, 32, 64, 128, 256"),
        (["--data.examples", "100"], "--data.examples: must be at least 120, got 100"),
        (
            ["--model.likelihood", "gausian"],
            "--model.likelihood: 'gausian' is not one of laplace, gaussian, bernoulli, continuous_bernoulli; "
            "did you mean gaussian?",
        ),
        (
            ["--model.encoder-widths", "[32, wide]"],
            "--model.encoder-widths: '[32, wide]' is not a list of integers such as [32, 64]",
        ),
        (["--model.encoder-widths", "32,0"], "--model.encoder-widths: must be at least 1, got 32,0"),
        (["--seed", "-1"], "--seed: must be at least 0, got -1"),
        (["--name", "a/b"], "--name: 'a/b' may only hold letters, digits, '.', '_' and '-'"),
        (
            ["--config", "missing.yaml"],
            f"--config: missing.yaml: no such file; there are {', '.join(f'configs/{x.name}' for x in CONFIG_FILES)}",
        ),
        (["--resume", "missing"], "--resume: missing/config.yaml: no such file"),
        (["--resume", "a", "--run-dir", "b"], "--run-dir: cannot be given together with --resume"),
        (["--resume", "a", "--config", "b"], "--config: cannot be given together with --resume"),
        (
            ["--data.name", "folder"],
            "--data.images: missing; --data.name folder needs --data.images, --data.labels",
        ),
        (["--data.name", "foldr"], f"--data.name: 'foldr' is not one of {SOURCES}; did you mean folder?"),
        (
            ["--data.name", "fashion-mnist"],
            f"--data.name: 'fashion-mnist' is not one of {SOURCES}; did you mean fashion_mnist?",
        ),
        (["--data.name", "tfds:"], f"--data.name: 'tfds:' is not one of {SOURCES}; did you mean tfds:<name>?"),
        (["--data.name", "chexpert"], "--data.path: missing; --data.name chexpert needs --data.path"),
        (
            ["--data.name", "chexpert", "--data.path", "gone"],
            f"--data.path: gone: no such folder (current directory: {Path.cwd()})",
        ),
        (
            ["--data.name", "celeba", "--data.path", "gone"],
            f"--data.path: gone: no such folder (current directory: {Path.cwd()})",
        ),
        (
            ["--data.path", "."],
            "--data.path: not used with --data.name avatars; "
            "set --data.name one of celeba, chexpert, mnist, fashion_mnist, tfds, huggingface",
        ),
        (
            ["--data.name", "celeba", "--data.uncertain", "positive"],
            "--data.uncertain: not used with --data.name celeba; set --data.name chexpert",
        ),
        (
            ["--data.uncertain", "postive"],
            "--data.uncertain: 'postive' is not one of missing, positive, negative; did you mean positive?",
        ),
        (["--data.augment", "shift,turn"], "--data.augment: 'shift,turn' is not a list of shift, flip, colour"),
        (
            ["--data.sided", "[Looks_Left]"],
            "--data.sided: not used without flip in data.augment; add flip there, or set data.sided to []",
        ),
        (
            ["--data.sided", "[Looks_Left]", "--data.augment", "[shift, colour]"],
            "--data.sided: not used without flip in data.augment; add flip there, or set data.sided to []",
        ),
        (
            ["--data.label-names", "[{a: b}]"],
            "--data.label-names: '[{a: b}]' is not a list of names such as [Smiling, Young]",
        ),
        (
            ["--data.images", "photos"],
            "--data.images: not used with --data.name avatars; set --data.name folder",
        ),
        (
            ["--data.labels", "labels.csv"],
            "--data.labels: not used with --data.name avatars; set --data.name folder",
        ),
    ],
)
def test_wrong_command_line_gives_one_line_that_names_the_argument(capsys, argv, line):
    assert refusal(capsys, *argv) == f"error: {line}"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("training: {epoch: 3}", "training.epoch: unknown setting; did you mean training.epochs?"),
        ("epochs: 3", "epochs: unknown setting; did you mean training.epochs?"),
        (
            "data: {labelled-fraction: 1}",
            "data.labelled-fraction: unknown setting; did you mean data.labelled_fraction?",
        ),
        ("trainning: {epochs: 3}", "trainning: unknown setting; did you mean training?"),
        ("1: 2", "1: unknown setting; --help lists all settings"),
        ("training: {epochs: ten}", "training.epochs: 'ten' is not an integer"),
        ("training: {epochs: '10'}", "training.epochs: '10' is not an integer"),
        ("training: {epochs: true}", "training.epochs: true is not an integer"),
        ("training: {epochs: [1]}", "training.epochs: [1] is not an integer"),
        ("training: {epochs: 0}", "training.epochs: must be at least 1, got 0"),
        ("training: 3", "training: 3 is not a group of settings"),
        ("seed: {a: 1}", 'seed: {"a": 1} is not an integer'),
        ("seed: 2020-01-01", "seed: '2020-01-01' is not an integer"),
        ("name: 3", "name: 3 is not text"),
        ("data: {images: 3}", "data.images: 3 is not a path or null"),
        ("data: {label_names: Smiling}", "data.label_names: 'Smiling' is not a list of names such as [Smiling, Young]"),
        ("data: {label_names: [1]}", "data.label_names: [1] is not a list of names such as [Smiling, Young]"),
        ("data: {augment: flip}", "data.augment: 'flip' is not a list of shift, flip, colour"),
        ("data: {sided: [Looks_Left]}", "data.sided: not used without flip in data.augment; add flip there"),
        ("data: {name: chexpert, path: x.yaml}", "data.path: x.yaml: no such folder"),
        ("data: {name: 3}", f"data.name: 3 is not one of {SOURCES}"),
        (
            "model: {likelihood: laplac}",
            "model.likelihood: 'laplac' is not one of laplace, gaussian, bernoulli, continuous_bernoulli; "
            "did you mean laplace?",
        ),
        ("seed: 1\nseed: 2", "line 2: seed is given twice"),
        ("seed: 1\nmodel: {latents: [3\ntraining: {}", "line 3: expected ',' or ']', but got ':'"),
        ("seed: 1\nname: !!python/name:os.system x", "line 2: could not determine a constructor for the tag"),
        ("seed: &a [*a]", "holds more than names, numbers, lists and groups"),
        ("just words", "must hold settings, one a line, such as 'seed: 0'"),
        ("data: {name: folder, labels: x.csv}", None),
        ("data: {name: folder, images: no, labels: x.csv}", "data.images: false is not a path or null"),
        ("data: {name: folder, images: none, labels: x.csv}", "data.images: none: no such folder"),
        ("data: {name: folder, images: ., labels: x.csv}", "data.labels: x.csv: no such file"),
        (
            "data: {name: folder, images: ., labels: x.yaml, validation_fraction: 0.5, test_fraction: 0.5}",
            "data.validation_fraction: together with data.test_fraction must leave examples for training",
        ),
        ("data: {images: a}", "data.images: not used with --data.name avatars; set --data.name folder"),
    ],
)
def test_wrong_file_gives_one_line_that_names_file_and_setting(capsys, yaml_file, text, line):
    printed = refusal(capsys, "--config", yaml_file(text + "\n"))
    if line is None:
        assert printed == "error: --data.images: missing; --data.name folder needs --data.images, --data.labels"
    else:
        assert printed.startswith(f"error: x.yaml: {line}")


def test_wrong_argument_on_top_of_a_good_file_names_the_argument(capsys, yaml_file):
    file = yaml_file("data: {name: folder, images: ., labels: x.yaml}\n")
    assert refusal(capsys, "--config", file, "--data.images", "gone").startswith("error: --data.images: gone: no such")


def test_file_that_is_not_text_is_refused(capsys, tmp_path):
    file = tmp_path / "x.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    assert refusal(capsys, "--config", str(file)) == f"error: {file}: not a text file in UTF-8"


def test_control_characters_in_a_file_are_refused_in_one_line(capsys, yaml_file):
    assert refusal(capsys, "--config", yaml_file("name: \x01\n")).startswith("error: x.yaml: unacceptable character")


def test_parse_raises_what_read_prints():
    with pytest.raises(ConfigError, match=r"--training\.epochs: 'ten' is not an integer"):
        parse(["--training.epochs", "ten"])


@pytest.mark.parametrize("source", [folder, huggingface], ids=["folder", "huggingface"])
def test_settings_that_a_source_takes_are_not_refused_with_it(source):
    taken = inspect.signature(source.load).parameters.keys() & USED_BY.keys()
    assert "unmarked" in taken
    assert not [setting for setting in taken if source.__name__.rpartition(".")[2] not in USED_BY[setting]]
