# SPDX-License-Identifier: Apache-2.0
"""Writes tests/golden/rope_reference.h from transformers' modeling_rope_utils.

    python3 -m venv V && V/bin/pip install numpy transformers
    V/bin/python tests/golden/make_rope.py > tests/golden/rope_reference.h

PyTorch is not needed: the few functions that the formulas use are numpy's here, in f32 as there.
"""
import types

import numpy as np
import transformers
from transformers import modeling_rope_utils as m


class T(np.ndarray):
    def to(self, device=None, dtype=None):
        return self.astype(dtype or self.dtype).view(T)

    def float(self):
        return self.to(dtype=np.float32)

    def __rpow__(self, base):
        return np.power(np.float32(base), self).view(T)


def tensor(x, dtype=np.float32, device=None):
    return np.array(x, dtype=dtype).view(T)


m.torch = types.SimpleNamespace(
    arange=lambda *a, dtype=np.int64, **k: np.arange(*a, dtype=dtype).view(T), tensor=tensor,
    Tensor=T, int64=np.int64, float=np.float32, float32=np.float32, clamp=np.clip, where=np.where)


class Config:
    def __init__(self, head_dim, max_position_embeddings, **rope):
        self.head_dim, self.max_position_embeddings = head_dim, max_position_embeddings
        self.hidden_size, self.num_attention_heads = head_dim, 1
        self.rope_parameters = dict(rope)
        if "original_max_position_embeddings" in rope:
            self.original_max_position_embeddings = rope["original_max_position_embeddings"]

    def standardize_rope_params(self):
        pass


SHORT = [1 + i / 32 for i in range(16)]
LONG = [1 + i * i / 4 for i in range(16)]
O = "original_max_position_embeddings"
CASES = [  # name, kind, length, config
    ("linear", "linear", None, Config(32, 4096, rope_theta=1e4, factor=4.0)),
    ("llama3", "llama3", None, Config(64, 131072, rope_theta=5e5, factor=8.0, low_freq_factor=1.0,
                                      high_freq_factor=4.0, **{O: 8192})),
    ("yarn", "yarn", None, Config(64, 131072, rope_theta=1e6, factor=4.0, **{O: 32768})),
    ("yarn_mscale", "yarn", None, Config(64, 163840, rope_theta=1e4, factor=40.0, mscale=1.0,
                                         mscale_all_dim=0.8, beta_fast=32, beta_slow=1,
                                         **{O: 4096})),
    ("yarn_given", "yarn", None, Config(32, 8192, rope_theta=1e4, factor=2.0, beta_fast=16,
                                        beta_slow=2, attention_factor=1.25, **{O: 4096})),
    ("longrope_short", "longrope", 4096, Config(32, 131072, rope_theta=1e4, short_factor=SHORT,
                                                long_factor=LONG, factor=None, **{O: 4096})),
    ("longrope_long", "longrope", 4097, Config(32, 131072, rope_theta=1e4, short_factor=SHORT,
                                               long_factor=LONG, factor=None, **{O: 4096})),
    ("dynamic_within", "dynamic", 2048, Config(32, 2048, rope_theta=1e4, factor=2.0)),
    ("dynamic_beyond", "dynamic", 6000, Config(32, 2048, rope_theta=1e4, factor=2.0)),
]

print("/* SPDX-License-Identifier: Apache-2.0 */")
print(f"/* Made by tests/golden/make_rope.py with transformers {transformers.__version__}. */")
print("typedef struct rope_reference {\n    const char *name;\n    unsigned pairs;")
print("    double attention_factor;\n    float frequencies[32];\n} rope_reference;\n")
print("static const rope_reference rope_references[] = {")
for name, kind, length, config in CASES:
    f, factor = m.ROPE_INIT_FUNCTIONS[kind](config, "cpu", seq_len=length)
    f = np.asarray(f)
    assert f.dtype == np.float32, (name, f.dtype)
    values = ", ".join(x + ("f" if "." in x or "e" in x else ".0f") for x in (f"{v:.9g}" for v in f))
    print(f'    {{"{name}", {len(f)}, {factor!r}, {{{values}}}}},')
print("};")
