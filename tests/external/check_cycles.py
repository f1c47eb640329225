"""Compares Packshot's path tracer with Blender's Cycles, in linear light, on the same GLB files.

    pip install numpy "bpy==4.5.*"      # bpy 4.5 needs Python 3.11
    cargo build --release -p packshot-render --example linear
    python check_cycles.py target/release/examples/linear [--size 256] [--samples 4096]
    python check_cycles.py target/release/examples/linear --speed [--size 1024] [--triangles 100000]

Three objects (a metal, a plastic, a textured one) are modelled and exported with Blender, imported again for Cycles, and
rendered by both programs under one area light and one environment. The figure is the mean absolute linear difference
over the object's mask, divided by the mask's mean; at most 2 % passes. `--speed` renders an object on a white sweep with
both programs' adaptive sampling at Cycles' default threshold, on all processors, and prints seconds and
noise (root mean square against a long render of the same program). Needs a few minutes; not part of the test command.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time

import bpy
import numpy as np

EYE, TARGET, FOV_DEG = (1.6, -3.2, 1.7), (0.0, 0.0, 0.0), 34.0
LIGHT = {"centre": (-1.6, -1.8, 2.6), "target": (0, 0, 0), "width_m": 1.4, "height_m": 0.9}
LIGHT_RADIANCE = (9.0, 8.5, 8.0)
ENVIRONMENT = (0.30, 0.34, 0.40)
BOUNCES = 8


def clear():
    bpy.ops.wm.read_factory_settings(use_empty=True)


def new_picture(name, pixels, colour):
    height, width = pixels.shape[:2]
    picture = bpy.data.images.new(name, width, height, alpha=False)
    picture.colorspace_settings.name = "sRGB" if colour else "Non-Color"
    rgba = np.ones((height, width, 4), dtype=np.float32)
    rgba[..., :3] = pixels
    picture.pixels.foreach_set(rgba[::-1].ravel())
    picture.pack()
    return picture


def checker(size=256):
    y, x = np.mgrid[0:size, 0:size] / size
    board = ((np.floor(x * 8) + np.floor(y * 8)) % 2)[..., None]
    base = board * np.array([0.85, 0.25, 0.1]) + (1 - board) * np.array([0.15, 0.45, 0.75])
    rough = 0.25 + 0.5 * (0.5 + 0.5 * np.sin(x * 2 * math.pi * 3))
    metal = (y > 0.5).astype(float)
    data = np.stack([np.ones_like(rough), rough, metal], axis=-1)
    slope_x = 0.35 * np.cos(x * 2 * math.pi * 10)
    slope_y = 0.35 * np.cos(y * 2 * math.pi * 10)
    normal = np.stack([-slope_x, -slope_y, np.ones_like(x)], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    return base, data, normal * 0.5 + 0.5


def export(kind, path, triangles=None):
    """Models a shape with both smooth and sharp parts and exports it."""
    clear()
    if kind == "textured":
        bpy.ops.mesh.primitive_uv_sphere_add(segments=96, ring_count=48, radius=0.85)
    else:
        bpy.ops.mesh.primitive_torus_add(
            major_segments=128, minor_segments=64, major_radius=0.62, minor_radius=0.3
        )
        bpy.context.object.rotation_euler = (0.9, 0.2, 0.3)
    if triangles:
        segments = int(math.sqrt(triangles))
        clear()
        bpy.ops.mesh.primitive_torus_add(
            major_segments=segments,
            minor_segments=segments // 2,
            major_radius=0.62,
            minor_radius=0.3,
        )
        bpy.context.object.rotation_euler = (0.9, 0.2, 0.3)
    item = bpy.context.object
    bpy.ops.object.shade_smooth()
    material = bpy.data.materials.new(kind)
    material.use_nodes = True
    shader = material.node_tree.nodes["Principled BSDF"]
    links, nodes = material.node_tree.links, material.node_tree.nodes
    if kind == "metal":
        shader.inputs["Base Color"].default_value = (0.9, 0.6, 0.25, 1)
        shader.inputs["Metallic"].default_value = 1
        shader.inputs["Roughness"].default_value = 0.35
    elif kind == "plastic":
        shader.inputs["Base Color"].default_value = (0.6, 0.05, 0.04, 1)
        shader.inputs["Roughness"].default_value = 0.3
    else:
        base, data, normal = checker()
        image = nodes.new("ShaderNodeTexImage")
        image.image = new_picture("base", base, True)
        links.new(image.outputs["Color"], shader.inputs["Base Color"])
        image = nodes.new("ShaderNodeTexImage")
        image.image = new_picture("data", data, False)
        split = nodes.new("ShaderNodeSeparateColor")
        links.new(image.outputs["Color"], split.inputs["Color"])
        links.new(split.outputs["Green"], shader.inputs["Roughness"])
        links.new(split.outputs["Blue"], shader.inputs["Metallic"])
        image = nodes.new("ShaderNodeTexImage")
        image.image = new_picture("normal", normal, False)
        bump = nodes.new("ShaderNodeNormalMap")
        links.new(image.outputs["Color"], bump.inputs["Color"])
        links.new(bump.outputs["Normal"], shader.inputs["Normal"])
    item.data.materials.append(material)
    bpy.ops.export_scene.gltf(filepath=path, export_format="GLB")


def export_sweep(path):
    """A white floor that bends up behind the object."""
    clear()
    radius, half, depth, height, floor = 1.5, 6.0, 3.0, 6.0, -0.75
    profile = [(-6.0, floor)]
    for i in range(33):
        angle = i / 32 * math.pi / 2
        profile.append((depth + radius * math.sin(angle), floor + radius * (1 - math.cos(angle))))
    profile.append((depth + radius, height))
    vertices = [(x, y, z) for y, z in profile for x in (-half, half)]
    faces = [(2 * i, 2 * i + 1, 2 * i + 3, 2 * i + 2) for i in range(len(profile) - 1)]
    mesh = bpy.data.meshes.new("sweep")
    mesh.from_pydata(vertices, [], faces)
    item = bpy.data.objects.new("sweep", mesh)
    bpy.context.collection.objects.link(item)
    bpy.context.view_layer.objects.active = item
    item.select_set(True)
    bpy.ops.object.shade_smooth()
    material = bpy.data.materials.new("sweep")
    material.use_nodes = True
    shader = material.node_tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (0.8, 0.8, 0.8, 1)
    shader.inputs["Roughness"].default_value = 0.9
    mesh.materials.append(material)
    bpy.ops.export_scene.gltf(filepath=path, export_format="GLB")


def look_at(item, eye, target):
    from mathutils import Vector

    item.location = eye
    item.rotation_euler = (Vector(target) - Vector(eye)).to_track_quat("-Z", "Y").to_euler()


def cycles(paths, size, samples, threshold=None, seed=0):
    """Linear RGBA, rows from the top, and the seconds that the render took."""
    clear()
    for path in paths:
        bpy.ops.import_scene.gltf(filepath=path)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = samples
    scene.cycles.seed = seed
    scene.cycles.use_adaptive_sampling = threshold is not None
    if threshold is not None:
        scene.cycles.adaptive_threshold = threshold
    scene.cycles.use_denoising = False
    scene.cycles.max_bounces = BOUNCES
    scene.cycles.diffuse_bounces = BOUNCES
    scene.cycles.glossy_bounces = BOUNCES
    scene.cycles.sample_clamp_indirect = 0
    scene.cycles.caustics_reflective = True
    scene.cycles.blur_glossy = 0
    scene.render.resolution_x = scene.render.resolution_y = size
    scene.render.resolution_percentage = 100
    scene.view_settings.view_transform = "Raw"
    camera = bpy.data.cameras.new("camera")
    camera.sensor_fit = "VERTICAL"
    camera.angle_y = math.radians(FOV_DEG)
    item = bpy.data.objects.new("camera", camera)
    look_at(item, EYE, TARGET)
    scene.collection.objects.link(item)
    scene.camera = item
    lamp = bpy.data.lights.new("panel", "AREA")
    lamp.shape = "RECTANGLE"
    lamp.size, lamp.size_y = LIGHT["width_m"], LIGHT["height_m"]
    # A panel of power P and area A has the radiance P / (π A).
    lamp.energy = math.pi * LIGHT["width_m"] * LIGHT["height_m"] * LIGHT_RADIANCE[0]
    lamp.color = [c / LIGHT_RADIANCE[0] for c in LIGHT_RADIANCE]
    item = bpy.data.objects.new("panel", lamp)
    look_at(item, LIGHT["centre"], LIGHT["target"])
    item.visible_camera = False
    scene.collection.objects.link(item)
    world = bpy.data.worlds.new("world")
    world.use_nodes = True
    world.node_tree.nodes["Background"].inputs["Color"].default_value = (*ENVIRONMENT, 1)
    scene.world = world
    handle, path = tempfile.mkstemp(suffix=".exr")
    os.close(handle)
    scene.render.image_settings.file_format = "OPEN_EXR"
    scene.render.image_settings.color_depth = "32"
    scene.render.filepath = path
    start = time.perf_counter()
    bpy.ops.render.render(write_still=True)
    seconds = time.perf_counter() - start
    picture = bpy.data.images.load(path)
    rgba = np.empty(size * size * 4, dtype=np.float32)
    picture.pixels.foreach_get(rgba)
    os.remove(path)
    return rgba.reshape(size, size, 4)[::-1], seconds


def packshot(program, folder, path, size, samples, threshold=None, sweep=None, seed=0):
    scene = {
        "asset": path,
        "width": size,
        "height": size,
        "samples": samples,
        "noise_threshold": threshold,
        "max_bounces": BOUNCES,
        "seed": seed,
        "camera": {"eye": EYE, "target": TARGET, "fov_y_deg": FOV_DEG},
        "lights": [{**LIGHT, "radiance": LIGHT_RADIANCE}],
        "environment": ENVIRONMENT,
        "sweep": sweep,
    }
    json_path = os.path.join(folder, "scene.json")
    with open(json_path, "w") as file:
        json.dump(scene, file)
    out = os.path.join(folder, "out.npy")
    png = os.path.splitext(path)[0] + ".png"
    words = subprocess.run(
        [program, json_path, out, png], check=True, capture_output=True, text=True
    ).stdout.split()
    return np.load(out), float(words[1]), float(words[3])


def save(name, rgb):
    """A preview beside the files, for eyes."""
    from PIL import Image

    srgb = np.clip(rgb, 0, 1)
    srgb = np.where(srgb <= 0.0031308, 12.92 * srgb, 1.055 * srgb ** (1 / 2.4) - 0.055)
    Image.fromarray((srgb * 255 + 0.5).astype(np.uint8)).save(name)


def compare(program, folder, size, samples, kinds):
    failed = False
    for kind in kinds:
        path = os.path.join(folder, f"{kind}.glb")
        export(kind, path)
        ours, _, _ = packshot(program, folder, path, size, samples)
        theirs, _ = cycles([path], size, samples)
        np.save(os.path.join(folder, f"{kind}_cycles.npy"), theirs)
        np.save(os.path.join(folder, f"{kind}_packshot.npy"), ours)
        mask = ours[..., 4] > 0.99
        off = np.abs(ours[..., :3] - theirs[..., :3])[mask].mean() / theirs[..., :3][mask].mean()
        bias = ours[..., :3][mask].mean() / theirs[..., :3][mask].mean() - 1
        ok = off <= 0.02
        failed |= not ok
        print(f"{'ok  ' if ok else 'FAIL'} {kind}: {100 * off:.2f} % apart, mean {100 * bias:+.2f} %",
              flush=True)
    return failed


def speed(program, folder, size, triangles):
    path, sweep = os.path.join(folder, "asset.glb"), os.path.join(folder, "sweep.glb")
    export("plastic", path, triangles)
    export_sweep(sweep)

    def rms(a, b):
        return float(np.sqrt(np.mean((a[..., :3] - b[..., :3]) ** 2)))

    long = 2048
    small = size // 4
    ours, ours_secs, ours_n = packshot(program, folder, path, size, 4096, 0.01, sweep)
    theirs, theirs_secs = cycles([path, sweep], size, 4096, 0.01)
    print(f"packshot {ours_secs:.1f} s ({ours_n:.0f} samples), cycles {theirs_secs:.1f} s, "
          f"ratio {ours_secs / theirs_secs:.2f}", flush=True)
    # Noise: at a quarter of the size, against a long render by the same program.
    ours, _, _ = packshot(program, folder, path, small, 4096, 0.01, sweep)
    reference, _, _ = packshot(program, folder, path, small, long, None, sweep, seed=7)
    theirs, _ = cycles([path, sweep], small, 4096, 0.01)
    cycles_reference, _ = cycles([path, sweep], small, long, None, seed=7)
    both = np.abs(reference[..., :3] - cycles_reference[..., :3]).mean()
    print(f"noise: packshot {rms(ours, reference):.5f}, cycles {rms(theirs, cycles_reference):.5f}; "
          f"the two references are {both / cycles_reference[..., :3].mean() * 100:.2f} % apart")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--size", type=int)
    parser.add_argument("--samples", type=int, default=4096)
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--triangles", type=int, default=100_000)
    parser.add_argument("--keep", help="folder for the files, else a temporary one")
    parser.add_argument("--kinds", default="metal,plastic,textured")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or temporary
        os.makedirs(folder, exist_ok=True)
        if options.speed:
            speed(options.program, folder, options.size or 1024, options.triangles)
            return
        kinds = options.kinds.split(",")
        if compare(options.program, folder, options.size or 256, options.samples, kinds):
            sys.exit(1)


if __name__ == "__main__":
    main()
