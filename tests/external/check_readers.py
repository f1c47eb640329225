"""Checks that trimesh and Blender read a PLY and a GLB of the same asset alike.

    pip install numpy trimesh "bpy==4.5.*"      # bpy 4.5 needs Python 3.11
    packshot convert cloud.ply cloud.glb
    python check_readers.py cloud.ply cloud.glb [--size 0.12] [--points 4096]

For a point cloud or a coloured mesh: the number of points, every position (upright, in metres),
every colour within 1/255 of the PLY's, and the longest side of the box. The PLY itself is read by
the few lines below, so that no reader is trusted alone. Prints one line a check; ends with code 1
when one fails. Not part of the test command: bpy alone is 300 MB.
"""

import argparse
import sys

import numpy as np


def read_binary_ply(path):
    """Positions and 8-bit sRGB colours of a binary little-endian PLY with plain vertices."""
    with open(path, "rb") as file:
        data = file.read()
    head, body = data.split(b"end_header\n", 1)
    types = {"float": "<f4", "uchar": "u1"}
    fields, count, element = [], 0, None
    for line in head.decode().splitlines():
        words = line.split()
        if words[0] == "element":
            element = words[1]
            if element == "vertex":
                count = int(words[2])
        elif words[0] == "property" and element == "vertex":
            fields.append((words[2], types[words[1]]))
    rows = np.frombuffer(body, dtype=fields, count=count)
    positions = np.stack([rows[axis] for axis in "xyz"], axis=1)
    colours = np.stack([rows[name] for name in ("red", "green", "blue")], axis=1)
    return positions, colours


def srgb_from_linear(linear):
    linear = np.clip(linear, 0.0, 1.0)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def read_with_trimesh(path):
    """Positions (+Z up) and colours in 0..1 sRGB as trimesh reads them."""
    import trimesh

    if path.endswith(".ply"):
        loaded = trimesh.load(path, process=False)
        cloud = hasattr(loaded, "colors")
        colours = np.asarray(loaded.colors if cloud else loaded.visual.vertex_colors)
        return np.asarray(loaded.vertices), colours[:, :3] / 255
    # Exact colours come from the loader below trimesh.load, which keeps 8 bits of linear light:
    # `trimesh_8_bit_colours` looks at those.
    with open(path, "rb") as file:
        parts = trimesh.exchange.gltf.load_glb(file)["geometry"].values()
    positions, colours = [], []
    for part in parts:
        positions.append(np.asarray(part["vertices"]))
        if "vertex_colors" in part:
            colours.append(np.asarray(part["vertex_colors"]))
        else:
            colours.append(np.asarray(part["visual"].vertex_attributes["color"]))
    # trimesh leaves glTF's axes and its linear light as they are.
    linear = np.concatenate(colours)[:, :3]
    return np.concatenate(positions)[:, [0, 2, 1]] * [1, -1, 1], srgb_from_linear(linear)


def trimesh_8_bit_colours(path):
    """8-bit linear colours as `trimesh.load` gives them."""
    import trimesh

    parts = trimesh.load(path, process=False).geometry.values()
    return np.concatenate(
        [p.colors if hasattr(p, "colors") else p.visual.vertex_colors for p in parts]
    )[:, :3]


def read_with_blender(path):
    """Positions in Blender's world and colours in 0..1 sRGB."""
    import bpy

    bpy.ops.wm.read_factory_settings(use_empty=True)
    if path.endswith(".glb"):
        bpy.ops.import_scene.gltf(filepath=path)
    else:
        bpy.ops.wm.ply_import(filepath=path)
    all_positions, all_colours = [], []
    for item in bpy.context.scene.objects:
        if item.type not in ("MESH", "POINTCLOUD"):
            continue
        points = item.data.vertices if item.type == "MESH" else item.data.points
        all_positions += [tuple(item.matrix_world @ point.co) for point in points]
        attribute = item.data.color_attributes[0]
        colours = np.array([tuple(value.color_srgb)[:3] for value in attribute.data])
        if attribute.domain == "CORNER":
            corners = [loop.vertex_index for loop in item.data.loops]
            of_points = np.zeros((len(points), 3))
            of_points[corners] = colours
            colours = of_points
        all_colours += colours.tolist()
    return np.array(all_positions), np.array(all_colours)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ply")
    parser.add_argument("glb")
    parser.add_argument("--size", type=float, help="longest side in metres")
    parser.add_argument("--points", type=int, help="number of points")
    options = parser.parse_args()
    positions, colours = read_binary_ply(options.ply)
    failed = False

    def check(what, ok, detail):
        nonlocal failed
        failed |= not ok
        print(f"{'ok  ' if ok else 'FAIL'} {what}: {detail}")

    if options.points is not None:
        check("points", len(positions) == options.points, len(positions))
    if options.size is not None:
        longest = (positions.max(axis=0) - positions.min(axis=0)).max()
        check("longest side", abs(longest / options.size - 1) < 1e-3, f"{longest:.6f} m")
    for name, read in (("trimesh", read_with_trimesh), ("blender", read_with_blender)):
        for path in (options.ply, options.glb):
            got_positions, got_colours = read(path)
            what = f"{name} {path.rsplit('.', 1)[1]}"
            same = got_positions.shape == positions.shape
            check(f"{what} points", same, len(got_positions))
            if not same:
                continue
            far = np.abs(got_positions - positions).max() / np.abs(positions).max()
            check(f"{what} positions", far < 1e-6, f"{far:.2e} of the size")
            off = np.abs(got_colours * 255 - colours).max()
            check(f"{what} colours", off <= 1.0, f"{off:.3f} levels")
    srgb = colours / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    off = np.abs(trimesh_8_bit_colours(options.glb) - linear * 255).max()
    check("trimesh.load glb, linear", off <= 0.51, f"{off:.3f} of 255")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
