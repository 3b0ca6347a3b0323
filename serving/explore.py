"""Opens the explorer, a page that plays with an exported model in the browser.

python -m serving explore EXPORT [--port N] [--no-browser]
python -m serving explore EXPORT --to FOLDER

The first serves page and export to this machine alone until it is interrupted. The second writes both into a folder
that any static host can serve. Nothing but the page's files, ccvae.json, two ONNX files and a gallery of real images,
which the export holds to be verified with, is ever served.
"""

import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from serving.errors import ExploreError
from serving.explorer_files import site, write
from serving.explorer_server import Serving, serving
from tf_ccvae.support.errors import UserError
from tf_ccvae.support.parser import Parser, report


def parser() -> Parser:
    """The command line."""
    command_line = Parser("python -m serving explore", __doc__)
    command_line.add_argument("export", type=Path, help="folder that python -m export has made, with ONNX files")
    command_line.add_argument("--port", type=int, default=0, help="of the server (default: any that is free)")
    command_line.add_argument("--no-browser", action="store_true", help="only print the address")
    command_line.add_argument("--to", type=Path, help="write a folder for a static host instead of serving")
    return command_line


def main(argv: Sequence[str] | None = None) -> int:
    """The program; returns its exit code: 0, or 2 for bad input."""
    try:
        arguments = parser().parse_args(sys.argv[1:] if argv is None else argv)
        if not 0 <= arguments.port < 2**16:
            raise ExploreError(f"--port: must be 0 to {2**16 - 1}, got {arguments.port}")
        files = site(arguments.export)
        if arguments.to is not None:
            write(files, arguments.to)
            print(f"Site: {arguments.to}   Put it on any static host.")
            return 0
        return serve(serving(files, arguments.port), not arguments.no_browser)
    except (UserError, OSError) as error:
        return report(error)


def serve(bound: Serving, browser: bool) -> int:
    """Answers until it is interrupted."""
    print(f"Explorer: {bound.address}   Stop with Ctrl+C.", flush=True)
    if browser:
        webbrowser.open(bound.address)
    with bound.server:
        try:
            bound.server.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0
