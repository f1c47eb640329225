"""A whole text run of Point-E: the official code beside packshot, with random weights of the published sizes.

    git clone https://github.com/openai/point-e
    python -m venv venv && venv/bin/pip install torch safetensors tqdm pillow requests numpy
    venv/bin/python tests/external/full_point_e.py target/release/packshot point-e FOLDER [--threads 2]

FOLDER gets the weight files under their published names (1.2 GB; they are kept for the next time). The
official sampler runs as it is with two Heun steps a stage, three evaluations of each network, and its
time for its 64 steps (127 evaluations) is reckoned from the quickest of them, to its favour. Packshot's
runs are whole: reading the text with CLIP, loading, 16 and 20 evaluations, files. CLIP's output is
replaced by random numbers in the official code, which costs it nothing here.
"""

import argparse
import subprocess
import sys
import time
import types
from pathlib import Path

EVALUATIONS = 127
FILES = {"base40M-textvec": "base_40m_textvec.pt", "upsample": "upsample_40m.pt"}
CLIP_FILE = "clip-vit-l14.safetensors"


def official(checkout, threads):
    """The official package, with a text encoder that needs no files."""
    sys.path.insert(0, checkout)
    sys.modules["clip"] = types.ModuleType("clip")
    import torch
    from point_e.models import transformer

    torch.set_num_threads(threads)

    class Clip(torch.nn.Module):
        feature_dim, grid_size, grid_feature_dim = 768, 16, 1024

        def __init__(self, device, cache_dir=None):
            super().__init__()

        def forward(self, batch_size, images=None, texts=None, embeddings=None):
            if embeddings is not None:
                return torch.stack(list(embeddings))
            noise = torch.randn(768, generator=torch.Generator().manual_seed(1))
            return torch.stack([noise if text else torch.zeros(768) for text in texts or [None] * batch_size])

        def embed_images_grid(self, images):
            return torch.stack([torch.zeros(self.grid_feature_dim, self.grid_size**2) for _ in images])

    transformer.FrozenImageCLIP = Clip
    return torch


def network(torch, name):
    from point_e.models.configs import MODEL_CONFIGS, model_from_config

    torch.manual_seed(len(name))
    made = model_from_config(MODEL_CONFIGS[name], torch.device("cpu")).eval()
    # Zeros at the start of training; with them every evaluation would give zero.
    torch.nn.init.normal_(made.output_proj.weight, std=0.02)
    return made


def clip_tensors(torch):
    """CLIP ViT-L/14 in Hugging Face's layout, of random numbers."""
    generator = torch.Generator().manual_seed(0)
    tensors = {}

    def random(name, *shape):
        tensors[name] = (0.02 * torch.randn(*shape, generator=generator)).half()

    def norm(name, width):
        tensors[f"{name}.weight"] = torch.ones(width).half()
        tensors[f"{name}.bias"] = torch.zeros(width).half()

    def linear(name, outputs, inputs):
        random(f"{name}.weight", outputs, inputs)
        random(f"{name}.bias", outputs)

    for tower, width, layers in (("text_model", 768, 12), ("vision_model", 1024, 24)):
        for layer in range(layers):
            at = f"{tower}.encoder.layers.{layer}"
            for part in ("q", "k", "v", "out"):
                linear(f"{at}.self_attn.{part}_proj", width, width)
            norm(f"{at}.layer_norm1", width)
            norm(f"{at}.layer_norm2", width)
            linear(f"{at}.mlp.fc1", 4 * width, width)
            linear(f"{at}.mlp.fc2", width, 4 * width)
    random("text_model.embeddings.token_embedding.weight", 49408, 768)
    random("text_model.embeddings.position_embedding.weight", 77, 768)
    norm("text_model.final_layer_norm", 768)
    random("vision_model.embeddings.class_embedding", 1024)
    random("vision_model.embeddings.patch_embedding.weight", 1024, 3, 14, 14)
    random("vision_model.embeddings.position_embedding.weight", 257, 1024)
    norm("vision_model.pre_layrnorm", 1024)
    norm("vision_model.post_layernorm", 1024)
    random("text_projection.weight", 768, 768)
    random("visual_projection.weight", 768, 1024)
    tensors["logit_scale"] = torch.tensor(4.6).half()
    return tensors


def write_weights(torch, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, file in FILES.items():
        if not (folder / file).exists():
            torch.save(network(torch, name).state_dict(), folder / file)
    if not (folder / CLIP_FILE).exists():
        from safetensors.torch import save_file

        save_file(clip_tensors(torch), folder / CLIP_FILE)


def official_seconds(torch):
    """Quickest evaluation of each network in the official sampler, in seconds."""
    from point_e.diffusion.configs import DIFFUSION_CONFIGS, diffusion_from_config
    from point_e.diffusion.sampler import PointCloudSampler

    times = {}

    def timed(name):
        made = network(torch, name)
        forward = made.forward

        def evaluate(*values, **named):
            start = time.perf_counter()
            result = forward(*values, **named)
            times.setdefault(name, []).append(time.perf_counter() - start)
            return result

        made.forward = evaluate
        return made

    sampler = PointCloudSampler(
        device=torch.device("cpu"),
        models=[timed(name) for name in FILES],
        diffusions=[diffusion_from_config(DIFFUSION_CONFIGS[name]) for name in FILES],
        num_points=[1024, 3072],
        aux_channels=["R", "G", "B"],
        guidance_scale=[3.0, 0.0],
        karras_steps=[2, 2],
        model_kwargs_key_filter=("texts", ""),
    )
    for _ in sampler.sample_batch_progressive(batch_size=1, model_kwargs={"texts": ["a red motorcycle"]}):
        pass
    return {name: min(seconds) for name, seconds in times.items()}


def packshot_seconds(program, folder, threads, flags):
    """Seconds of a whole run, and its peak memory in MB."""
    target = folder / "made"
    command = [program, "--quiet", "--force", "--threads", str(threads), "generate", "a red motorcycle"]
    command += ["--model", "base40M-textvec", "--weights", str(folder), "-o", str(target), "--seed", "1", *flags]
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    # Asked for while it runs: what is reported of a child at its end counts this process's own pages.
    peak_kb = 0
    while child.poll() is None:
        status = Path(f"/proc/{child.pid}/status").read_text()
        peak_kb = max([peak_kb] + [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")])
        time.sleep(0.2)
    if child.returncode != 0:
        sys.exit(f"packshot ended with {child.returncode}")
    return time.perf_counter() - start, peak_kb / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("checkout", help="OpenAI's point-e repository")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--reference", action="store_true", help="run packshot's 127 evaluations a stage too")
    arguments = parser.parse_args()
    torch = official(arguments.checkout, arguments.threads)
    write_weights(torch, arguments.folder)
    each = official_seconds(torch)
    official_run = EVALUATIONS * sum(each.values())
    print(f"official code, one evaluation: {', '.join(f'{n} {s:.2f} s' for n, s in each.items())}")
    print(f"official code, {EVALUATIONS} evaluations a stage: {official_run:.0f} s")
    runs = [("16 and 20 evaluations", []), ("16 and 20 evaluations, bf16", ["--precision", "bf16"])]
    if arguments.reference:
        runs.append((f"{EVALUATIONS} evaluations a stage", ["--preset", "reference"]))
    for name, flags in runs:
        seconds, peak_mb = packshot_seconds(arguments.program, arguments.folder, arguments.threads, flags)
        print(f"packshot, {name}: {seconds:.0f} s, {official_run / seconds:.1f} times as fast, {peak_mb:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
