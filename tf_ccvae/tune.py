"""Searches for good settings: `python -m tf_ccvae.tune SWEEP [--to FOLDER] [--trials N] [--SETTING VALUE ...]`"""

import sys

from tf_ccvae.programs.tune import main

if __name__ == "__main__":
    sys.exit(main())
