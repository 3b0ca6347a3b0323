"""What importing the package and starting a program do, each in a process of its own."""

import json
import os
import subprocess
import sys

import keras
import pytest

from tests import processes
from tf_ccvae import intervene
from tf_ccvae.labels import Labels
from tf_ccvae.models.ccvae import CCVAE


def python(code, **environment):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("TF_", "KERAS_", "MPL", "MATPLOTLIB"))}
    done = subprocess.run([sys.executable, "-c", code], env={**clean, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


def test_programs_switch_onednn_on_before_tensorflow_is_imported_and_that_says_nothing():
    code = (
        "from tf_ccvae.support.startup import prepare; prepare(); import os;"
        "print(os.environ['TF_ENABLE_ONEDNN_OPTS']);"
        "from tensorflow.python.util import _pywrap_util_port as port; print(port.IsMklEnabled())"
    )
    done = python(code)
    assert done.stdout.split() == ["1", "True"]
    assert done.stderr == ""  # TensorFlow starts without a word


def test_programs_leave_what_the_user_has_set():
    code = (
        "from tf_ccvae.support.startup import prepare; prepare(); import os; print(os.environ['TF_ENABLE_ONEDNN_OPTS'])"
    )
    assert python(code, TF_ENABLE_ONEDNN_OPTS="0").stdout.split() == ["0"]


def test_what_was_held_back_is_shown_when_the_start_fails():
    code = (
        "import os\nfrom tf_ccvae.support import startup\n"
        "try:\n with startup.held_back_stderr():\n  os.write(2, b'why it failed'); raise RuntimeError\n"
        "except RuntimeError: pass"
    )
    assert "why it failed" in python(code).stderr


def test_importing_the_package_and_reading_settings_does_not_import_tensorflow():
    code = "import sys, tf_ccvae, tf_ccvae.settings, tf_ccvae.data.avatars; print('tensorflow' in sys.modules)"
    assert python(code).stdout.split() == ["False"]


@pytest.mark.parametrize(
    "order", ["import tf_ccvae, keras", "import keras, tf_ccvae", "import tf_ccvae.interventions, keras"]
)
def test_keras_knows_the_classes_once_the_package_is_imported(order):
    code = f"{order}; print(keras.saving.get_registered_object('tf_ccvae>CCVAE').__name__)"
    assert python(code, TF_CPP_MIN_LOG_LEVEL="3").stdout.split() == ["CCVAE"]


@pytest.mark.parametrize("module", ["models.likelihood", "models.networks", "training.measures"])
def test_every_module_can_be_imported_first(module, tmp_path):
    processes.run(f"tf_ccvae.{module}", output=tmp_path / "said.txt")


# The user's other work ------------------------------------------------------------------------------------------------

SETTINGS = (
    "import json, keras, matplotlib; c = keras.config;"
    "print(json.dumps([c.backend(), c.floatx(), c.image_data_format(), c.epsilon(), c.max_epochs(),"
    "matplotlib.rcParams['text.usetex'], matplotlib.rcParams['font.size'], matplotlib.get_backend().lower()]))"
)


@pytest.fixture
def other_work(tmp_path):
    """The environment of a user whose other programs use other settings of Keras and matplotlib."""
    settings = {"floatx": "float16", "epsilon": 0.1, "backend": "torch", "image_data_format": "channels_first"}
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nfont.size: 40\nbackend: pdf\n")
    return {
        "KERAS_HOME": str(tmp_path),
        "KERAS_MAX_EPOCHS": "1",
        "MATPLOTLIBRC": str(tmp_path / "matplotlibrc"),
        "MPLBACKEND": "svg",
    }


def test_programs_keep_out_settings_of_the_users_other_work(other_work):
    code = f"from tf_ccvae.support.startup import prepare; prepare(); {SETTINGS}"
    said = python(code, KERAS_BACKEND="torch", **other_work).stdout
    assert json.loads(said) == ["tensorflow", "float32", "channels_last", 1e-7, None, False, 10.0, "agg"]


def test_importing_the_package_changes_no_settings_of_other_libraries(other_work):
    code = f"import tf_ccvae; {SETTINGS}"
    said = python(code, KERAS_BACKEND="torch", **other_work).stdout
    assert json.loads(said) == ["torch", "float16", "channels_first", 0.1, 1, True, 40.0, "svg"]


def test_models_on_another_backend_are_refused_in_one_line():
    code = "import tf_ccvae, keras\ntry:\n import tf_ccvae.models.ccvae\nexcept ImportError as error: print(error)"
    line = python(code, KERAS_BACKEND="torch").stdout
    assert "Keras runs on torch" in line and "set KERAS_BACKEND=tensorflow" in line and line.count("\n") == 1


@pytest.mark.parametrize(("name", "value"), [("floatx", "float16"), ("image_data_format", "channels_first")])
def test_models_are_refused_where_keras_makes_other_layers_and_programs_put_that_right(name, value, tiny_run, tmp_path):
    change = getattr(keras.config, f"set_{name}")
    before = getattr(keras.config, name)()
    try:
        change(value)
        with pytest.raises(ValueError, match=rf"Keras's {name} is {value} here.*keras\.config\.set_{name}"):
            CCVAE((28, 28, 1), labels=Labels.of_binary(["a"]), latents=3, widths=(4, 4, 4), hidden=8)
        assert intervene.main([str(tiny_run), "generate", "--count", "1", "--out", str(tmp_path / "x.png")]) == 0
        assert getattr(keras.config, name)() == before
    finally:
        change(before)
