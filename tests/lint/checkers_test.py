#!/usr/bin/env python3
"""The checkers find planted breaches, and pass a clean tree: a checker that cannot fail is none."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent


def run(check, files):
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            path = pathlib.Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        done = subprocess.run([sys.executable, HERE / f"check_{check}.py", folder], capture_output=True, text=True)
        return done.returncode, done.stdout


CLEAN = {"platform/a.h": "int a(void);\n", "platform/a.c": '#include "platform/a.h"\n',
         "tests/unit/platform/a_test.c": '#include "platform/a.h"\n'}


class Checkers(unittest.TestCase):
    def breach(self, check, files, text):
        code, out = run(check, {**CLEAN, **files})
        self.assertEqual(code, 1, out)
        self.assertIn(text, out)

    def test_a_clean_tree_passes(self):
        for check in ("deps", "tidy"):
            code, out = run(check, CLEAN)
            self.assertEqual(code, 0, out)

    def test_an_include_against_the_flow_is_found(self):
        self.breach("deps", {"query/q.h": "", "command/c.c": '#include "query/q.h"\n'}, "command/ must not include")
        self.breach("deps", {"command/c.h": "", "query/q.c": '#include "command/c.h"\n'}, "query/ must not include")

    def test_query_sees_one_header_of_projector(self):
        code, out = run("deps", {**CLEAN, "projector/view_read.h": "", "query/q.c": '#include "projector/view_read.h"\n'})
        self.assertEqual(code, 0, out)
        self.breach("deps", {"projector/p.h": "", "query/q.c": '#include "projector/p.h"\n'}, "query/ must not")

    def test_a_third_party_header_stays_in_its_folder(self):
        self.breach("deps", {"query/q.c": "#include <lmdb.h>\n"}, "belongs to platform")
        self.breach("deps", {"platform/k.h": "#include <lmdb.h>\n"}, "must not cross a header")

    def test_a_long_function_is_found(self):
        body = "int f(void)\n{\n" + "    f();\n" * 70 + "}\n"
        self.breach("tidy", {"platform/a.c": body}, "lines in one function")

    def test_a_long_file_is_found(self):
        self.breach("tidy", {"platform/a.c": "int x;\n" * 801}, "two nouns")

    def test_banned_calls_and_leftovers_are_found(self):
        self.breach("tidy", {"platform/a.c": "void f(void)\n{\n    strcpy(a, b);\n}\n"}, "strcpy is banned")
        self.breach("tidy", {"platform/a.c": "void f(void)\n{\n    malloc(1);\n}\n"}, "use cairn_mem_alloc")
        self.breach("tidy", {"platform/a.c": "/* TO" + "DO later */\n"}, "a leftover")

    def test_a_module_without_a_test_is_found(self):
        self.breach("tidy", {"platform/zebra.c": "int z;\n"}, "no test of it")

    def test_a_sanitizer_that_spoke_fails_an_end_to_end_test(self):
        sys.path.insert(0, str(HERE.parent / "e2e"))
        import harness
        harness.refuse_reports('{"level":"error","text":"ERROR"}\n')
        for report in ("==12==ERROR: AddressSanitizer: heap-use-after-free", "==1==ERROR: LeakSanitizer: detected",
                       "WARNING: ThreadSanitizer: data race", "platform/bytes.c:3:4: runtime error: shift"):
            with self.assertRaises(AssertionError):
                harness.refuse_reports("a line\n" + report + "\n")


if __name__ == "__main__":
    result = unittest.main(exit=False).result
    passed = result.testsRun - len(result.failures) - len(result.errors)
    print(f"{passed} passed, {len(result.failures) + len(result.errors)} failed")
    sys.exit(0 if result.wasSuccessful() else 1)
