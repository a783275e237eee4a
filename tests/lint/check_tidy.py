#!/usr/bin/env python3
"""House rules that a reader would otherwise have to check: sizes, banned calls, leftovers, missing tests.

Exit 1 and a line for each breach.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()

FILE_LINES_MAX = 800
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100

BANNED = {
    "strcpy": "cairn_buf_append",
    "strcat": "cairn_buf_append",
    "sprintf": "snprintf or cairn_buf_printf",
    "vsprintf": "vsnprintf",
    "strtok": "cairn_slice_find",
    "atoi": "cairn_slice_to_i64",
    "atol": "cairn_slice_to_i64",
    "atof": "strtod",
    "gets": "fgets",
    "alloca": "cairn_arena_alloc",
}
HEAP = {"malloc": "cairn_mem_alloc", "calloc": "cairn_mem_zalloc", "realloc": "cairn_mem_realloc",
        "free": "cairn_mem_free", "strdup": "cairn_mem_strndup", "strndup": "cairn_mem_strndup"}
# Where the heap's own door is, and where a library's contract wants the C heap.
HEAP_ALLOWED = {"platform/mem.c"}
SLEEPS = re.compile(r"\b(sleep|usleep)\s*\(")
LEFTOVER = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
FOLDERS = ("platform", "schemas", "eventstore", "command", "projector", "query", "tools")
# Sources whose promises are kept by a test of another name.
TESTED_ELSEWHERE = re.compile(r"^tools/")


def tracked():
    out = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"],
                         capture_output=True, text=True, check=False).stdout.split("\n")
    names = [name for name in out if name] or [str(p.relative_to(ROOT)) for p in ROOT.rglob("*") if p.is_file()]
    return sorted(name for name in names if (ROOT / name).is_file())


def strip(line):
    """The line without string literals and // comments, enough for looking at calls."""
    line = re.sub(r'"(\\.|[^"\\])*"', '""', line)
    return line.split("//")[0]


def functions(lines):
    """(first line, name, length) of each function: from the line of its name to the brace in column 0."""
    head = None
    for number, line in enumerate(lines, 1):
        if line and not line[0].isspace() and line[0] not in "#/*}{" and "(" in line and not line.startswith(("struct", "enum", "union", "typedef")) :
            head = (number, line)
        elif line and re.match(r"(static\s+|const\s+)*(struct|enum|union)\s+\w+\s+\*?\w+\s*\(", line):
            head = (number, line)
        if line.startswith("{") and head:
            start = head
        if line.startswith("}") and head:
            yield head[0], head[1].strip(), number - head[0] + 1
            head = None


def code_breaches(name, text):
    lines = text.split("\n")
    if len(lines) - 1 > FILE_LINES_MAX:
        yield f"{name}: {len(lines) - 1} lines; more than {FILE_LINES_MAX} is two nouns"
    in_comment = False
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS_MAX:
            yield f"{name}:{number}: {len(line)} columns"
        if LEFTOVER.search(line):
            yield f"{name}:{number}: a leftover: {line.strip()[:60]}"
        if "/*" in line and "*/" not in line:
            in_comment = True
        code = "" if in_comment or line.lstrip().startswith(("*", "/*")) else strip(line)
        if "*/" in line:
            in_comment = False
        for call, instead in BANNED.items():
            if re.search(rf"(?<![\w.>]){call}\s*\(", code):
                yield f"{name}:{number}: {call} is banned, use {instead}"
        if name not in HEAP_ALLOWED and not name.startswith("tests/"):
            for call, instead in HEAP.items():
                if re.search(rf"(?<![\w.>]){call}\s*\(", code):
                    yield f"{name}:{number}: {call}, use {instead}"
            if re.search(r"(?<![\w.>])exit\s*\(", code):
                yield f"{name}:{number}: exit outside main"
        if name.startswith("tests/") and SLEEPS.search(code):
            yield f"{name}:{number}: a test that sleeps; wait for the event"
    for number, head, length in functions(lines):
        if length > FUNCTION_LINES_MAX:
            yield f"{name}:{number}: {length} lines in one function: {head[:60]}"


def missing_tests(names):
    """A module is tested by a test of its name (json_read.c by json_read_test.c or json_test.c), by a test that includes its
    header, by a contract test of its name, or, where it is a piece of another module and has no header of its own, by
    that module's test."""
    present = set(names)
    tests = [n for n in names if n.startswith("tests/") and n.endswith((".c", ".h"))]
    included = set()
    for test in tests:
        included.update(re.findall(r'#include "([^"]+)"', (ROOT / test).read_text(encoding="utf-8")))
    for name in names:
        path = pathlib.PurePosixPath(name)
        if path.suffix != ".c" or path.parts[0] not in FOLDERS or TESTED_ELSEWHERE.match(name):
            continue
        folder, stem = path.parent, path.stem
        header = str(path.with_suffix(".h"))
        parts = stem.split("_")
        prefixes = ["_".join(parts[:n]) for n in range(len(parts), 0, -1)]
        # What needs a server is tested in tests/integration: projector/sql/store.c by projector/sql_store_test.c.
        beside = "_".join(("tests/integration/" + "/".join(path.parts[:2]), ""))
        named = any(t.startswith((f"tests/unit/{folder}/{prefix}", f"tests/contract/{prefix}", beside))
                    for prefix in prefixes for t in tests)
        if not named and header not in included and (header in present or "_" not in stem):
            yield f"{name}: no test of it in tests/unit/{folder}"


def main():
    names = tracked()
    found = []
    count = 0
    for name in names:
        if pathlib.PurePosixPath(name).suffix not in (".c", ".h"):
            continue
        count += 1
        found.extend(code_breaches(name, (ROOT / name).read_text(encoding="utf-8")))
    found.extend(missing_tests(names))
    for line in found:
        print(line)
    print(f"check_tidy: {count} files, {len(found)} breaches")
    return 1 if found or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
