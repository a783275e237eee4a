#!/usr/bin/env python3
"""Links of the Markdown files lead somewhere: relative targets exist, and their #anchors are headings there."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")


def anchors(path):
    found = set()
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            text = line.lstrip("#").strip().lower()
            found.add(re.sub(r"[^\w\- ]", "", text).replace(" ", "-"))
    return found


def main():
    out = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard", "*.md"],
                         capture_output=True, text=True, check=False).stdout.split("\n")
    # Without git, as in an unpacked archive: all there is.
    out = [name for name in out if name] or [str(path.relative_to(ROOT)) for path in sorted(ROOT.rglob("*.md"))]
    faults = []
    count = 0
    for name in (n for n in out if (ROOT / n).is_file()):
        count += 1
        path = ROOT / name
        code = False
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if line.lstrip().startswith("```"):
                code = not code
            if code:
                continue
            for match in LINK.finditer(re.sub(r"`[^`]*`", "", line)):
                target = match.group(1) or match.group(2)
                if re.match(r"[a-z]+:", target):
                    continue
                file, _, anchor = target.partition("#")
                there = (path.parent / file).resolve() if file else path
                if not there.exists():
                    faults.append(f"{name}:{number}: {target} is not there")
                elif anchor and there.suffix == ".md" and anchor not in anchors(there):
                    faults.append(f"{name}:{number}: {target}: no such heading")
    for fault in faults:
        print(fault)
    print(f"check_docs: {count} files, {len(faults)} faults")
    return 1 if faults or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
