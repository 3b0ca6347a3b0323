"""What pyproject.toml cannot say: in the wheel, `export` and `serving` are parts of tf_ccvae, and the page is added.

Other projects call packages `export` and `serving` too, so that a wheel with those names at its top could overwrite
theirs. In a wheel they are `tf_ccvae.export` and `tf_ccvae.serving`, and imports and commands in the code are written
accordingly when it is copied. An editable installation (`pip install -e .`) leaves the names of the repository.
"""

import re
import shutil
import sys
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

EDITABLE = "editable_wheel" in sys.argv or "develop" in sys.argv
MOVED = ("export", "serving")
PAGE = Path("serving/explorer/dist")
IMPORTS = re.compile(r"^(\s*from )(export|serving)(?=[. ])", re.MULTILINE)
COMMANDS = re.compile(r"(python -m )(export|serving)\b")


class Build(build_py):
    """Copies the code under the names of the wheel."""

    def run(self) -> None:
        if not EDITABLE and not (PAGE / "index.html").is_file():
            self.warn(
                "the page of `explore` is not built and will be missing; before this: "
                "cd serving/explorer && npm ci --ignore-scripts && npm run build"
            )
        if not EDITABLE:  # what an earlier build has left there would come into the wheel, such as an older page
            shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()

    def build_module(self, module, module_file, package):  # type: ignore[no-untyped-def]
        made, copied = super().build_module(module, module_file, package)
        if not EDITABLE:
            path = Path(made)
            text = path.read_text(encoding="utf-8")
            named = COMMANDS.sub(r"\1tf_ccvae.\2", IMPORTS.sub(r"\1tf_ccvae.\2", text))
            if named != text:
                path.write_text(named, encoding="utf-8")
        return made, copied


prefix = "" if EDITABLE else "tf_ccvae."
own = find_packages(include=["tf_ccvae*"])
moved = find_packages(include=["export", "export.*", "serving", "serving.*"])
scripts = {
    "fit": "tf_ccvae.fit",
    "intervene": "tf_ccvae.intervene",
    "evaluate": "tf_ccvae.evaluate",
    "export": f"{prefix}export.__main__",
    "serve": f"{prefix}serving.__main__",
}
setup(
    packages=[*own, *(prefix + name for name in moved), *([] if EDITABLE else ["tf_ccvae.configs"])],
    package_dir={} if EDITABLE else {**{prefix + name: name for name in MOVED}, "tf_ccvae.configs": "configs"},
    package_data={
        "tf_ccvae.evaluation": ["*.jinja"],
        "tf_ccvae.configs": ["*.yaml"],
        f"{prefix}export": ["*.json"],
        f"{prefix}serving": ["explorer/dist/*", "explorer/dist/**/*"],
    },
    include_package_data=False,
    entry_points={"console_scripts": [f"ccvae-{name} = {module}:main" for name, module in scripts.items()]},
    cmdclass={"build_py": Build},
)
