#!/usr/bin/env python3
"""No function is defined in two of our libraries: the linker would take the first and say nothing.

usage: check_symbols.py LIBRARY...
"""
import collections
import subprocess
import sys


def main():
    owners = collections.defaultdict(set)
    for library in sys.argv[1:]:
        out = subprocess.run(["nm", "-A", "-g", "--defined-only", library], capture_output=True, text=True, check=True)
        for line in out.stdout.splitlines():
            fields = line.split()
            if len(fields) >= 3 and fields[-1].startswith("cairn_"):
                owners[fields[-1]].add(fields[0].rsplit(":", 1)[0])
    twice = {name: places for name, places in owners.items() if len(places) > 1}
    for name, places in sorted(twice.items()):
        print(f"{name} is defined in {' and '.join(sorted(places))}")
    print(f"check_symbols: {len(owners)} symbols, {len(twice)} defined twice")
    return 1 if twice or not owners else 0


if __name__ == "__main__":
    sys.exit(main())
