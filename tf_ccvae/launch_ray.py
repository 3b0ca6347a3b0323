"""Trains with workers of Ray: `python -m tf_ccvae.launch_ray --workers 2 --run-dir RUN [--SETTING VALUE ...]`."""

import sys

from tf_ccvae.programs.launch_ray import main

if __name__ == "__main__":
    sys.exit(main())
