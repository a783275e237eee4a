#!/usr/bin/env python3
"""The shop's scripts: what convert makes of each kind of line, that generate repeats itself, that totals agrees.

No server takes part. The real file is checked too where it is there.
"""
import gzip
import json
import subprocess
import unittest

import harness
from harness import ROOT, SHARED_DATA

SHOP = ROOT / "examples/shop"
CSV = SHARED_DATA / "online-retail/online_retail.csv.gz"
REAL_LINES = 20000
HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
LINES = (
    '536365,85123A,WHITE HANGING HEART T-LIGHT HOLDER,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom',
    '536365,85123A,WHITE HANGING HEART T-LIGHT HOLDER,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom',
    '536366,90214,"CAFÉ SIGN ""FERMÉ"", 30 CM",1,2010-12-01 08:28:00,12.5,17850.0,Österreich',
    'C536379,D,Discount,-1,2010-12-01 09:41:00,27.50,14527.0,United Kingdom',
    '536414,22139,,56,2010-12-01 11:52:00,0.0,,United Kingdom',
    'A563186,B,Adjust bad debt,1,2011-08-12 14:51:00,-11062.06,,United Kingdom',
    '536370,22728,ALARM CLOCK BAKELIKE PINK,24,2010-12-01 08:45:00,0.001,12583.0,France',
    '536371,22086,"PAPER CHAIN, ""50\'S""\nCHRISTMAS",80,2010-12-01 09:00:00,3,,France',
)


def run(script, *arguments, **options):
    return subprocess.run([str(SHOP / script), *map(str, arguments)], capture_output=True, timeout=600, **options)


def commands_of(output):
    return [json.loads(line) for line in output.decode("utf-8").splitlines()]


class Convert(unittest.TestCase):
    def convert(self, *lines, header=HEADER):
        done = run("convert", input="\n".join((header, *lines, "")).encode())
        return done, commands_of(done.stdout)

    def test_every_kind_of_line_becomes_the_command_it_means(self):
        done, commands = self.convert(*LINES)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertEqual([c["key"] for c in commands], [str(n) for n in range(1, len(LINES) + 1)])
        self.assertEqual({(c["aggregate"], c["command"]) for c in commands}, {("invoice", "AddLine")})
        self.assertEqual(commands[0], {
            "aggregate": "invoice", "id": "536365", "command": "AddLine", "key": "1",
            "data": {"stock_code": "85123A", "description": "WHITE HANGING HEART T-LIGHT HOLDER", "quantity": 6,
                     "price_mills": 2550, "customer": "17850", "country": "United Kingdom",
                     "invoiced_at": "2010-12-01T08:26:00Z"}})
        self.assertEqual(commands[1]["data"], commands[0]["data"], "a duplicate stays one")
        self.assertEqual(commands[2]["data"]["description"], 'CAFÉ SIGN "FERMÉ", 30 CM')
        self.assertEqual(commands[2]["data"]["country"], "Österreich")
        self.assertEqual((commands[3]["id"], commands[3]["data"]["quantity"]), ("C536379", -1))
        self.assertEqual((commands[4]["data"]["customer"], commands[4]["data"]["description"]), ("guest", ""))
        self.assertEqual([c["data"]["price_mills"] for c in commands],
                         [2550, 2550, 12500, 27500, 0, -11062060, 1, 3000])
        self.assertEqual(commands[7]["data"]["description"], "PAPER CHAIN, \"50'S\"\nCHRISTMAS")

    def test_what_cannot_be_exact_is_refused_with_its_line(self):
        for price in ("0.0001", "1e3", "", "nan", "2,55", "--1"):
            with self.subTest(price=price):
                done, commands = self.convert(LINES[0], f'1,2,3,4,2010-12-01 08:26:00,"{price}",,France')
                self.assertEqual(done.returncode, 1)
                self.assertIn(b"convert: line 2: price", done.stderr)
                self.assertEqual(len(commands), 1)
        for line, said in (("1,2,3,x,2010-12-01 08:26:00,1,,France", b"line 1"),
                           ("1,2,3,4,2010-12-01,1,,France", b"line 1: time"), ("1,2,3", b"line 1")):
            done, commands = self.convert(line)
            self.assertEqual((done.returncode, commands), (1, []))
            self.assertIn(said, done.stderr)

    def test_another_header_is_refused(self):
        done, commands = self.convert(LINES[0], header=HEADER.replace("Country", "Land"))
        self.assertEqual((done.returncode, commands), (1, []))
        self.assertIn(b"the header must be InvoiceNo", done.stderr)

    def test_a_file_may_be_packed_and_a_limit_stops_early(self):
        with harness.folder() as folder:
            text = "\n".join((HEADER, *LINES, "")).encode()
            plain, packed = folder / "a.csv", folder / "a.csv.gz"
            plain.write_bytes(text)
            packed.write_bytes(gzip.compress(text))
            self.assertEqual(run("convert", plain).stdout, run("convert", packed).stdout)
            self.assertEqual(len(commands_of(run("convert", "--limit", 3, packed).stdout)), 3)
            self.assertEqual(run("convert", "--limit", 0, packed).stdout, b"")


class Generate(unittest.TestCase):
    def test_the_same_arguments_give_the_same_bytes(self):
        first = run("generate", 500, 7)
        self.assertEqual(first.returncode, 0)
        self.assertEqual(first.stdout, run("generate", 500, 7).stdout)
        self.assertNotEqual(first.stdout, run("generate", 500, 8).stdout)
        self.assertEqual(run("generate").stdout, run("generate", 2000, 1).stdout)

    def test_every_kind_of_line_is_among_them(self):
        commands = commands_of(run("generate", 3000).stdout)
        self.assertEqual([c["key"] for c in commands], [str(n) for n in range(1, 3001)])
        data = [c["data"] for c in commands]
        self.assertTrue(any(d["quantity"] < 0 for d in data))
        self.assertTrue(any(d["price_mills"] == 0 for d in data))
        self.assertTrue(any(d["price_mills"] < 0 for d in data))
        self.assertTrue(any(d["customer"] == "guest" for d in data))
        self.assertTrue(any(d["description"] == "" for d in data))
        self.assertTrue(any(not d["country"].isascii() for d in data))
        self.assertTrue(any(a["id"] == b["id"] and a["data"] == b["data"] for a, b in zip(commands, commands[1:])))


class Totals(unittest.TestCase):
    def compare(self, csv, *flags):
        with harness.folder() as folder:
            commands = folder / "commands.ndjson"
            commands.write_bytes(run("convert", *flags, csv).stdout)
            of_csv, of_commands = run("totals", csv), run("totals", "--commands", commands)
            self.assertEqual((of_csv.returncode, of_csv.stderr), (0, b""))
            self.assertEqual((of_commands.returncode, of_commands.stderr), (0, b""))
            self.assertEqual(json.loads(of_csv.stdout), json.loads(of_commands.stdout))
            return json.loads(of_csv.stdout)

    def test_the_csv_and_its_commands_have_the_same_totals(self):
        with harness.folder() as folder:
            csv = folder / "lines.csv"
            csv.write_text("\n".join((HEADER, *LINES, "")), encoding="utf-8")
            found = self.compare(csv)
        self.assertEqual(found["accepted"], 6)
        self.assertEqual(found["rejected"], {"no-price": 1, "negative-price": 1})
        self.assertEqual(found["views"]["countries"], {
            "United Kingdom": {"lines": 3, "quantity": 11, "amount_mills": 2 * 6 * 2550 - 27500},
            "Österreich": {"lines": 1, "quantity": 1, "amount_mills": 12500},
            "France": {"lines": 2, "quantity": 104, "amount_mills": 24 + 80 * 3000}})
        self.assertEqual(found["views"]["customers"]["guest"], {"lines": 1, "quantity": 80, "amount_mills": 240000})

    def test_the_real_file_has_the_same_totals_both_ways(self):
        if not CSV.exists():
            harness.skip_loudly(f"{CSV} is not there")
        with harness.folder() as folder:
            part = folder / "part.csv"
            with gzip.open(CSV, "rt", encoding="utf-8", newline="") as source, \
                 open(part, "w", encoding="utf-8", newline="") as into:
                for _ in range(REAL_LINES + 1):
                    into.write(source.readline())
            found = self.compare(part)
        self.assertEqual(found["accepted"] + sum(found["rejected"].values()), REAL_LINES)


class CommandLine(unittest.TestCase):
    def test_help_is_given(self):
        for script in ("convert", "generate", "totals"):
            done = run(script, "--help")
            self.assertEqual((done.returncode, done.stderr), (0, b""), script)
            self.assertIn(b"usage:", done.stdout)

    def test_a_bad_argument_is_named_without_a_traceback(self):
        for script, *arguments in (("generate", "many"), ("generate", "--", "-1"), ("generate", "1", "2", "3"),
                                   ("totals",), ("totals", "/nowhere/a.csv"), ("convert", "/nowhere/a.csv"),
                                   ("convert", "--limit", "x")):
            done = run(script, *arguments)
            self.assertNotEqual(done.returncode, 0, script)
            self.assertEqual(done.stdout, b"")
            self.assertIn(f"{script}: ".encode(), done.stderr)
            self.assertNotIn(b"Traceback", done.stderr)

    def test_a_reader_that_leaves_early_is_no_fault(self):
        with harness.folder() as folder:
            csv, commands = folder / "lines.csv", folder / "commands.ndjson"
            csv.write_text("\n".join((HEADER, *LINES[:4] * 20000, "")), encoding="utf-8")
            commands.write_bytes(run("generate", 50000).stdout)
            for script, *arguments in (("generate", "100000"), ("convert", csv), ("totals", "--commands", commands)):
                process = subprocess.Popen([str(SHOP / script), *map(str, arguments)],
                                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                self.assertNotEqual(process.stdout.read(100), b"")
                process.stdout.close()
                said = process.stderr.read()
                process.stderr.close()
                self.assertEqual((process.wait(harness.PATIENCE_S), said), (0, b""), script)


if __name__ == "__main__":
    harness.main()
