"""What importing the package and starting a program do, each in a process of its own."""

import importlib
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
from tf_ccvae.support import startup


def python(code, **environment):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("TF_", "KERAS_", "MPL", "MATPLOTLIB"))}
    done = subprocess.run([sys.executable, "-c", code], env={**clean, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


def test_programs_leave_what_the_user_has_set():
    code = (
        "from tf_ccvae.support.startup import set_environment; set_environment();"
        "import os; print(os.environ['TF_ENABLE_ONEDNN_OPTS'])"
    )
    assert python(code, TF_ENABLE_ONEDNN_OPTS="0").stdout.split() == ["0"]


def test_what_was_held_back_is_shown_when_the_start_fails():
    code = (
        "import os\nfrom tf_ccvae.support import startup\n"
        "try:\n with startup.held_back_stderr():\n  os.write(2, b'why it failed'); raise RuntimeError\n"
        "except RuntimeError: pass"
    )
    assert "why it failed" in python(code).stderr


def test_what_keras_does_not_need_is_imported_by_no_start_and_can_be_imported_afterwards():
    code = (
        "import sys\nfrom tf_ccvae.support.startup import OPTIONAL, prepare\nprepare()\nimport keras\n"
        "print(sorted(set(OPTIONAL) & set(sys.modules)))\n"
        "import matplotlib.pyplot, pandas, sklearn.metrics\nprint(keras.ops.sum([1.0, 2.0]).numpy())"
    )
    assert python(code).stdout.split("\n")[:2] == ["[]", "3.0"]


def test_packages_that_were_loaded_before_stay_and_those_left_out_come_back(monkeypatch):
    monkeypatch.delitem(sys.modules, "wave", raising=False)
    with startup.left_out(["wave", "json"]):
        assert sys.modules["json"] is json
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("wave")
    assert "wave" not in sys.modules
    assert importlib.import_module("wave").open


def test_importing_the_package_and_reading_settings_does_not_import_tensorflow():
    code = "import sys, tf_ccvae, tf_ccvae.settings, tf_ccvae.data.avatars; print('tensorflow' in sys.modules)"
    assert python(code).stdout.split() == ["False"]


def test_keras_knows_the_classes_once_the_package_is_imported_in_whatever_order():
    orders = ("import tf_ccvae, keras", "import keras, tf_ccvae", "import tf_ccvae.interventions, keras")
    code = (
        "import os, sys, tensorflow\n"  # which imports neither, and takes longest
        f"for order in {orders}:\n"
        "    if not os.fork():\n"
        "        exec(order)\n"
        "        print(keras.saving.get_registered_object('tf_ccvae>CCVAE').__name__, flush=True)\n"
        "        os._exit(0)\n"
        "    os.wait()\n"
    )
    assert python(code, TF_CPP_MIN_LOG_LEVEL="3").stdout.split() == ["CCVAE"] * len(orders)


@pytest.mark.parametrize("module", ["models.likelihood", "models.networks", "training.measures"])
def test_every_module_can_be_imported_first(module, tmp_path):
    processes.run(f"tf_ccvae.{module}", output=tmp_path / "said.txt")


# The user's other work ------------------------------------------------------------------------------------------------

SETTINGS = (
    "import json, keras, matplotlib; c = keras.config;"
    "print(json.dumps([c.backend(), c.floatx(), c.image_data_format(), c.epsilon(), c.max_epochs(),"
    "matplotlib.rcParams['text.usetex'], matplotlib.rcParams['font.size'], matplotlib.get_backend().lower()]))"
)


@pytest.fixture(scope="module")
def other_work(tmp_path_factory):
    """The environment of a user whose other programs use other settings of Keras and matplotlib."""
    place = tmp_path_factory.mktemp("other_work")
    settings = {"floatx": "float16", "epsilon": 0.1, "backend": "torch", "image_data_format": "channels_first"}
    (place / "keras.json").write_text(json.dumps(settings))
    (place / "matplotlibrc").write_text("text.usetex: True\nfont.size: 40\nbackend: pdf\n")
    return {
        "KERAS_HOME": str(place),
        "KERAS_BACKEND": "torch",
        "KERAS_MAX_EPOCHS": "1",
        "MATPLOTLIBRC": str(place / "matplotlibrc"),
        "MPLBACKEND": "svg",
    }


@pytest.fixture(scope="module")
def program(other_work):
    """What a program of ours says of oneDNN and of the settings, in the environment of that user."""
    code = (
        "from tf_ccvae.support.startup import prepare; prepare(); import os;"
        "print(os.environ['TF_ENABLE_ONEDNN_OPTS']);"
        "from tensorflow.python.util import _pywrap_util_port as port; print(port.IsMklEnabled());" + SETTINGS
    )
    return python(code, **other_work)


@pytest.fixture(scope="module")
def users_own(other_work):
    """What a program of that user says of the settings once it has imported the package, and of our models."""
    models = "\ntry:\n import tf_ccvae.models.ccvae\nexcept ImportError as error: print(error)"
    return python(f"import tf_ccvae; {SETTINGS}{models}", **other_work).stdout.splitlines()


def test_programs_switch_onednn_on_before_tensorflow_is_imported_and_that_says_nothing(program):
    assert program.stdout.split()[:2] == ["1", "True"]
    assert program.stderr == ""  # TensorFlow starts without a word


def test_programs_keep_out_settings_of_the_users_other_work(program):
    settings = json.loads(program.stdout.splitlines()[2])
    assert settings == ["tensorflow", "float32", "channels_last", 1e-7, None, False, 10.0, "agg"]


def test_importing_the_package_changes_no_settings_of_other_libraries(users_own):
    assert json.loads(users_own[0]) == ["torch", "float16", "channels_first", 0.1, 1, True, 40.0, "svg"]


def test_models_on_another_backend_are_refused_in_one_line(users_own):
    (line,) = users_own[1:]
    assert "Keras runs on torch" in line and "set KERAS_BACKEND=tensorflow" in line


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
