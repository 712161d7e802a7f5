#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make_layout.py VERSION CC DIR - freezes a version of the plugin ABI (docs/abi.md)

Writes DIR/layout_vVERSION.h: offsets, sizes and values of plugin_vVERSION.h beside this file.  Where
that is not there yet, DIR/plugin_vVERSION.h is made first: gla/types.h and gla/plugin.h of today in one.

    make_layout.py 1_1 cc tests/abi         when 1.1 is released
"""
import pathlib
import re
import subprocess
import sys
import tempfile

version, cc, out = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
here = pathlib.Path(__file__).parent
header = here / f"plugin_v{version}.h"

# Fields that were reserved and have got a name since.
NAMED = {
    ("gla_weight_desc", "reserved"): "struct_size",
    ("gla_state_desc", "reserved"): "struct_size",
    ("gla_layer_desc", "reserved"): "param_size",
}

if not header.exists():
    include = here.parent.parent / "core/include/gla"
    types = (include / "types.h").read_text()
    plugin = (include / "plugin.h").read_text()
    assert plugin.count("#include <gla/types.h>\n") == 1
    header = out / f"plugin_v{version}.h"
    header.write_text(plugin.replace("#include <gla/types.h>\n", types))

code = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)
code = code.replace("\\\n", " ")

fields = []
structs = []
for name, body in re.findall(r"^(?:typedef )?struct (\w+) \{(.*?)\n\}", code, flags=re.S | re.M):
    structs.append(name)
    for line in re.sub(r"\([^()]*\)", "", re.sub(r"\(\*(\w+)\)\([^;]*\)", r"\1", body)).split(";"):
        for part in line.split(","):
            m = re.search(r"(\w+)\s*(\[[^\]]*\])?\s*$", part.strip())
            if m:
                fields.append((name, m.group(1)))

names = [n for body in re.findall(r"enum(?: \w+)? \{(.*?)\}", code, flags=re.S)
         for n in re.findall(r"^\s+(GLA_\w+)\b(?!\()", body, flags=re.M) if n != "GLA_STATUS_MAP"]
names += re.findall(r"^#define (GLA_(?:LAYER|WEIGHT|PART|USE)_[A-Z0-9_]+)\s+\(?[^\s(]", code, flags=re.M)
names += ["GLA_E_" + n for n in re.findall(r"XX\((\w+), -\d+", code)]

program = f'#include <stdio.h>\n#include "{header.resolve()}"\nint main(void){{\n'
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
    subprocess.run([cc, "-std=c11", "-o", f"{d}/p", str(c)], check=True)
    rows = [line.split() for line in subprocess.run([f"{d}/p"], check=True, text=True,
                                                    capture_output=True).stdout.splitlines()]


def table(name, lines):
    return f"\n#define {name}_V{version}(X) \\\n" + " \\\n".join("    " + line for line in lines) + "\n"


(out / f"layout_v{version}.h").write_text(
    f"""/* SPDX-License-Identifier: Apache-2.0
 *
 * layout_v{version}.h - made by make_layout.py from plugin_v{version}.h: offsets, sizes and values on 64-bit
 * machines
 */
/* clang-format off */
"""
    + table("LAYOUT", [f"X({r[1]}, {NAMED.get((r[1], r[2]), r[2])}, {r[3]});" for r in rows if r[0] == "F"])
    + table("SIZES", [f"X({r[1]}, {r[2]});" for r in rows if r[0] == "S"])
    + table("VALUES", [f"X({r[1]}, {r[2]});" for r in rows if r[0] == "V"]))
