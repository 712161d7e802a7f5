#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures gla and llama.cpp alternately on models of one geometry and prints the ratios."""
import argparse
import ctypes
import json
import pathlib
import statistics
import subprocess
import sys
import time

import llama_cpp as ll

import random_gguf

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIG = {"hybrid": "configs/bench-hybrid-415m.yaml", "softmax": "configs/bench-softmax-398m.yaml"}
PROMPT = 512


@ll.llama_log_callback
def say_nothing(level, text, data):
    pass


class Llama:
    """llama.cpp with its defaults; one context for short runs, one that stands at the depth."""

    def __init__(self, path, threads, depth):
        params = ll.llama_model_default_params()
        self.model = ll.llama_model_load_from_file(str(path).encode(), params)
        if not self.model:
            sys.exit(f"peers: llama.cpp does not load {path}")
        self.threads, self.depth = threads, depth
        self.short = self.context(PROMPT + 64)
        self.long = None

    def context(self, tokens):
        params = ll.llama_context_default_params()
        params.n_ctx = tokens
        params.n_batch = params.n_ubatch = PROMPT
        params.n_threads = params.n_threads_batch = self.threads
        return ll.llama_init_from_model(self.model, params)

    def feed(self, context, n):
        tokens = (ctypes.c_int32 * n)(*((7919 * i + 13) % random_gguf.VOCAB for i in range(n)))
        start = time.perf_counter()
        if ll.llama_decode(context, ll.llama_batch_get_one(tokens, n)):
            sys.exit("peers: llama_decode() failed")
        ll.llama_synchronize(context)
        return time.perf_counter() - start

    def decode(self, context, n):
        self.feed(context, 1)
        return n / sum(self.feed(context, 1) for _ in range(n))

    def clear(self):
        ll.llama_memory_clear(ll.llama_get_memory(self.short), True)

    def sample(self, n, rounds):
        if not self.long:  # warm, and at the depth
            self.feed(self.short, PROMPT)
            self.long = self.context(self.depth + (n + 1) * rounds + PROMPT)
            for _ in range(self.depth // PROMPT):
                self.feed(self.long, PROMPT)
        self.clear()
        result = {"prefill": PROMPT / self.feed(self.short, PROMPT)}
        self.clear()
        result["decode"] = self.decode(self.short, n)
        result["deep"] = self.decode(self.long, n)
        return result

    def weight_bytes(self):
        return ll.llama_model_size(self.model)

    def close(self):
        ll.llama_free(self.short)
        ll.llama_free(self.long)
        ll.llama_model_free(self.model)


def gla_sample(args, weights):
    command = [args.gla_bench, "--arch", str(ROOT / CONFIG[args.model]), "--weights", weights, "--json",
               "--quiet", "--repeat", "1", "--prefill", str(PROMPT), "--decode", str(args.decode),
               "--depth", f"0,{args.depth}", "--threads", str(args.threads)]
    r = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {"prefill": r["prefill"][0]["prefill_tokens_per_s"],
            "decode": r["decode"][0]["decode_tokens_per_s"],
            "deep": r["decode"][1]["decode_tokens_per_s"],
            "read": r["read_bytes_per_s"], "weight_bytes": r["memory_bytes"]["weights"], "build": r["build"]}


def compare(args, weights):
    path = args.work / f"{args.model}-{weights}.gguf"
    if not path.exists():
        part = path.with_suffix(".part")
        random_gguf.write(part, args.model, weights)
        part.rename(path)
    if args.write_only:
        return None
    llama = Llama(path, args.threads, args.depth)
    ours, theirs = [], []
    for _ in range(args.rounds):
        theirs.append(llama.sample(args.decode, args.rounds))
        ours.append(gla_sample(args, weights))
    result = {"weights": weights, "llama_type": random_gguf.TYPES[weights].name, "build": ours[0]["build"],
              "read_bytes_per_s": statistics.median(r["read"] for r in ours),
              "gla_weight_bytes": ours[0]["weight_bytes"], "llama_weight_bytes": llama.weight_bytes()}
    for what in ("prefill", "decode", "deep"):
        result[what] = {"gla": [r[what] for r in ours], "llama": [r[what] for r in theirs],
                        "ratio": statistics.median(a[what] / b[what] for a, b in zip(ours, theirs))}
    llama.close()
    return result


def spread(values):
    return f"{statistics.median(values):.4g} ({min(values):.4g}..{max(values):.4g})"


def report(args, results):
    names = {"prefill": f"prefill {PROMPT}", "decode": "decode at 0", "deep": f"decode at {args.depth}"}
    print(f"{args.model}, {args.threads} threads, {args.rounds} rounds in turn; tokens/s, median (least..most)")
    for r in results:
        print(f"\nllama.cpp {r['llama_type']}, {r['llama_weight_bytes'] / 2**20:.0f} MiB;  "
              f"gla {r['weights']}, {r['gla_weight_bytes'] / 2**20:.0f} MiB;  "
              f"memory read {r['read_bytes_per_s'] / 1e9:.1f} GB/s")
        for what, name in names.items():
            x = r[what]
            print(f"  {name:<16} {spread(x['llama']):<26} {spread(x['gla']):<26} {x['ratio']:.2f} times")


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--gla-bench", required=True, help="the program gla-bench")
    p.add_argument("--work", required=True, type=pathlib.Path, help="folder for the gguf files")
    p.add_argument("--model", choices=CONFIG, default="hybrid")
    p.add_argument("--weights", default="bf16,int8,int4", help="separated by commas")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--decode", type=int, default=64, help="tokens to decode")
    p.add_argument("--depth", type=int, default=4096, help=f"of the second decode; a multiple of {PROMPT}")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--write-only", action="store_true", help="write the gguf files and stop")
    p.add_argument("--json", action="store_true")
    args = p.parse_args()
    if args.depth < PROMPT or args.depth % PROMPT or args.rounds < 1:
        p.error(f"--depth must be a multiple of {PROMPT}, --rounds at least 1")
    weights = args.weights.split(",")
    if not set(weights) <= set(random_gguf.TYPES):
        p.error("--weights: bf16, int8, int4")
    args.work.mkdir(parents=True, exist_ok=True)
    ll.llama_log_set(say_nothing, ctypes.c_void_p(0))
    ll.llama_backend_init()
    results = [r for r in (compare(args, w) for w in weights) if r]
    if args.write_only:
        return
    if args.json:
        json.dump({"schema": "gla.peers/1", "model": args.model, "threads": args.threads,
                   "depth": args.depth, "prompt": PROMPT, "results": results,
                   "llama_cpp_python": ll.__version__,
                   "llama_system": ll.llama_print_system_info().decode()},
                  sys.stdout, indent=2, sort_keys=True)
        print()
    else:
        report(args, results)


if __name__ == "__main__":
    main()
