#!/usr/bin/python3
"""Who may include whom: the layers of ARCHITECTURE.md, checked on every C file of src/.

Also: the cores (wire, flow, emulator/core) take bytes and `now` and call no clock, socket, random
source or log; and calls that overrun buffers or cannot report errors are used nowhere.
`layers.py` prints one line per violation; `layers.py --self-test` checks the check."""

import re
import sys
import tempfile
from pathlib import Path

COMMON = {"base", "wire", "flow", "conf", "io", "module"}
DAEMONS = {"ingress", "proxy", "egress", "controller"}

# Which folders of the tree a layer may include, beside itself.
MAY_INCLUDE = {
    "base": set(),
    "wire": {"base"},
    "flow": {"wire", "base"},
    "conf": {"base"},
    "io": {"wire", "base"},
    "module": {"flow", "io", "wire", "base", "conf"},
    **{daemon: COMMON for daemon in DAEMONS},
    "emulator/core": {"base"},
    "emulator": {"emulator/core", "conf", "base"},
    "echo": {"conf", "base"},
    "mcast/core": {"base"},
    "mcast": {"mcast/core", "io", "conf", "base"},
}

# Headers that belong to a library other than libc, by their beginning.
LIBRARIES = {
    "uv.h": "libuv", "uv/": "libuv", "libconfig.h": "libconfig", "jansson.h": "jansson",
    "http_parser.h": "http-parser", "openssl/": "libcrypto",
    "liburing.h": "liburing",
}
MAY_LINK = {
    "base": set(), "wire": set(), "flow": set(),
    "conf": {"libconfig"},
    "io": {"libuv", "jansson", "http-parser", "libcrypto"},
    "module": {"libuv", "jansson", "libcrypto"},
    **{daemon: {"libuv", "jansson", "libcrypto"} for daemon in DAEMONS},
    "emulator/core": set(), "emulator": set(),
    "echo": {"libuv", "jansson", "liburing"},
    "mcast/core": set(), "mcast": {"libuv", "jansson", "libconfig", "liburing"},
}

# A core needs C and nothing of the system under it but types (ssize_t, iovec).
CORE = {"wire", "flow", "emulator/core", "mcast/core"}
CORE_SYSTEM_HEADERS = {
    "arpa/inet.h", "assert.h", "ctype.h", "errno.h", "inttypes.h", "limits.h", "math.h", "stdalign.h",
    "stdarg.h", "stdbool.h", "stddef.h", "stdint.h", "stdio.h", "stdlib.h", "string.h",
    "strings.h", "sys/types.h", "sys/uio.h",
}
CORE_BANNED_HEADERS = {"common/base/log.h"}
CORE_BANNED_CALLS = (
    "time clock clock_gettime gettimeofday clock_now_us rand random srand srandom random_bytes "
    "printf vprintf fprintf vfprintf puts fputs putchar fwrite fopen perror"
    " socket send sendmsg recv recvmsg read readv write writev"
).split()
BANNED_CALLS = "strcpy strcat sprintf vsprintf gets atoi atol atof alloca".split()

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
# Comments, strings and characters: what stands in them calls nothing.
NOT_CODE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def layer_of(path):
    """src/common/wire/frame.c and common/wire/frame.h are of wire, ingress/main.c of ingress,
    emulator/core/loss.c of emulator/core."""
    parts = [part for part in Path(path).parts if part != "src"]
    if parts[:2] in (["emulator", "core"], ["mcast", "core"]):
        return "/".join(parts[:2])
    if len(parts) > 2 and parts[0] == "common":
        return parts[1]
    return parts[0] if len(parts) > 1 else None


def check_quoted(layer, header):
    target = layer_of(header)
    if target not in MAY_INCLUDE:
        return f'"{header}": includes are written relative to src/'
    if target != layer and target not in MAY_INCLUDE[layer]:
        return f'"{header}": {layer} may not include {target}'
    if layer in CORE and header in CORE_BANNED_HEADERS:
        return f'"{header}": {layer} may not include it'
    return None


def check_system(layer, header):
    library = next((LIBRARIES[start] for start in LIBRARIES if header.startswith(start)), None)
    if library and library not in MAY_LINK[layer]:
        return f"<{header}>: {layer} may not use {library}"
    if layer in CORE and header not in CORE_SYSTEM_HEADERS:
        return f"<{header}>: {layer} may include plain C headers only"
    return None


def check_includes(layer, text):
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        check = check_quoted if match[1] == '"' else check_system
        problem = check(layer, match[2])
        if problem:
            yield number, problem


def check_calls(layer, text):
    banned = BANNED_CALLS + (CORE_BANNED_CALLS if layer in CORE else [])
    code = NOT_CODE.sub(lambda match: "\n" * match[0].count("\n"), text)
    # Not a member: `ops->time(...)` is somebody else's.
    for match in re.finditer(r"(?<![\w.>])(%s)\s*\(" % "|".join(banned), code):
        yield code.count("\n", 0, match.start()) + 1, f"{match[1]}(): not to be called in {layer}"


def check_tree(src):
    """The violations as lines, and how many files were looked at."""
    problems, files = [], sorted(path for path in src.rglob("*") if path.suffix in (".c", ".h"))
    for path in files:
        layer = layer_of(path.relative_to(src))
        where = path.relative_to(src.parent)
        if layer not in MAY_INCLUDE:
            problems.append(f"{where}: in no known layer")
            continue
        text = path.read_text(encoding="utf-8")
        for check in (check_includes, check_calls):
            problems += [f"{where}:{number}: {what}" for number, what in check(layer, text)]
    return problems, len(files)


# path, contents, and what must be found there ("" for nothing)
SELF_TEST = [
    ("common/base/a.c", '#include "common/wire/frame.h"', "base may not include wire"),
    ("common/base/b.c", '#include <stdlib.h>\n#include <sys/socket.h>', ""),
    ("common/base/c.h", "#include <uv.h>", "base may not use libuv"),
    ("common/wire/a.c", '#include "common/flow/sendq.h"', "wire may not include flow"),
    ("common/wire/b.c", '#include "frame.h"', "relative to src/"),
    ("common/flow/a.c", '#include "common/base/clock.h"\nint x = US_PER_MS;', ""),
    ("common/flow/b.c", "int f(void)\n{\n\treturn clock_now_us ();\n}", "b.c:3: clock_now_us()"),
    ("common/flow/c.c", '#include "common/base/log.h"', "may not include it"),
    ("common/flow/d.c", "#include <sys/socket.h>", "plain C headers only"),
    ("common/flow/e.c", "#include <time.h>", "plain C headers only"),
    ("common/flow/f.c", "/* time(NULL) */ const char *s = \"rand()\"; int x = s->time(1);", ""),
    ("common/flow/g.c", '#include "common/io/conn.h"', "flow may not include io"),
    ("common/conf/a.c", "#include <libconfig.h>", ""),
    ("common/conf/b.c", '#include "common/io/conn.h"', "conf may not include io"),
    ("common/io/a.c", "#include <libconfig.h>", "io may not use libconfig"),
    ("common/io/b.c", '#include "common/flow/path.h"', "io may not include flow"),
    ("common/module/a.c", '#include "common/flow/path.h"\n#include "common/io/conn.h"', ""),
    ("common/module/b.c", '#include "ingress/client.h"', "module may not include ingress"),
    ("ingress/main.c", '#include "common/module/end.h"\n#include "ingress/client.h"', ""),
    ("ingress/a.c", '#include "egress/server.h"', "ingress may not include egress"),
    ("proxy/a.c", "int f(char *s)\n{\n\treturn atoi(s);\n}", "a.c:3: atoi()"),
    ("proxy/b.c", "int f(char *s)\n{\n\treturn my_atoi(s);\n}", ""),
    ("emulator/core/a.c", "#include <time.h>", "plain C headers only"),
    ("emulator/core/b.c", '#include "emulator/port.h"', "emulator/core may not include emulator"),
    ("emulator/a.c", '#include "emulator/core/loss.h"\n#include <sys/socket.h>', ""),
    ("stray/a.c", "", "in no known layer"),
]


def self_test():
    failures = []
    for path, text, expected in SELF_TEST:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "src", path)
            file.parent.mkdir(parents=True)
            file.write_text(text, encoding="utf-8")
            problems, _ = check_tree(Path(folder, "src"))
        is_good = len(problems) == 1 and expected in problems[0] if expected else not problems
        if not is_good:
            failures.append(f"{path}: expected {expected or 'nothing'!r}, found {problems}")
    return failures


def main():
    if sys.argv[1:] == ["--self-test"]:
        problems, count = self_test(), len(SELF_TEST)
    elif not sys.argv[1:]:
        problems, count = check_tree(Path(__file__).resolve().parent.parent / "src")
    else:
        sys.exit("usage: layers.py [--self-test]")
    print(*problems, sep="\n", end="\n" if problems else "")
    print(f"layers: {count} looked at, {len(problems)} violations")
    sys.exit(1 if problems or not count else 0)


if __name__ == "__main__":
    main()
