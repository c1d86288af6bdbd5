"""What is said to `link_emulator` gets its own reply, also after one that came late or was not
awaited."""

import select
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "cli"))

from mpp.place import emulated  # noqa: E402
from mpp.place.base import PlaceError  # noqa: E402

ECHO = """#!/bin/sh
echo ready
while read -r line; do
	[ "$line" != slow ] || sleep 1
	echo "ok $line"
done
"""


class Replies(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def start(self, text):
        program = self.folder / "program"
        program.write_text(text, encoding="ascii")
        emulator = emulated.Emulator(program, ["/bin/sh"], self.folder / "log")
        self.addCleanup(emulator.stop)
        return emulator

    def test_one_that_comes_too_late_is_nobodys(self):
        emulator = self.start(ECHO)
        self.assertEqual(emulator.command("one"), "one")
        with mock.patch.object(emulated, "REPLY_LIMIT_S", 0.1):
            with self.assertRaisesRegex(PlaceError, "no reply in 0.1 s"):
                emulator.command("slow")
        with self.assertRaises(PlaceError):
            emulator.command("two")
        self.assertIsNotNone(emulator.popen.poll())

    def test_one_that_was_not_awaited_is_passed_over(self):
        emulator = self.start(ECHO)
        with mock.patch.object(select, "select", side_effect=KeyboardInterrupt):
            with self.assertRaises(KeyboardInterrupt):
                emulator.command("one")
        self.assertEqual(emulator.command("two"), "two")

    def test_one_that_cannot_start_says_why_and_is_gone(self):
        with self.assertRaisesRegex(PlaceError, "^link_emulator: no such device$"):
            self.start("echo no such device >&2; exit 1\n")


if __name__ == "__main__":
    unittest.main()
