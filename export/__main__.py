"""Exports a trained CCVAE as SavedModel, ONNX and LiteRT files, each verified against Keras before it is kept.

python -m export RUN --to DIR [--formats saved_model onnx litert] [--layout nhwc|nchw] [--float16]
                              [--int8-encoder] [--version N] [--images FILE.npy] [--data.path FOLDER]
python -m export verify DIR [--images FILE.npy]

`verify` checks an export again, here or elsewhere; it needs numpy and onnxruntime only.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from export import FORMATS, LAYOUTS
from export.errors import ExportError
from tf_ccvae.support.errors import UserError
from tf_ccvae.support.parser import Parser, report

if TYPE_CHECKING:
    import numpy as np


def parser() -> Parser:
    """The command line of an export."""
    from tf_ccvae.programs.run_inputs import add_places

    command_line = Parser("python -m export", __doc__)
    command_line.add_argument("run", type=Path, help="run directory that tf_ccvae.fit has made")
    command_line.add_argument("--to", type=Path, required=True, help="folder for the artefacts")
    command_line.add_argument("--formats", nargs="+", choices=FORMATS, default=FORMATS, help="which (default: all)")
    command_line.add_argument("--layout", choices=LAYOUTS, default="nhwc", help="of images (default: nhwc)")
    command_line.add_argument(
        "--float16", action="store_true", help="also ONNX encoder and decoder with float16 weights"
    )
    command_line.add_argument("--int8-encoder", action="store_true", help="also the ONNX encoder in int8")
    command_line.add_argument("--version", type=int, help="number of the SavedModel (default: the next free one)")
    command_line.add_argument("--images", type=Path, help="real images, as numpy.save writes them (default: the run's)")
    add_places(command_line)
    return command_line


def verify_parser() -> Parser:
    """The command line of `verify`."""
    command_line = Parser("python -m export verify", "Checks an export again.")
    command_line.add_argument("folder", type=Path, help="folder that an export has made")
    command_line.add_argument("--images", type=Path, help="other images to run too, as numpy.save writes them")
    return command_line


def main(argv: Sequence[str] | None = None) -> int:
    """The program; returns its exit code: 0, 1 if a check fails, 2 for bad input."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if arguments[:1] == ["verify"]:
            return verify_command(verify_parser().parse_args(arguments[1:]))
        return export_command(parser().parse_args(arguments))
    except (UserError, OSError, ModuleNotFoundError) as error:
        return report(error)


def verify_command(arguments: argparse.Namespace) -> int:
    """Checks an export again; see `export.verify`."""
    from export import verify

    for path, result in verify.verify(arguments.folder, _images(arguments.images)).items():
        labels = f", {result['equal_labels']:.1%} equal labels" if "equal_labels" in result else ""
        print(f"{path:35} error {verify.largest_error(result):.1e}{labels}")
    print(f"{arguments.folder}: as exported")
    return 0


def export_command(arguments: argparse.Namespace) -> int:
    """Exports and verifies; see `export.run`."""
    if not arguments.run.is_dir():
        raise ExportError(f"{arguments.run}: no such run directory")
    from tf_ccvae.support.startup import prepare

    prepare()
    from export import run
    from tf_ccvae.programs.run_inputs import places_of

    options = run.Options(
        tuple(arguments.formats), arguments.layout, arguments.float16, arguments.int8_encoder, arguments.version
    )
    images = _images(arguments.images)
    run.export_run(arguments.run, arguments.to, options, images, report=print, places=places_of(arguments))
    print(f"Export: {arguments.to}   Check again: python -m export verify {arguments.to}")
    return 0


def _images(path: Path | None) -> "np.ndarray | None":
    if path is None:
        return None
    import numpy as np

    try:
        return np.load(path)
    except (OSError, ValueError) as error:
        raise ExportError(f"--images: {path}: not an array that numpy.save wrote ({error})") from error


if __name__ == "__main__":
    sys.exit(main())
