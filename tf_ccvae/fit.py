"""Trains a CCVAE: `python -m tf_ccvae.fit [--config FILE] [--SETTING VALUE ...]`; `--help` lists every setting."""

import sys

from tf_ccvae.programs.fit import main

if __name__ == "__main__":
    sys.exit(main())
