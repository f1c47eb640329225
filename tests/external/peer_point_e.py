"""Point-E's transformers in PyTorch beside `packshot bench points`, in one run.

    python -m venv venv && venv/bin/pip install torch
    venv/bin/python tests/external/peer_point_e.py target/release/packshot [--threads 2] [--rounds 3] [MODEL ...]

The peer is the strongest form of the same network that PyTorch offers without compilation: fused
attention (`scaled_dot_product_attention`), exact GELU, random weights, no gradients, and an allocator
that keeps large blocks. Both programs take turns, so that what else the machine does hits both; the
best of each is compared. With `--bf16`, PyTorch runs under bf16 autocast and packshot with
`--precision bf16`.
"""

import argparse
import json
import os
import subprocess
import sys
import time

ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(8 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(16 << 30),
    "MALLOC_TOP_PAD_": str(256 << 20),
}
# name: batch, width, layers, heads, condition tokens, points
MODELS = {
    "base40M-textvec": (2, 512, 12, 8, 2, 1024),
    "base40M": (2, 512, 12, 8, 257, 1024),
    "upsample": (1, 512, 12, 8, 1281, 3072),
    "base300M": (2, 1024, 24, 16, 257, 1024),
}


def network(torch, width, layers, heads, before, points):
    """The transformer; condition tokens are given, as they are the same at every step."""
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x):
            b, t, _ = x.shape
            # Rows are ordered head by head, q k v within each.
            qkv = self.qkv(self.norm1(x)).view(b, t, heads, 3, width // heads).permute(3, 0, 2, 1, 4)
            h = nn.functional.scaled_dot_product_attention(*qkv.unbind(0))
            x = x + self.proj(h.transpose(1, 2).reshape(b, t, width))
            return x + self.fc2(nn.functional.gelu(self.fc1(self.norm2(x))))

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.input, self.output = nn.Linear(6, width), nn.Linear(width, 12)
            self.pre, self.post = nn.LayerNorm(width), nn.LayerNorm(width)
            self.blocks = nn.ModuleList(Block() for _ in range(layers))

        def forward(self, x, tokens):
            h = self.pre(torch.cat([tokens, self.input(x.transpose(1, 2))], 1))
            for block in self.blocks:
                h = block(h)
            return self.output(self.post(h)[:, before:]).transpose(1, 2)

    return Network().eval()


def peer(model, threads, bf16):
    """A function that runs one evaluation and returns its seconds."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    batch, width, layers, heads, before, points = MODELS[model]
    net = network(torch, width, layers, heads, before, points)
    x, tokens = torch.randn(batch, 6, points), torch.randn(batch, before, width)

    def evaluate():
        start = time.perf_counter()
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            net(x, tokens)
        return time.perf_counter() - start

    evaluate()
    return evaluate


def ours(program, model, threads, bf16):
    """The report of `packshot bench`."""
    command = [program, "--json", "--threads", str(threads), "bench", "points", "--model", model, "--steps", "1"]
    if bf16:
        command += ["--precision", "bf16"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("models", nargs="*", default=["base40M", "upsample"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bf16", action="store_true")
    arguments = parser.parse_intermixed_args()
    if any(os.environ.get(name) != value for name, value in ALLOCATOR.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ALLOCATOR})
    slower = False
    print("| network | batch | tokens | PyTorch, s | packshot, s | ratio | packshot, of FMA peak |")
    print("|---|---|---|---|---|---|---|")
    for model in arguments.models:
        evaluate = peer(model, arguments.threads, arguments.bf16)
        theirs, reports = [], []
        for _ in range(arguments.rounds):
            theirs.append(evaluate())
            reports.append(ours(arguments.program, model, arguments.threads, arguments.bf16))
        report = min(reports, key=lambda r: r["seconds_per_eval"])
        seconds = report["seconds_per_eval"]
        slower |= seconds > min(theirs)
        print(
            f"| {model} | {report['batch']} | {report['tokens']} | {min(theirs):.3f} | {seconds:.3f} "
            f"| {min(theirs) / seconds:.2f} | {100 * report['fraction_of_peak']:.0f} % |",
            flush=True,
        )
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
