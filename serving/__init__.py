"""Serving of an exported CCVAE: TensorFlow Serving behind, a client in front, and a page that needs no server.

errors.py          what can go wrong, in one line each
images.py          image files and bytes to arrays, within limits
target.py          where a model is served, and which error an answer means
client.py          `CCVAEClient`, over gRPC (over_grpc.py) or REST (over_rest.py)
description.py     ccvae.json as the client uses it; values.py says what a value of a label means
publish.py         `prepare` and `set_label`: a version for a server, with warm-up requests and configuration
onnx_repository.py the ONNX files as Triton and KServe want them
explore.py         the page in explorer/ with an export: explorer_files.py collects its files, explorer_server.py serves
load_test.py       how many requests a server takes
__main__.py        the command line

servers/ holds the configuration files of the servers; README.md says how to use them.
"""
