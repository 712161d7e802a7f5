#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make_blocks.py OUT.gguf - every quantised type that gla reads: blocks of random bits as tensor TYPE,
and what the gguf package makes of them as tensor TYPE.f32.  Made with gguf 0.19 (pip install gguf)."""
import sys

import gguf
import numpy as np

# type: where its blocks hold f16 numbers, which must be sensible ones
HALVES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82],
          "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}
ROWS, COLUMNS = 3, 512

random = np.random.default_rng(7)
out = gguf.GGUFWriter(sys.argv[1], "llama")
for name, halves in HALVES.items():
    kind = gguf.GGMLQuantizationType[name]
    numbers, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = random.integers(0, 256, (ROWS * COLUMNS // numbers, size), dtype=np.uint8)
    for at in halves:
        scales = (random.standard_normal(len(blocks)) * 0.1).astype("<f2")
        blocks[:, at:at + 2] = scales.view(np.uint8).reshape(-1, 2)
    blocks = blocks.reshape(ROWS, -1)
    out.add_tensor(name, blocks, raw_dtype=kind)
    out.add_tensor(name + ".f32", gguf.quants.dequantize(blocks, kind))
out.write_header_to_file()
out.write_kv_data_to_file()
out.write_tensors_to_file()
out.close()
