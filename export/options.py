"""What an export consists of, checked before anything is read or written."""

from dataclasses import dataclass

from export import FORMATS, LAYOUTS
from export.errors import ExportError
from tf_ccvae.support.packages import is_missing, missing_package

NEEDED = {  # modules that write and check a format
    "saved_model": ("tensorflow",),
    "onnx": ("onnx", "tf2onnx", "onnxruntime"),
    "litert": ("tensorflow", "ai_edge_litert"),
}


@dataclass(frozen=True)
class Options:
    """What to export.

    Args:
      formats: some of `FORMATS`.
      layout: of images, 'nhwc' or 'nchw'.
      float16: also ONNX encoder and decoder with weights in float16.
      int8_encoder: also the ONNX encoder in int8.
      version: number of the SavedModel's folder; None for the next free one.

    Raises:
      ExportError: a format is unknown or cannot be written here, or an option lacks its format.
    """

    formats: tuple[str, ...] = FORMATS
    layout: str = "nhwc"
    float16: bool = False
    int8_encoder: bool = False
    version: int | None = None

    def __post_init__(self) -> None:
        if not self.formats or set(self.formats) - set(FORMATS):
            raise ExportError(f"--formats: must be some of {', '.join(FORMATS)}, got {', '.join(self.formats)}")
        if self.layout not in LAYOUTS:
            raise ExportError(f"--layout: must be nhwc or nchw, got {self.layout}")
        if self.version is not None and self.version < 1:
            raise ExportError(f"--version: must be at least 1, got {self.version}")
        for option, chosen in (("--float16", self.float16), ("--int8-encoder", self.int8_encoder)):
            if chosen and "onnx" not in self.formats:
                raise ExportError(f"{option}: makes ONNX files; add onnx to --formats")
        for name in self.formats:
            for module in filter(is_missing, NEEDED[name]):
                raise ExportError(f"--formats: {name} {missing_package(module)}")
