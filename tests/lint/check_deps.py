#!/usr/bin/env python3
"""The include rules of the tree, as a test.

Each folder may include itself and the folders named for it; a third-party header is seen by the .c files of one
folder only, and never by a header of ours. Exit 1 and a line for each breach.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()

MAY = {
    "platform": set(),
    "schemas": {"platform"},
    "eventstore": {"platform", "schemas"},
    "command": {"platform", "schemas", "eventstore"},
    "projector": {"platform", "schemas", "eventstore"},
    "query": {"platform", "schemas", "eventstore"},
    "tools": {"platform", "schemas", "eventstore", "command", "projector", "query"},
    "tests": {"platform", "schemas", "eventstore", "command", "projector", "query", "tools"},
}

# The one header of another folder that a folder may see beside the table above.
EXCEPTIONS = {("query", "projector/view_read.h")}

# Third-party headers, and the folder whose .c files may see them.
THIRD_PARTY = {
    r"civetweb\.h": "platform",
    r"lmdb\.h": "platform",
    r"(lua|lauxlib|lualib)\.h": "platform",
    r"xxhash\.h": "platform",
    r"msgpack(\.h|/.*)": "schemas",
    r"pcre2\.h": "schemas",
    r"librdkafka/.*": "eventstore",
    r"libpq-fe\.h": "platform",
    r"curl/.*": "platform",
}
# Tests and benchmarks measure against the bare libraries.
THIRD_PARTY_ALSO = {"tests"}

INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')


def breaches(path):
    folder = path.relative_to(ROOT).parts[0]
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        ours, system = match.groups()
        where = f"{path.relative_to(ROOT)}:{number}"
        if ours:
            target = ours.split("/")[0]
            if "/" not in ours:
                yield f"{where}: \"{ours}\" is no path from the repository root"
            elif target != folder and target not in MAY[folder] and (folder, ours) not in EXCEPTIONS:
                yield f"{where}: {folder}/ must not include {ours}"
            elif ours.endswith("_int.h") and target not in (folder,) and folder != "tests":
                yield f"{where}: {ours} is private to {target}/"
            elif not (ROOT / ours).is_file():
                yield f"{where}: {ours} is not in the tree"
            continue
        for pattern, owner in THIRD_PARTY.items():
            if not re.fullmatch(pattern, system):
                continue
            if folder != owner and folder not in THIRD_PARTY_ALSO:
                yield f"{where}: <{system}> belongs to {owner}/"
            elif path.suffix == ".h" and folder != "tests":
                yield f"{where}: <{system}> must not cross a header"


def main():
    found = []
    count = 0
    for folder in MAY:
        for path in sorted((ROOT / folder).rglob("*.[ch]")):
            count += 1
            found.extend(breaches(path))
    for line in found:
        print(line)
    print(f"check_deps: {count} files, {len(found)} breaches")
    return 1 if found or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
