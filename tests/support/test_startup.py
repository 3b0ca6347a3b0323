"""What importing the package and starting a program do, each in a process of its own."""

import os
import subprocess
import sys

import pytest

from tests import processes


def python(code, **environment):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TF_")}
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
        "import os\nfrom tf_ccvae import startup\n"
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


@pytest.mark.parametrize("module", ["distributions", "networks", "measures"])
def test_every_module_can_be_imported_first(module, tmp_path):
    processes.run(f"tf_ccvae.{module}", output=tmp_path / "said.txt")
