"""Measures a trained model: `python -m tf_ccvae.evaluate RUN [--split test]`."""

import sys

from tf_ccvae.programs.evaluate import main

if __name__ == "__main__":
    sys.exit(main())
