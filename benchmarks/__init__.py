"""Measurements that take time: each is a program, `python -m benchmarks.NAME`; README.md here lists them.

The environment is set here, before any of them imports TensorFlow.
"""

from tf_ccvae.support.startup import set_environment

set_environment()
