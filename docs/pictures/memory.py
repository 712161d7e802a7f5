#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws docs/pictures/memory.svg: what a sequence costs in memory, for the mixes of the 340M shape.

Needs only the build: python3 docs/pictures/memory.py [build/bin/gla-inspect]
"""
import json
import math
import pathlib
import subprocess
import sys

here = pathlib.Path(__file__).parent
root = here.parent.parent
inspect = sys.argv[1] if len(sys.argv) > 1 else str(root / "build/bin/gla-inspect")
MIXES = [("softmax-340m", "softmax only", "#c0392b"), ("gla-340m-hybrid-1-1", "1:1", "#e67e22"),
         ("gla-340m-hybrid-3-1", "3:1", "#2980b9"), ("gla-340m-hybrid-7-1", "7:1", "#16a085"),
         ("gla-340m", "GLA only", "#2c3e50")]
CONTEXTS = [256 << i for i in range(10)]  # 256 .. 131072
W, H, LEFT, RIGHT, TOP, BOTTOM = 760, 400, 80, 110, 46, 50
LOW, HIGH = 4e6, 4e9


def x_of(tokens):
    return LEFT + (W - LEFT - RIGHT) * math.log(tokens / CONTEXTS[0]) / math.log(CONTEXTS[-1] / CONTEXTS[0])


def y_of(size):
    return H - BOTTOM - (H - TOP - BOTTOM) * math.log(size / LOW) / math.log(HIGH / LOW)


def text(x, y, s, extra=""):
    return f'<text x="{x:.0f}" y="{y:.0f}" {extra}>{s}</text>'


out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {W} {H}" font-family="sans-serif" font-size="13">',
       f'<rect width="{W}" height="{H}" fill="#ffffff"/>',
       text(LEFT, 24, "Memory of one sequence: KV cache (bf16) + recurrent state, 340M shape, 24 blocks",
            'font-size="15" fill="#222222"')]
for size, label in ((4e6, "4 MB"), (4e7, "40 MB"), (4e8, "400 MB"), (4e9, "4 GB")):
    out.append(f'<line x1="{LEFT}" x2="{W - RIGHT}" y1="{y_of(size):.0f}" y2="{y_of(size):.0f}" stroke="#dddddd"/>')
    out.append(text(LEFT - 8, y_of(size) + 4, label, 'text-anchor="end" fill="#555555"'))
for tokens in CONTEXTS[::3]:
    label = f"{tokens // 1024}k" if tokens >= 1024 else str(tokens)
    out.append(text(x_of(tokens), H - BOTTOM + 20, label, 'text-anchor="middle" fill="#555555"'))
out.append(text((LEFT + W - RIGHT) / 2, H - 10, "tokens of context", 'text-anchor="middle" fill="#555555"'))
for name, label, colour in MIXES:
    contexts = ",".join(map(str, CONTEXTS))
    report = json.loads(subprocess.run([inspect, str(root / f"configs/{name}.yaml"), "--context", contexts, "--json"],
                                       check=True, capture_output=True, text=True).stdout)
    sizes = [c["kv_bytes"] + c["state_bytes"] for c in report["contexts"]]
    points = " ".join(f"{x_of(t):.1f},{y_of(s):.1f}" for t, s in zip(CONTEXTS, sizes))
    out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
    out.append(text(W - RIGHT + 8, y_of(sizes[-1]) + 4, label, f'fill="{colour}" font-weight="bold"'))
out.append("</svg>\n")
(here / "memory.svg").write_text("\n".join(out))
