"""The command line: finds the configuration, makes the orchestrator, and takes down what it has built
however it ends."""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import sys
from pathlib import Path

from . import VERSION
from .events import Events
from .journal import Busy, Journal
from .load import ConfigError, find, load
from .orchestrator import Orchestrator
from .place.base import Place, PlaceError
from .prompt import Prompt

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(sys.argv[0]).name
PLACES = ("netns", "mininet", "ssh")
EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130


def main() -> int:
    arguments = parse()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(EXIT_FAILED))
    try:
        if arguments.clean:
            return clean(state_root(arguments.state_dir))
        path = find(arguments.config)
        network = load(path)
        if arguments.check:
            print(f"{path}: {len(network.pops)} PoPs, {len(network.links)} links, "
                  f"{len(network.apps)} applications")
            return 0
        return run(arguments, path, network)
    except ConfigError as error:
        return complain(error, EXIT_USAGE)
    except (Busy, PlaceError, OSError) as error:
        return complain(error, EXIT_FAILED)
    except KeyboardInterrupt:
        return complain("interrupted", EXIT_INTERRUPTED)


def clean(root: Path) -> int:
    """What former runs have left, whatever has become of their configurations."""
    code = 0
    for folder in sorted(path.parent for path in root.glob("*/journal")):
        try:
            journal = Journal(folder)
        except Busy as error:
            print(f"{folder.name}: {error}; it is left alone")
            continue
        try:
            if journal.clear(lambda what, folder=folder: print(f"{folder.name}: {what}")):
                code = EXIT_FAILED
        finally:
            journal.close()
    return code


def run(arguments, path: Path, network) -> int:
    folder = state_folder(arguments.state_dir, path)
    try:
        journal = Journal(folder)
    except Busy as error:
        raise Busy(f"{path}: {error}") from None
    try:
        journal.clear(lambda what: print(f"{what} (left by an earlier run)"))
        events = Events(folder / "events.log")
        place = make_place(arguments, journal, folder)
        orchestrator = Orchestrator(path.stem, network, place, arguments.on, events)
        try:
            return Prompt(orchestrator).run(arguments.run)
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)  # it is being taken down
            orchestrator.destroy()
    finally:
        journal.close()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description="builds a network, plans the flows of its applications, runs the "
        "modules that carry them, and changes all of it under traffic")
    parser.add_argument("config", nargs="?", help="a Python file: its path, or its name in this "
                        "folder or in configs/, with or without .py")
    parser.add_argument("--run", metavar="COMMANDS", help="does these instead of asking, separated by "
                        "';'; ends with 1 at the first that fails. \"help\" lists them")
    parser.add_argument("--on", choices=PLACES, default=PLACES[0],
                        help="where PoPs are: namespaces of this machine (default), Mininet's hosts, or "
                        "real hosts over ssh")
    parser.add_argument("-n", "--check", action="store_true", help="only reads the configuration")
    parser.add_argument("--clean", action="store_true", help="clears what runs that were killed "
                        "have left, whatever has become of their configurations, and ends")
    parser.add_argument("--bin-dir", type=Path, default=ROOT / "bin", metavar="DIR",
                        help="where the programs are (default: %(default)s)")
    parser.add_argument("--state-dir", type=Path, metavar="DIR", help="for logs, and the list of what "
                        "was made (default: /run/mpp, or one of the user's own)")
    parser.add_argument("-V", "--version", action="version", version=f"%(prog)s {VERSION}")
    arguments = parser.parse_args()
    if arguments.clean == (arguments.config is not None):
        parser.error("expected a configuration, or --clean without one")
    return arguments


def complain(what: object, code: int) -> int:
    print(f"{PROGRAM}: {what}", file=sys.stderr)
    return code


def state_folder(chosen, path: Path) -> Path:
    """One for each configuration: the same file always has the same."""
    return state_root(chosen) / f"{path.stem}-{digest(path)}"


def state_root(chosen) -> Path:
    if chosen is None and os.geteuid() == 0:
        chosen = Path("/run/mpp")
    if chosen is None:
        chosen = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "mpp/run"
    return chosen.resolve()


def digest(path: Path) -> str:
    return hashlib.sha256(str(path).encode()).hexdigest()[:5]


def make_place(arguments, journal: Journal, folder: Path) -> Place:
    """What a place needs is asked for only where it is used."""
    # pylint: disable=import-outside-toplevel
    tag = f"m{digest(folder)}"
    if arguments.on == "mininet":
        from .place.mininet import MininetPlace
        return MininetPlace(journal, arguments.bin_dir, tag)
    if arguments.on == "ssh":
        from .place.ssh import SshPlace
        return SshPlace(journal, arguments.bin_dir, tag)
    from .place.netns import NamespacePlace
    return NamespacePlace(journal, arguments.bin_dir, tag)
