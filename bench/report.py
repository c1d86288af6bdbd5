"""What a bench run found: one line each as it is measured, a Markdown table at the end, and JSON
that holds every sample. A number never fails a run; it only says whether it is what was asked."""

import datetime
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
GB = 1e9
VERSIONS = {  # how each peer says its version, and what to keep of that
    "socat": (["socat", "-V"], r"socat version (\S+)"),
    "haproxy": (["haproxy", "-v"], r"version (\S+)"),
    "nginx": (["nginx", "-v"], r"nginx/(\S+)"),
    "curl": (["curl", "-V"], r"curl (\S+)"),
    "ncat": (["ncat", "--version"], r"Version (\S+)"),
}
UNKNOWN = "unknown"


class Report:
    def __init__(self, congestion_control, settings):
        self.settings = settings
        self.machine = describe_machine(congestion_control)
        self.rows, self.notes, self.tables = [], [], []

    def row(self, part, case, figure, samples, unit="", asked=None, cpu=None):
        """`samples` of one figure, the median of which counts; `asked` is ("<=" or ">=", bound).
        `cpu` are samples of CPU-seconds per GB, beside a rate."""
        value = statistics.median(samples)
        row = {"part": part, "case": case, "figure": figure, "unit": unit, "value": value,
               "min": min(samples), "max": max(samples), "samples": list(samples),
               "asked": f"{asked[0]} {asked[1]:g}" if asked else None,
               "holds": holds(value, asked) if asked else None,
               "cpu_s_per_gb": statistics.median(cpu) if cpu else None}
        self.rows.append(row)
        print("  " + " | ".join(c for c in cells(row) if c), flush=True)
        return value

    def note(self, text):
        self.notes.append(text)
        print(f"  note: {text}", flush=True)

    def table(self, title, head, lines):
        """Beside the figures, for what is read in one look."""
        self.tables.append({"title": title, "head": head, "lines": lines})

    def markdown(self):
        head = ["part", "case", "figure", "median", "min–max", "CPU s/GB", "asked", "holds"]
        lines = [f"- {name}: {value}" for name, value in self.machine.items()]
        lines += ["", table_line(head), table_line(["---"] * len(head))]
        lines += [table_line([row["part"], *cells(row)]) for row in self.rows]
        for table in self.tables:
            lines += ["", f"{table['title']}:", "", table_line(table["head"]),
                      table_line(["---"] * len(table["head"])), *map(table_line, table["lines"])]
        if self.notes:
            lines += ["", *(f"- {note}" for note in self.notes)]
        return "\n".join(lines)

    def save(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{datetime.datetime.now():%Y-%m-%dT%H-%M-%S}.json"
        path.write_text(json.dumps({"machine": self.machine, "settings": self.settings,
                                    "rows": self.rows, "tables": self.tables,
                                    "notes": self.notes}, indent=1) + "\n")
        return path


def holds(value, asked):
    return value <= asked[1] if asked[0] == "<=" else value >= asked[1]


def cells(row):
    """The columns behind the part's name."""
    spread = f"{short(row['min'])}–{short(row['max'])}" if len(row["samples"]) > 1 else ""
    unit = f" {row['unit']}" if row["unit"] else ""
    cpu = "" if row["cpu_s_per_gb"] is None else f"{row['cpu_s_per_gb']:.3f}"
    verdict = {True: "yes", False: "**no**", None: ""}[row["holds"]]
    return [row["case"], row["figure"], short(row["value"]) + unit, spread, cpu,
            row["asked"] + unit if row["asked"] else "", verdict]


def short(value):
    """Four digits; more only where the number is whole and large."""
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"


def table_line(words):
    return f"| {' | '.join(words)} |"


def first_match(argv, pattern):
    """From what a program says of itself; UNKNOWN where it is not there."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False,
                              cwd=ROOT)
    except OSError:
        return UNKNOWN
    found = re.search(pattern, done.stdout + done.stderr)
    return found.group(1) if found else UNKNOWN


def cpu_model():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as info:
        found = re.search(r"^model name\s*:\s*(.+)$", info.read(), re.MULTILINE)
    return found.group(1) if found else platform.machine()


def describe_machine(congestion_control):
    default = pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    git = ["git", "-c", f"safe.directory={ROOT}"]
    commit = first_match([*git, "rev-parse", "--short", "HEAD"], r"^([0-9a-f]{7,})$")
    changed = first_match([*git, "status", "--porcelain", "--untracked-files=no"], r"^(.)")
    return {
        "date": f"{datetime.datetime.now():%Y-%m-%d %H:%M}",
        "commit": commit + (", with changes" if changed != UNKNOWN else ""),
        "machine": f"{os.cpu_count()} × {cpu_model()}, {memory / 2**30:.0f} GiB",
        "kernel": platform.release(),
        "congestion control": f"{congestion_control} (by route; the machine's own is {default})",
        "peers": ", ".join(f"{name} {first_match(*how)}" for name, how in VERSIONS.items()),
    }
