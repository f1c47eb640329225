"""The classic NeRF in PyTorch beside `packshot bench nerf`, in one run.

    python -m venv venv && venv/bin/pip install torch
    venv/bin/python tests/external/peer_nerf.py target/release/packshot [--threads 2] [--rounds 3] [--rays 512]

The peer is the pair of 8 × 256 networks of Mildenhall et al. (2020) as a program in PyTorch has it: positional
encoding with 10 and 4 octaves, 64 stratified samples for the first network, those and 128 more by its weights
for the second, both losses, Adam. It gets an allocator that keeps large blocks and Adam in one kernel. Both
programs take turns, so that what else the machine does hits both; the best of each is compared.
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
COARSE, FINE = 64, 128


def network(torch):
    nn = torch.nn

    class Field(nn.Module):
        def __init__(self):
            super().__init__()
            sizes = [63] + [256] * 4 + [63 + 256] + [256] * 2
            self.points = nn.ModuleList(nn.Linear(size, 256) for size in sizes)
            self.density = nn.Linear(256, 1)
            self.feature = nn.Linear(256, 256)
            self.view = nn.Linear(256 + 27, 128)
            self.colour = nn.Linear(128, 3)

        def forward(self, position, direction):
            h = position
            for i, layer in enumerate(self.points):
                h = torch.relu(layer(h))
                if i == 4:
                    h = torch.cat([position, h], -1)
            density = self.density(h)
            h = torch.relu(self.view(torch.cat([self.feature(h), direction], -1)))
            return torch.cat([self.colour(h), density], -1)

    return Field()


def encode(torch, x, octaves):
    parts = [x]
    for k in range(octaves):
        parts += [torch.sin(2.0**k * x), torch.cos(2.0**k * x)]
    return torch.cat(parts, -1)


def composite(torch, raw, t):
    dt = torch.cat([t[:, 1:] - t[:, :-1], torch.full_like(t[:, :1], 1e10)], -1)
    alpha = 1 - torch.exp(-torch.relu(raw[..., 3]) * dt)
    left = torch.cumprod(torch.cat([torch.ones_like(t[:, :1]), 1 - alpha + 1e-10], -1), -1)
    weights = alpha * left[:, :-1]
    colour = (weights[..., None] * torch.sigmoid(raw[..., :3])).sum(1)
    return colour + (1 - weights.sum(1, keepdim=True)), weights


def more_depths(torch, t, weights):
    middles = 0.5 * (t[:, 1:] + t[:, :-1])
    pdf = weights[:, 1:-1] + 1e-5
    cdf = torch.cumsum(pdf / pdf.sum(-1, keepdim=True), -1)
    cdf = torch.cat([torch.zeros_like(cdf[:, :1]), cdf], -1)
    u = torch.rand(t.shape[0], FINE)
    above = torch.searchsorted(cdf, u, right=True).clamp(1, cdf.shape[1] - 1)
    low, high = cdf.gather(1, above - 1), cdf.gather(1, above)
    share = (u - low) / torch.where(high - low < 1e-5, torch.ones_like(low), high - low)
    a, b = middles.gather(1, above - 1), middles.gather(1, above)
    return torch.sort(torch.cat([t, a + share * (b - a)], -1), -1)[0]


def torch_rays_per_second(threads, rays, steps):
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    fields = [network(torch), network(torch)]
    parameters = [p for field in fields for p in field.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=5e-4, fused=True)

    def step():
        direction = torch.nn.functional.normalize(torch.randn(rays, 3) * 0.2 - torch.tensor([0.0, 0.0, 1.0]), dim=-1)
        origin = torch.tensor([0.0, 0.0, 4.0])
        target = torch.rand(rays, 3)
        edges = torch.linspace(2.0, 6.0, COARSE)
        t = edges + (torch.rand(rays, COARSE) - 0.5) * (4.0 / COARSE)
        view = encode(torch, direction, 4)
        loss = 0.0
        for i, field in enumerate(fields):
            points = origin + t[..., None] * direction[:, None]
            views = view[:, None].expand(-1, t.shape[1], -1)
            raw = field(encode(torch, points, 10), views)
            colour, weights = composite(torch, raw, t)
            loss = loss + ((colour - target) ** 2).mean()
            if i == 0:
                t = more_depths(torch, t, weights.detach())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    step()
    best = 0.0
    for _ in range(steps):
        start = time.perf_counter()
        step()
        best = max(best, rays / (time.perf_counter() - start))
    return best


def ours(program, threads):
    out = subprocess.run(
        [program, "bench", "nerf", "--steps", "1", "--threads", str(threads), "--json"],
        check=True, capture_output=True, text=True,
    )
    return json.loads(out.stdout)["mlp"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="the packshot binary, or `torch` for a run of the peer alone")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rays", type=int, default=512, help="rays of a step of the peer")
    parser.add_argument("--steps", type=int, default=2, help="steps of the peer a round, after one that does not count")
    args = parser.parse_args()
    if args.program == "torch":
        print(torch_rays_per_second(args.threads, args.rays, args.steps))
        return
    own, peer = [], []
    for _ in range(args.rounds):
        own.append(ours(args.program, args.threads))
        alone = [sys.executable, __file__, "torch", "--threads", str(args.threads),
                 "--rays", str(args.rays), "--steps", str(args.steps)]
        out = subprocess.run(alone, check=True, capture_output=True, text=True, env={**os.environ, **ALLOCATOR})
        peer.append(float(out.stdout))
        print(f"packshot {own[-1]['rays_per_second']:.0f} rays/s, PyTorch {peer[-1]:.0f} rays/s", flush=True)
    best = max(own, key=lambda figures: figures["rays_per_second"])
    ratio = best["rays_per_second"] / max(peer)
    print(f"best of {args.rounds}: {best['rays_per_second']:.0f} against {max(peer):.0f} rays/s, {ratio:.2f} times; "
          f"{100 * best['fraction_of_peak']:.0f} % of the multiply-add peak")


if __name__ == "__main__":
    main()
