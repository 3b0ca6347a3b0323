"""Interventions on images: `python -m tf_ccvae.intervene RUN traverse|set|generate|swap|variation|encode|decode ...`"""

import sys

from tf_ccvae.programs.intervene import main

if __name__ == "__main__":
    sys.exit(main())
