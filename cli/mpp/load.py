"""Finds a configuration and reads it: a Python file that says `pops`, `links` and `apps`.

It runs as any Python does, so it may compute what it describes. What is wrong about it comes as one
ConfigError that names the file, the line where there is one, and what was expected."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

from . import model
from .model import App, Link, ModelError, Network, Pop

LISTS = {"pops": Pop, "links": Link, "apps": App}
ROOT = Path(__file__).resolve().parents[2]


class ConfigError(Exception):
    """One line for the user."""


def find(name: str) -> Path:
    """`name` is a path, from here or from where configs/ is, or the name of a file here or in
    configs/; with or without `.py`."""
    here = [Path(name), Path(f"{name}.py")]
    there = [] if os.path.isabs(name) else [folder / path for folder in (ROOT / "configs", ROOT)
                                            for path in here]
    for path in [*here, *there]:
        if path.is_file():
            return path.resolve()
    looked = ", ".join(str(path) for path in [*here, *there])
    raise ConfigError(f"no configuration {name!r}: looked for {looked}")


def load(path: Path) -> Network:
    names = _run(path)
    for name, kind in LISTS.items():
        _check_list(path, names, name, kind)
    try:
        return Network(*(names[name] for name in LISTS))
    except ModelError as error:
        raise ConfigError(f"{path}: {error}") from None


def _run(path: Path) -> dict[str, object]:
    names: dict[str, object] = {"__file__": str(path), "__name__": "configuration"}
    names.update({kind: getattr(model, kind) for kind in ("Pop", "Link", "App", "Scheduler")})
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    try:
        exec(compile(source, str(path), "exec"), names)  # pylint: disable=exec-used
    except SyntaxError as error:
        raise ConfigError(f"{path}:{error.lineno}: {error.msg}") from None
    except ModelError as error:
        raise ConfigError(f"{path}:{_line_of(error, path)}: {error}") from None
    except (Exception, SystemExit) as error:  # pylint: disable=broad-except
        raise ConfigError(f"{path}:{_line_of(error, path)}: {type(error).__name__}: "
                          f"{error}") from None
    return names


def _line_of(error: BaseException, path: Path) -> int:
    """The last one of the file itself on the way to the error."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__)
             if frame.filename == str(path)]
    return lines[-1] if lines and lines[-1] else 1


def _check_list(path: Path, names: dict[str, object], name: str, kind: type) -> None:
    value = names.get(name)
    if name not in names:
        raise ConfigError(f"{path}: no {name}; expected {name} = [{kind.__name__}(...), ...]")
    if not isinstance(value, (list, tuple)):
        raise ConfigError(f"{path}: {name}: {type(value).__name__}, expected a list of "
                          f"{kind.__name__}")
    for i, entry in enumerate(value):
        if not isinstance(entry, kind):
            raise ConfigError(f"{path}: {name}[{i}]: {entry!r}, expected a {kind.__name__}")
