#!/usr/bin/env python3
"""The README's tour and the tutorial's command lines work when they are pasted."""
import pathlib
import re
import subprocess
import unittest

import harness
from harness import ROOT
from kafka import free_ports

SCRIPT_S = 300

def blocks(path, heading):
    """The shell blocks below a heading, up to the next one of its level."""
    text = path.read_text(encoding="utf-8")
    section = text.split(f"\n{heading}\n", 1)[1]
    section = re.split(r"\n## ", section, maxsplit=1)[0]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


class Readme(unittest.TestCase):
    def test_the_five_minutes_work_when_pasted(self):
        with harness.folder() as folder:
            script = "\n".join(blocks(ROOT / "README.md", "## Five minutes"))
            script = script.replace("build/release/cairn", harness.BINARY).replace("8081", str(free_ports(1)))
            script = script.replace("/tmp/bank-data", str(folder / "data"))
            done = subprocess.run(["bash", "-c", f"set -eu\n{script}"], cwd=ROOT, capture_output=True, text=True,
                                  timeout=SCRIPT_S)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            for words in ("201 Created", '"version":2', '"/problems/rejected"', '"balance":10000', '"streamversion":1',
                          "all is well", '"type":"Deposited"'):
                self.assertIn(words, done.stdout)

    def test_the_tutorial_works_when_pasted(self):
        """From an empty folder; a wait stands where a person would read the ready line."""
        with harness.folder() as folder:
            text = (ROOT / "docs/tutorial/first-domain.md").read_text(encoding="utf-8")
            steps = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
            port = str(free_ports(1))
            script = "\n".join(steps).replace("build/release/cairn", harness.BINARY)
            script = script.replace("localhost:8080", f"127.0.0.1:{port}").replace("/tmp/mybank-data", "data")
            script = script.replace("serve mybank", f"serve mybank --listen 127.0.0.1:{port}")
            script = script.replace("--data data &", "--data data &\nuntil curl -sf "
                                    f"http://127.0.0.1:{port}/health/ready >ready; do :; done")
            done = subprocess.run(["bash", "-c", f"set -eu\n{script}\nkill %1; wait %1"], cwd=folder,
                                  capture_output=True, text=True, timeout=SCRIPT_S)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            for words in ("specs: 2 passed, 0 failed", "201 Created", "insufficient-funds", '"streamversion":2',
                          '"state":'):
                self.assertIn(words, done.stdout)

    def test_every_document_it_points_to_is_there(self):
        text = (ROOT / "README.md").read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            self.assertTrue(pathlib.Path(ROOT, target).exists(), target)


if __name__ == "__main__":
    harness.main()
