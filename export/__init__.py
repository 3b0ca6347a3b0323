"""Exports a trained CCVAE: SavedModel, ONNX and LiteRT files that are verified when they are written.

errors.py          what can go wrong, in one line each
signatures.py      the one table of what is exported; every format is generated from it
sidecar.py         ccvae.json, what a program needs to know about the model beside its files
saved_model.py     onnx.py  litert.py  compress.py     one format or precision each
verify.py          each artefact against Keras, and the manifest; repeated later with onnxruntime alone
run.py             `export_run`, which does all of it; `python -m export` is its command line
import_pytorch.py  the other way: weights of the official PyTorch programs to a run directory

Importing the package, or `export.verify`, imports neither TensorFlow nor Keras.
"""

FORMATS = ("saved_model", "onnx", "litert")
LAYOUTS = ("nhwc", "nchw")  # of images
