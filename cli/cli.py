#!/usr/bin/python3
"""The orchestrator: `cli.py m5_config.py` gives a prompt, with --run it does what it is told. See
README.md beside this file."""

import importlib.util
import os
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

DISTRIBUTION_PYTHON = "/usr/bin/python3"
TRIED = "MPP_TRIED_PYTHON"


def use_distribution_python() -> None:
    """Where this Python does not see the distribution's packages, theirs does."""
    if (importlib.util.find_spec("scipy") is None and TRIED not in os.environ
            and os.access(DISTRIBUTION_PYTHON, os.X_OK)):
        os.environ[TRIED] = "1"
        os.execv(DISTRIBUTION_PYTHON, [DISTRIBUTION_PYTHON, *sys.argv])


if __name__ == "__main__":
    use_distribution_python()
    from mpp.main import main
    sys.exit(main())
