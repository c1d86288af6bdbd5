"""Asks for commands, with line editing, history and completion; or takes them from a script."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import sys
from pathlib import Path
from typing import Iterator, Optional

from .commands import COMMANDS, QUIT, CommandError, perform
from .orchestrator import Orchestrator

try:
    import readline
except ImportError:  # a Python without it asks all the same
    readline = None

HISTORY_LINES = 1000


class Prompt:
    def __init__(self, orchestrator: Orchestrator):
        self.orchestrator = orchestrator

    def run(self, script: Optional[str]) -> int:
        """The exit code."""
        if script is not None:
            return self._run_script(script)
        if sys.stdin is None:
            return 0
        return self._ask() if sys.stdin.isatty() else self._run_script(sys.stdin.read())

    def _run_script(self, script: str) -> int:
        try:
            commands = commands_of(script)
        except CommandError as error:
            print(error, file=sys.stderr)
            return 1
        for words in commands:
            if not self._do(words):
                return 1
            if words[0] in QUIT:
                break
        return 0

    def _do(self, words: list[str]) -> bool:
        """False when it failed."""
        try:
            said = perform(self.orchestrator, words[0], words[1:])
        except CommandError as error:
            print(error, file=sys.stderr, flush=True)
            return False
        if said:
            print(said, flush=True)
        return True

    def _ask(self) -> int:
        with self._history():
            while True:
                try:
                    for words in commands_of(input(f"{self.orchestrator.name}> ")):
                        if words[0] in QUIT:
                            return 0
                        if not self._do(words):
                            break
                except CommandError as error:
                    print(error, file=sys.stderr)
                except EOFError:
                    print()
                    return 0
                except KeyboardInterrupt:  # that line, or that command
                    print("^C")

    @contextlib.contextmanager
    def _history(self) -> Iterator[None]:
        if readline is None:
            yield
            return
        path = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "mpp/history"
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            readline.read_history_file(path)
        readline.set_history_length(HISTORY_LINES)
        readline.set_completer_delims(" ;")
        readline.set_completer(self._complete)
        readline.parse_and_bind("tab: complete")
        try:
            yield
        finally:  # also when a signal ends us
            with contextlib.suppress(OSError):
                readline.write_history_file(path)

    def _complete(self, text: str, number: int) -> Optional[str]:
        before = readline.get_line_buffer()[:readline.get_begidx()]
        fitting = [word for word in self.completions(before) if word.startswith(text)]
        if number >= len(fitting):
            return None
        return fitting[number] + ("" if fitting[number].endswith("=") else " ")

    def completions(self, before: str) -> list[str]:
        """The words that may stand behind these."""
        words = before.rpartition(";")[2].split()
        if not words:
            return list(COMMANDS)
        command = COMMANDS.get(words[0])
        if command is None:
            return []
        network = self.orchestrator.network
        if command.words == "links" and len(words) == 1:
            return list(network.links)
        if command.name == "help":
            return list(COMMANDS)
        return [*(network.apps if command.words == "apps" else ()), *words_of(command.usage)]


def words_of(usage: str) -> list[str]:
    """Those that are said as they stand, and keys with their `=`."""
    words = re.split(r"[\s\[\]|]+", usage)
    keys = [word.partition("=")[0] + "=" * ("=" in word) for word in words]
    return [key for key in keys if key.islower() and not key.endswith("...")]


def commands_of(text: str) -> list[list[str]]:
    """Separated by ';' and ends of lines; from '#' on it is a comment."""
    commands: list[list[str]] = []
    for line in text.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*_words(lexer, line), ";"]:
            if set(word) == {";"}:
                commands += [words] if words else []
                words = []
            else:
                words.append(word)
    return commands


def _words(lexer: shlex.shlex, line: str) -> list[str]:
    try:
        return list(lexer)
    except ValueError as error:
        raise CommandError(f"{line}: {error}") from None
