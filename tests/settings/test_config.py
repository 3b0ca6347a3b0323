import subprocess
import sys
from pathlib import Path

import pytest

from tf_ccvae.labels import Labels
from tf_ccvae.settings import Config, ConfigError, check_data, number_of_latents, parse, read

ROOT = Path(__file__).resolve().parents[2]

# What is accepted.


def test_default_file_gives_the_avatars_run():
    command = read([])
    assert command.config.name == "avatars"
    assert command.config.data.name == "avatars"
    assert command.run_dir is None and command.resume is None


@pytest.mark.parametrize("file", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda file: file.name)
def test_every_config_in_the_repository_loads(file):
    assert Config.from_yaml(file).data.name


def test_defaults_without_a_file_equal_those_of_an_empty_file(yaml_file):
    assert Config.from_yaml(yaml_file("# nothing\n")) == Config()


def test_command_line_comes_before_file_and_file_before_defaults(yaml_file):
    file = yaml_file("training: {epochs: 7, batch_size: 8}\n")
    training = read(["--config", file, "--training.epochs", "3"]).config.training
    assert (training.epochs, training.batch_size, training.learning_rate) == (3, 8, "auto")


def test_last_of_two_equal_arguments_counts():
    assert read(["--seed", "1", "--seed", "2"]).config.seed == 2


@pytest.mark.parametrize(
    ("text", "value"),
    [("[32, 64]", (32, 64)), ("32,64", (32, 64)), ("128", (128,)), ("[]", ())],
)
def test_encoder_widths_on_the_command_line(text, value):
    assert read(["--model.encoder-widths", text]).config.model.encoder_widths == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[Smiling, Young]", ("Smiling", "Young")),
        ("Smiling,Young", ("Smiling", "Young")),
        ("Pleural Effusion", ("Pleural Effusion",)),
        ("[No, 5, 1e3]", ("No", "5", "1e3")),
        ("['a, b', c]", ("a, b", "c")),
        ("[]", ()),
    ],
)
def test_label_names_on_the_command_line(text, value):
    assert read(["--data.label-names", text]).config.data.label_names == value


def test_kinds_of_labels_and_the_order_of_words_mean_the_same_everywhere(yaml_file, tmp_path):
    text = "{age: number, stage: grade, harm: [none, mild, severe], 'on': [2, 1]}"
    config = parse(["--data.name", "huggingface:x", "--data.label-kinds", text]).config
    assert config.data.label_kinds == {
        "age": "number",
        "stage": "grade",
        "harm": ("none", "mild", "severe"),
        "on": (2, 1),
    }
    assert Config.from_yaml(yaml_file(f"data: {{label_kinds: {text}}}")).data.label_kinds == config.data.label_kinds
    config.to_yaml(tmp_path / "written.yaml")
    assert Config.from_yaml(tmp_path / "written.yaml") == config


@pytest.mark.parametrize(
    ("text", "value"), [("[shift, flip]", ("shift", "flip")), ("flip,colour", ("flip", "colour")), ("[]", ())]
)
def test_augmentation_on_the_command_line(text, value):
    assert read(["--data.augment", text]).config.data.augment == value


@pytest.mark.parametrize("name", ["celeba", "mnist", "fashion_mnist", "tfds:oxford_flowers102", "huggingface:a/b-c"])
def test_names_of_data_that_are_accepted(yaml_file, name):
    assert read(["--data.name", name]).config.data.name == name
    assert Config.from_yaml(yaml_file(f"data: {{name: '{name}'}}\n")).data.name == name


@pytest.mark.parametrize(
    ("argument", "text", "value"),
    [
        ("training.learning_rate", "1e-4", 1e-4),
        ("training.learning_rate", "1", 1.0),
        ("training.clip_norm", "null", None),
        ("training.clip_norm", "5", 5.0),
        ("training.jit", "true", True),
        ("training.jit", "auto", "auto"),
        ("data.image_size", "28", 28),
        ("data.labelled_share", "auto", "auto"),
        ("data.labelled_share", "0.5", 0.5),
        ("model.likelihood_scale", "learned", "learned"),
    ],
)
def test_values_mean_the_same_on_the_command_line_and_in_a_file(yaml_file, argument, text, value):
    section, name = argument.split(".")
    option = f"--{argument.replace('_', '-')}"
    for config in (
        read([option, text]).config,
        read([f"{option}={text}"]).config,
        Config.from_yaml(yaml_file(f"{section}:\n  {name}: {text}\n")),
    ):
        got = getattr(getattr(config, section), name)
        assert got == value and type(got) is type(value)


def test_yaml_round_trip_keeps_every_setting(tmp_path):
    config = Config.model_validate(
        {
            "name": "1e3",
            "seed": 5,
            "data": {
                "name": "folder",
                "images": "a/b",
                "labels": "c.csv",
                "image_size": 28,
                "labelled_share": 0.25,
                "label_names": ["No", "5", "a, b"],
                "augment": ["shift", "flip"],
                "sided": ["No"],
            },
            "model": {"encoder_widths": [8, 16], "likelihood_scale": "learned"},
            "training": {"learning_rate": 1e-7, "clip_norm": 2.5, "early_stopping": 4, "jit": True},
        }
    )
    config.to_yaml(tmp_path / "config.yaml")
    assert Config.from_yaml(tmp_path / "config.yaml") == config
    assert [file.name for file in tmp_path.iterdir()] == ["config.yaml"]


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    file = tmp_path / "config.yaml"
    Config(seed=1).to_yaml(file)

    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", broken)
    with pytest.raises(OSError, match="disk full"):
        Config(seed=2).to_yaml(file)
    assert Config.from_yaml(file).seed == 1
    assert [file.name for file in tmp_path.iterdir()] == ["config.yaml"]


def test_settings_cannot_change():
    with pytest.raises(ValueError, match="frozen"):
        Config().seed = 3


def test_run_name_is_the_stem_of_the_file_unless_given(yaml_file, tmp_path):
    (tmp_path / "my run.yaml").write_text("seed: 1\n")
    assert read(["--config", "my run.yaml"]).config.name == "my-run"
    assert read(["--config", yaml_file("name: first\n")]).config.name == "first"
    assert read(["--config", "x.yaml", "--name", "second"]).config.name == "second"


def test_run_dir_is_not_part_of_the_settings():
    command = read(["--run-dir", "somewhere"])
    assert command.run_dir == Path("somewhere")
    assert "run_dir" not in command.config.dump()


def test_resume_reads_the_settings_of_the_run_and_overrides_them(tmp_path):
    Config(name="old", seed=9).to_yaml(tmp_path / "config.yaml")
    command = read(["--resume", str(tmp_path), "--training.epochs", "50"])
    assert command.resume == tmp_path
    assert (command.config.name, command.config.seed, command.config.training.epochs) == ("old", 9, 50)


def test_paths_are_relative_to_the_current_directory(yaml_file, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "labels.csv").write_text("file,smile\n")
    (tmp_path / "configs").mkdir()
    Path("configs/x.yaml").write_text("data: {name: folder, images: images, labels: labels.csv}\n")
    assert read(["--config", "configs/x.yaml"]).config.data.images == Path("images")


# Saved runs and numbers of latents.


def test_saved_run_can_be_read_where_its_data_are_not(yaml_file):
    config = Config.from_yaml(yaml_file("data: {name: folder, images: gone, labels: gone.csv}\n"))
    with pytest.raises(ConfigError, match=r"data\.images: gone: no such folder"):
        check_data(config)


def test_too_few_latents_for_the_labels_are_refused():
    config = Config.model_validate({"model": {"latents": 5, "latents_per_label": 2}})
    assert number_of_latents(config, Labels.of_binary(["a", "b"])) == 5
    with pytest.raises(ConfigError, match=r"model\.latents: 5 is too small for 3 labels .* at least 6"):
        number_of_latents(config, Labels.of_binary(["a", "b", "c"]))


@pytest.mark.parametrize(
    ("name", "expected"), [("ccvae", 3 * 2 + 7), ("m2", 7), ("mvae", 3 + 7), ("vae_classifier", 3 + 7)]
)
def test_style_latents_come_beside_those_of_the_labels(name, expected):
    config = Config.model_validate({"model": {"name": name, "style_latents": 7, "latents_per_label": 2}})
    assert number_of_latents(config, Labels.of_binary(["a", "b", "c"])) == expected


def test_a_file_with_the_total_of_latents_is_read_and_written_back_as_it_was(yaml_file, tmp_path):
    config = Config.from_yaml(yaml_file("model: {latents: 45}\n"))
    assert (config.model.latents, config.model.style_latents) == (45, "auto")
    config.to_yaml(tmp_path / "again.yaml")
    assert Config.from_yaml(tmp_path / "again.yaml") == config


def test_two_numbers_of_latents_are_refused(yaml_file):
    with pytest.raises(ConfigError, match=r"model\.latents: .* cannot be given together with model\.style_latents"):
        Config.from_yaml(yaml_file("model: {latents: 45, style_latents: 9}"))


@pytest.mark.parametrize(
    ("argument", "file", "expected"),
    [
        ("--model.latents", "model: {style_latents: 9}", (45, "auto")),
        ("--model.style-latents", "model: {latents: 9}", (None, 45)),
    ],
)
def test_a_number_of_latents_on_the_command_line_replaces_either(argument, file, expected, yaml_file):
    model = read(["--config", str(yaml_file(file)), argument, "45"]).config.model
    assert (model.latents, model.style_latents) == expected


def test_no_total_of_latents_on_the_command_line_leaves_the_number_of_style_latents(yaml_file):
    model = read(["--config", yaml_file("model: {style_latents: 9}"), "--model.latents", "null"]).config.model
    assert (model.latents, model.style_latents) == (None, 9)


def test_both_numbers_of_latents_on_the_command_line_are_refused():
    with pytest.raises(ConfigError, match=r"--model\.latents: .* cannot be given together"):
        parse(["--model.latents", "45", "--model.style-latents", "9"])


# The command line as a program.


def run(*argv):
    code = "import sys; from tf_ccvae.settings import read; print(read(sys.argv[1:], 'fit').config.dump())"
    code += "; assert not {'tensorflow', 'keras'} & set(sys.modules)"
    return subprocess.run([sys.executable, "-c", code, *argv], capture_output=True, text=True, cwd=ROOT, check=False)


@pytest.mark.programs
def test_program_prints_one_line_and_exits_with_2():
    done = run("--data.labeled-fraction", "0.05")
    assert done.returncode == 2
    assert done.stderr == ("error: --data.labeled-fraction: unknown setting; did you mean --data.labelled-fraction?\n")
    assert done.stdout == ""


@pytest.mark.programs
def test_program_reads_settings_without_tensorflow():
    done = run("--training.epochs", "2")
    assert done.returncode == 0, done.stderr
    assert "epochs: 2\n" in done.stdout


def test_help_lists_every_setting_with_type_default_and_description(capsys):
    with pytest.raises(SystemExit) as stopped:
        read(["--help"])
    text = capsys.readouterr().out
    assert stopped.value.code == 0
    assert max(len(line) for line in text.splitlines()) <= 100
    words = " ".join(text.split())
    for section, settings in [("", Config), *((f"{k}.", type(v)) for k, v in Config())]:
        for name, field in getattr(settings, "model_fields", {}).items():
            if f"{section}{name}" in ("data", "model", "objective", "training", "export", "tracking"):
                continue
            assert f"--{section}{name.replace('_', '-')} " in text
            assert field.description and field.description in words
    assert words.count("(default: ") == text.count("  --") - len(["--version"])
    assert "--data.labelled-share {float,auto}" in text
    assert "(default: None)" not in words


def test_version(capsys):
    from tf_ccvae import __version__

    with pytest.raises(SystemExit) as stopped:
        read(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"tf_ccvae {__version__}\n"
