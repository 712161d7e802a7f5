#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes layout_v1_0.h: offsets, sizes and values of the frozen header plugin_v1_0.h.

Run once when an ABI version is released:  make_layout.py CC > layout_v1_0.h
"""
import re
import subprocess
import sys
import tempfile
import pathlib

here = pathlib.Path(__file__).parent
text = (here / "plugin_v1_0.h").read_text()
code = re.sub(r"/\*.*?\*/", "", text, flags=re.S)

fields = []
structs = []
for body, name in re.findall(r"typedef struct \w+ \{(.*?)\n\} (\w+);", code, flags=re.S):
    structs.append(name)
    for line in re.sub(r"\([^()]*\)", "", re.sub(r"\(\*(\w+)\)\([^;]*\)", r"\1", body)).split(";"):
        for part in line.split(","):
            m = re.search(r"(\w+)\s*(\[[^\]]*\])?\s*$", part.strip())
            if m:
                fields.append((name, m.group(1)))

bodies = re.findall(r"enum(?: \w+)? \{(.*?)\}", code, flags=re.S)
names = [v for b in bodies for v in re.findall(r"^\s+(GLA_\w+)\b(?!\()", b, flags=re.M) if v != "GLA_STATUS_MAP"]
names += re.findall(r"^#define (GLA_(?:LAYER|WEIGHT)_[A-Z0-9]+)\s+\(?[^\\]", code, flags=re.M)
names += ["GLA_E_" + v for v in re.findall(r"XX\((\w+), -\d+", code)]
names = [n for n in names if n not in ("GLA_LAYER_DEFINE", "GLA_LAYER_DESC")]

program = '#include <stdio.h>\n#include "plugin_v1_0.h"\nint main(void){\n'
for s, f in fields:
    program += f'printf("F {s} {f} %zu\\n", offsetof({s}, {f}));\n'
for s in structs:
    program += f'printf("S {s} %zu\\n", sizeof({s}));\n'
for n in names:
    program += f'printf("V {n} %lld\\n", (long long)({n}));\n'
program += "return 0;}\n"

with tempfile.TemporaryDirectory() as d:
    c = pathlib.Path(d) / "p.c"
    c.write_text(program)
    subprocess.run([sys.argv[1], "-std=c11", f"-I{here}", "-o", f"{d}/p", str(c)], check=True)
    rows = [l.split() for l in subprocess.run([f"{d}/p"], check=True, text=True,
                                               capture_output=True).stdout.splitlines()]


def table(macro, lines):
    print(f"\n#define {macro}(X) \\")
    print(" \\\n".join("    " + l for l in lines))


print("""/* SPDX-License-Identifier: Apache-2.0
 *
 * layout_v1_0.h - made by make_layout.py from plugin_v1_0.h: offsets, sizes and values on 64-bit
 * machines
 */
/* clang-format off */""")
table("LAYOUT_V1_0", [f"X({r[1]}, {r[2]}, {r[3]});" for r in rows if r[0] == "F"])
table("SIZES_V1_0", [f"X({r[1]}, {r[2]});" for r in rows if r[0] == "S"])
table("VALUES_V1_0", [f"X({r[1]}, {r[2]});" for r in rows if r[0] == "V"])
