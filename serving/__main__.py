"""Publishes exported models for TensorFlow Serving, and uses served ones.

python -m serving prepare EXPORT --to MODEL_BASE [--label stable=3] [--name ccvae] [--mount /models] [--force]
python -m serving label MODEL_BASE stable=2 [--name ccvae] [--mount /models]
python -m serving triton EXPORT --to REPOSITORY
python -m serving classify|encode|reconstruct --target grpc://localhost:8500 photo.png ...
python -m serving set_labels --target ... photo.png --label Smiling=1 --out DIR
python -m serving swap --target ... photo.png --donors other.png --label Smiling --out DIR
python -m serving generate --target ... --label Smiling=1 --count 4 --out DIR
python -m serving decode --target ... latents.npy --out DIR
python -m serving describe|status --target ...
python -m serving explore EXPORT

Numbers are printed as JSON, one line per image; pictures go to --out as PNG.
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from serving.errors import BadInput
from tf_ccvae.support.errors import UserError, reason
from tf_ccvae.support.parser import Parser, cautions_in_one_line, report

if TYPE_CHECKING:
    import numpy as np

    from serving.client import CCVAEClient

LABEL = re.compile("[A-Za-z0-9_.-]+")  # of versions: what stands in an address as it is


def parser() -> Parser:
    """The command line of everything but `explore`."""
    top = Parser("python -m serving", __doc__)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    published = Parser(add_help=False)
    published.add_argument("--name", default="ccvae", help="of the model (default: ccvae)")
    published.add_argument(
        "--mount", type=PurePosixPath, default=PurePosixPath("/models"), help="where the server sees MODEL_BASE"
    )
    one = commands.add_parser("prepare", help="publish an export", parents=[published])
    one.add_argument("export", type=Path, help="folder that python -m export has made")
    one.add_argument("--to", type=Path, required=True, metavar="MODEL_BASE", help="folder of the server's models")
    one.add_argument("--label", type=label_of, metavar="LABEL=VERSION", help="version label, such as stable=3")
    one.add_argument("--force", action="store_true", help="even if the version is older, or there already")
    one = commands.add_parser("label", help="move a version label", parents=[published])
    one.add_argument("base", type=Path, metavar="MODEL_BASE", help="folder of the server's models")
    one.add_argument("label", type=label_of, metavar="LABEL=VERSION", help="such as stable=2")
    one = commands.add_parser("triton", help="write a repository of the ONNX files for Triton")
    one.add_argument("export", type=Path, help="folder that python -m export has made")
    one.add_argument("--to", type=Path, required=True, metavar="REPOSITORY", help="folder of Triton's models")

    server = Parser(add_help=False)
    server.add_argument("--target", required=True, help="such as grpc://localhost:8500 or https://faces.example")
    server.add_argument("--model", default="ccvae", help="name of the model (default: ccvae)")
    server.add_argument("--version", type=int, help="of the model (default: the newest)")
    server.add_argument("--version-label", help="in place of --version")
    server.add_argument("--timeout", type=float, default=10.0, help="of one try, in seconds (default: 10)")
    server.add_argument("--retries", type=int, default=3, help="while the server is unavailable (default: 3)")
    server.add_argument("--ca", type=Path, help="file with the certificates to trust")
    server.add_argument("--description", type=Path, help="ccvae.json of the export (default: asked from the server)")
    pictures = Parser(add_help=False)
    pictures.add_argument("--out", type=Path, required=True, help="folder for the pictures")
    files = Parser(add_help=False)
    files.add_argument("files", nargs="+", metavar="FILE", help="PNG, JPEG, WebP or PGM")

    def add(name: str, what: str, *parents: Parser) -> Parser:
        return commands.add_parser(name, help=what, description=what, parents=[server, *parents])

    add("classify", "probabilities of each label and value", files)
    add("encode", "mean and deviation of each latent", files)
    add("reconstruct", "the images as the model sees them", files, pictures)
    one = add("set_labels", "the images with labels set", files, pictures)
    one.add_argument("--label", action="append", required=True, metavar="NAME=VALUE", help="such as Smiling=1")
    one = add("swap", "the images with a donor's characteristics", files, pictures)
    one.add_argument("--donors", nargs="+", required=True, metavar="FILE", help="one, or as many as images")
    one.add_argument("--label", action="append", required=True, metavar="NAME", help="which characteristic")
    one = add("generate", "new images with given labels", pictures)
    one.add_argument("--label", action="append", default=[], metavar="NAME=VALUE", help="such as Smiling=1")
    one.add_argument("--count", type=int, default=1, help="how many (default: 1)")
    one.add_argument("--seed", type=int, default=0, help="of the first (default: 0)")
    one = add("decode", "the images of latents", pictures)
    one.add_argument("latents", type=Path, help="array (n, latents), as numpy.save writes it")
    add("describe", "what the model is, as JSON")
    add("status", "state of each version")
    return top


def label_of(text: str) -> tuple[str, int]:
    """`stable=3` as a pair."""
    name, _, version = text.partition("=")
    if not LABEL.fullmatch(name) or not version.isdecimal():
        raise argparse.ArgumentTypeError(f"must be such as stable=3, got {text!r}")
    return name, int(version)


def main(argv: Sequence[str] | None = None) -> int:
    """The program; returns its exit code: 0, or 2 for bad input and for what a server refuses."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        if words[:1] == ["explore"]:
            from serving import explore

            return explore.main(words[1:])
        arguments = parser().parse_args(words)
        if arguments.command in ("prepare", "label"):
            publish_command(arguments)
        elif arguments.command == "triton":
            triton_command(arguments)
        else:
            client_command(arguments)
    except (UserError, OSError, ModuleNotFoundError) as error:
        return report(error)
    return 0


def publish_command(arguments: argparse.Namespace) -> None:
    """Publishes a version or moves a label; see `serving.publish`."""
    from tf_ccvae.support.startup import prepare

    prepare()
    from serving import publish

    if arguments.command == "label":
        publish.set_label(arguments.base, arguments.label, arguments.name, arguments.mount)
        print(f"{arguments.base / publish.CONFIG}: {arguments.label[0]} is version {arguments.label[1]}")
        return
    folder = publish.prepare(
        arguments.export, arguments.to, arguments.label, arguments.name, arguments.force, arguments.mount
    )
    print(f"Published: {folder}   Configuration: {arguments.to / publish.CONFIG}")


def triton_command(arguments: argparse.Namespace) -> None:
    """Writes a repository for Triton; see `serving.onnx_repository`."""
    from serving import onnx_repository

    for folder in onnx_repository.write(arguments.export, arguments.to):
        print(folder)


def client_command(arguments: argparse.Namespace) -> None:
    """One command of the client; the API key is read from CCVAE_API_KEY, where no list of processes shows it."""
    if arguments.target.startswith("grpc"):
        from tf_ccvae.support.startup import prepare

        prepare()
    from serving.client import CCVAEClient

    with (
        CCVAEClient(
            arguments.target,
            model=arguments.model,
            version=arguments.version,
            label=arguments.version_label,
            timeout=arguments.timeout,
            retries=arguments.retries,
            api_key=os.environ.get("CCVAE_API_KEY"),
            ca=arguments.ca,
            description=arguments.description,
        ) as client,
        cautions_in_one_line(),
    ):
        COMMANDS[arguments.command](client, arguments)


def classify(client: "CCVAEClient", arguments: argparse.Namespace) -> None:
    """Prints the probability of each value of each label, and the mean and deviation of each number label."""
    from serving.description import readable

    said = readable(client.classify(arguments.files), client.describe())
    for file, content in zip(arguments.files, said, strict=True):
        print_line({"file": file, **content})


def encode(client: "CCVAEClient", arguments: argparse.Namespace) -> None:
    """Prints mean and deviation of the latents."""
    posterior = client.encode(arguments.files)
    for file, loc, scale in zip(arguments.files, posterior["loc"], posterior["scale"], strict=True):
        print_line({"file": file, "loc": loc.tolist(), "scale": scale.tolist()})


def decode(client: "CCVAEClient", arguments: argparse.Namespace) -> None:
    """Writes the images of latents."""
    import numpy as np

    try:
        latents = np.load(arguments.latents, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise BadInput(f"{arguments.latents}: not an array that numpy.save wrote ({error})") from error
    write(client.decode(latents), arguments.out, [f"image{i}" for i in range(len(latents))])


def reconstruct(client: "CCVAEClient", arguments: argparse.Namespace) -> None:
    """Writes reconstructions."""
    write(client.reconstruct(arguments.files), arguments.out, stems(arguments.files))


def generate(client: "CCVAEClient", arguments: argparse.Namespace) -> None:
    """Writes new images."""
    new = client.generate(settings_of(client, arguments.label), arguments.count, arguments.seed)
    write(new["image"], arguments.out, [f"image{arguments.seed + i}" for i in range(arguments.count)])


def set_labels(client: "CCVAEClient", arguments: argparse.Namespace) -> None:
    """Writes images with labels set."""
    write(
        client.set_labels(arguments.files, settings_of(client, arguments.label)), arguments.out, stems(arguments.files)
    )


def swap(client: "CCVAEClient", arguments: argparse.Namespace) -> None:
    """Writes images with donors' characteristics."""
    write(client.swap(arguments.files, arguments.donors, arguments.label), arguments.out, stems(arguments.files))


def describe(client: "CCVAEClient", arguments: argparse.Namespace) -> None:
    """Prints ccvae.json."""
    print(json.dumps(client.describe(), indent=2))


def status(client: "CCVAEClient", arguments: argparse.Namespace) -> None:
    """Prints the state of each version."""
    for version, state, message in client.status():
        print(f"{arguments.model} version {version}: {state}{' ' + message if message else ''}")


COMMANDS: Mapping[str, Callable[["CCVAEClient", argparse.Namespace], None]] = {
    x.__name__: x for x in (classify, encode, decode, reconstruct, generate, set_labels, swap, describe, status)
}


def settings_of(client: "CCVAEClient", pairs: Sequence[str]) -> dict[str | int, str | float]:
    """`["Smiling=1"]` as a dict."""
    result: dict[str | int, str | float] = {}
    for pair in pairs:
        name, value = client.setting(pair)
        if name in result:
            raise BadInput(f"--label: {name} is given twice")
        result[name] = value
    return result


def stems(files: Sequence[str]) -> list[str]:
    """Names for the results of files; those of equal name are numbered."""
    names = [Path(x).stem for x in files]
    return [name if names.count(name) == 1 else f"{name}-{i}" for i, name in enumerate(names)]


def write(images: "np.ndarray", folder: Path, names: Sequence[str]) -> None:
    """Writes images as PNG and prints their paths."""
    from serving.images import save

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"--out: {folder}: {reason(error)}") from None
    for name, image in zip(names, images, strict=True):
        save(folder / f"{name}.png", image)
        print(folder / f"{name}.png")


def print_line(content: Mapping[str, object]) -> None:
    print(json.dumps(content))


if __name__ == "__main__":
    sys.exit(main())
