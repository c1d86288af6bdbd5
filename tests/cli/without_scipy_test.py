"""Without numpy and scipy everything but planning works, and planning says what it lacks. Networks
need root; the programs must be built."""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("MPP_BIN_DIR", ROOT / "bin"))
LIMIT_S = 60


class WithoutScipy(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        for name in ("numpy", "scipy"):
            package = self.folder / "packages" / name
            package.mkdir(parents=True)
            (package / "__init__.py").write_text(
                f"raise ModuleNotFoundError(\"No module named '{name}'\", name='{name}')\n",
                encoding="ascii")

    def run_cli(self, *arguments):
        return subprocess.run(
            [sys.executable, str(ROOT / "cli/cli.py"), *arguments, "m4_config.py",
             "--bin-dir", str(BIN), "--state-dir", str(self.folder)],
            capture_output=True, text=True, check=False, timeout=LIMIT_S, stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(self.folder / "packages"),
                 "MPP_TRIED_PYTHON": "1"})

    def test_reading_works(self):
        for words in (["-n"], ["--help"], ["--run", "help; status"]):
            done = self.run_cli(*words)
            self.assertEqual((done.returncode, done.stderr), (0, ""), words)

    def test_planning_says_what_is_missing(self):
        done = self.run_cli("--run", "plan")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"^plan: needs python3-numpy[^\n]*\n$")

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_a_network_works(self):
        done = self.run_cli("--run", "setup; route; change 0-1 bandwidth=50; status; destroy")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        done = self.run_cli("--run", "setup; autopilot on; wait 1; commit")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"^commit: needs python3-numpy[^\n]*\n$")


if __name__ == "__main__":
    unittest.main()
