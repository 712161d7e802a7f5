# SPDX-License-Identifier: Apache-2.0
"""Writes gguf files with random weights and the geometry of configs/bench-*.yaml."""
import gguf
import numpy as np

T = gguf.MODEL_TENSOR
D, BLOCKS, VOCAB, HEADS, KV_HEADS, HEAD = 1024, 24, 32768, 8, 2, 128
FFN = {"hybrid": 3584, "softmax": 4096}
TYPES = {
    "bf16": gguf.GGMLQuantizationType.BF16,
    "int8": gguf.GGMLQuantizationType.Q8_0,
    "int4": gguf.GGMLQuantizationType.Q4_0,
}


class Matrices:
    """Random matrices, cut out of one supply: what is read from memory is all the same size."""

    def __init__(self, writer, kind):
        self.writer, self.kind = writer, kind
        self.random = np.random.default_rng(1)
        numbers = self.random.standard_normal(VOCAB * D, dtype=np.float32) / np.sqrt(np.float32(D))
        self.supply = {k: gguf.quants.quantize(numbers.reshape(-1, D), k).view(np.uint8).reshape(-1)
                       for k in {kind, gguf.GGMLQuantizationType.Q8_0}}

    def add(self, name, out, width, kind=None):
        kind = kind or self.kind
        per_block, block_bytes = gguf.GGML_QUANT_SIZES[kind]
        row = width // per_block * block_bytes
        supply = self.supply[kind]
        first = int(self.random.integers(0, (supply.size - out * row) // block_bytes + 1)) * block_bytes
        data = supply[first : first + out * row].reshape(out, row)
        self.writer.add_tensor(name, data, raw_dtype=kind)

    def add_f32(self, name, values):
        self.writer.add_tensor(name, np.asarray(values, dtype=np.float32))


def name_of(tensor, block=0, suffix=".weight"):
    return gguf.TENSOR_NAMES[tensor].format(bid=block) + suffix


def delta_net(m, i):
    heads, channels = HEADS, 3 * HEADS * HEAD
    small = lambda *shape: m.random.standard_normal(shape, dtype=np.float32) / 32
    m.add(name_of(T.ATTN_QKV, i), channels, D)
    m.add(name_of(T.ATTN_GATE, i), HEADS * HEAD, D)
    m.add_f32(name_of(T.SSM_CONV1D, i), 16 * small(channels, 4))
    m.add_f32(name_of(T.SSM_DT, i, ".bias"), small(heads))
    m.add_f32(name_of(T.SSM_A, i, ""), -np.exp(small(heads)))
    m.add_f32(name_of(T.SSM_BETA, i), small(heads, D))
    m.add_f32(name_of(T.SSM_ALPHA, i), small(heads, D))
    m.add_f32(name_of(T.SSM_NORM, i), np.ones(HEAD))
    m.add(name_of(T.SSM_OUT, i), D, HEADS * HEAD)


def softmax(m, i, gated):
    m.add(name_of(T.ATTN_Q, i), HEADS * HEAD * (2 if gated else 1), D)
    m.add(name_of(T.ATTN_K, i), KV_HEADS * HEAD, D)
    m.add(name_of(T.ATTN_V, i), KV_HEADS * HEAD, D)
    m.add(name_of(T.ATTN_OUT, i), D, HEADS * HEAD)
    if gated:
        m.add_f32(name_of(T.ATTN_Q_NORM, i), np.ones(HEAD))
        m.add_f32(name_of(T.ATTN_K_NORM, i), np.ones(HEAD))


def write(path, model, weights):
    hybrid = model == "hybrid"
    kind = TYPES[weights]
    w = gguf.GGUFWriter(path, "qwen35" if hybrid else "llama")
    w.add_block_count(BLOCKS)
    w.add_context_length(131072)
    w.add_embedding_length(D)
    w.add_feed_forward_length(FFN[model])
    w.add_head_count(HEADS)
    w.add_head_count_kv(KV_HEADS)
    w.add_key_length(HEAD)
    w.add_value_length(HEAD)
    w.add_layer_norm_rms_eps(1e-6)
    w.add_rope_dimension_count(HEAD)
    w.add_rope_freq_base(1e6)
    w.add_vocab_size(VOCAB)
    w.add_tokenizer_model("none")
    if hybrid:
        w.add_rope_dimension_sections([32, 16, 16, 0])
        w.add_ssm_conv_kernel(4)
        w.add_ssm_inner_size(HEADS * HEAD)
        w.add_ssm_state_size(HEAD)
        w.add_ssm_time_step_rank(HEADS)
        w.add_ssm_group_count(HEADS)
    m = Matrices(w, kind)
    tied = gguf.GGMLQuantizationType.Q8_0 if weights == "int4" else kind
    m.add(name_of(T.TOKEN_EMBD), VOCAB, D, tied)
    m.add_f32(name_of(T.OUTPUT_NORM), np.ones(D))
    for i in range(BLOCKS):
        m.add_f32(name_of(T.ATTN_NORM, i), np.ones(D))
        m.add_f32(name_of(T.ATTN_POST_NORM if hybrid else T.FFN_NORM, i), np.ones(D))
        if hybrid and i % 4 != 3:
            delta_net(m, i)
        else:
            softmax(m, i, hybrid)
        m.add(name_of(T.FFN_GATE, i), FFN[model], D)
        m.add(name_of(T.FFN_UP, i), FFN[model], D)
        m.add(name_of(T.FFN_DOWN, i), D, FFN[model])
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
