#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make_with_llama_cpp.py LLAMA_CPP FOLDER OUT.gguf [f32|f16|bf16|q8_0] [fuse_qkv] [fuse_gate_up_exps]

llama.cpp's own conversion of a folder of tests/reference, which has no vocabulary.  LLAMA_CPP: its sources (the
source package of llama-cpp-python has them; 0.3.36 was used).  Needs torch and transformers.  The files here, all
f32: qwen3next.gguf (of qwen3-next), qwen35.gguf (qwen3_5), qwen35moe.gguf (qwen3_5-moe).  llama.cpp itself gives
the reference's logits for the first two within 3e-4; it does not run value heads of another width than key heads.
"""
import sys
from pathlib import Path

source, folder, out, *rest = sys.argv[1:]
sys.path[:0] = [f"{source}/gguf-py", source]
import gguf  # noqa: E402
import torch  # noqa: E402
from conversion import ModelBase, ModelType, get_model_architecture, get_model_class  # noqa: E402


def set_vocab(self):
    self.gguf_writer.add_tokenizer_model("none")
    self.gguf_writer.add_vocab_size(self.hparams["vocab_size"])


kind = rest[0] if rest else "f32"
types = {"f32": "ALL_F32", "f16": "MOSTLY_F16", "bf16": "MOSTLY_BF16", "q8_0": "MOSTLY_Q8_0"}
config = ModelBase.load_hparams(Path(folder), False)
model = get_model_class(get_model_architecture(config, ModelType.TEXT))
model.set_vocab = set_vocab
model.no_mtp = True
with torch.inference_mode():
    model(Path(folder), getattr(gguf.LlamaFileType, types[kind]), Path(out), hparams=config,
          **{option: True for option in rest[1:]}).write()
