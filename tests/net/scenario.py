"""What a scenario is: a named function that gets a Lab, with its arguments and its time limit.
Each file in scenarios/ lists its own in SCENARIOS; a scenario fails by raising."""

import importlib
import pathlib
import sys
from typing import Callable, NamedTuple


class Scenario(NamedTuple):
    name: str
    run: Callable
    arguments: tuple = ()
    limit_s: int = 60
    long_only: bool = False
    is_sampled: bool = False  # of these a few are drawn each time, and all run with --long


def load_all():
    """{"file.name": Scenario}, in the order of files and lists."""
    folder = pathlib.Path(__file__).resolve().parent / "scenarios"
    sys.path.insert(0, str(folder))
    found = {}
    for path in sorted(folder.glob("*.py")):
        for scenario in importlib.import_module(path.stem).SCENARIOS:
            full = f"{path.stem}.{scenario.name}"
            if full in found:
                raise ValueError(f"{path}: {full} is listed twice")
            found[full] = scenario
    return found
