//! Colours come out as they are: a chart of 24 sRGB patches under neutral light.

use super::*;
use packshot_core::colour::linear_from_srgb;
use packshot_geometry::Material;

/// 24 colours of products: skin, foliage, sky, primaries, pastels and greys, in sRGB.
const PATCHES: [[u8; 3]; 24] = [
    [115, 82, 68],
    [194, 150, 130],
    [98, 122, 157],
    [87, 108, 67],
    [133, 128, 177],
    [103, 189, 170],
    [214, 126, 44],
    [80, 91, 166],
    [193, 90, 99],
    [94, 60, 108],
    [157, 188, 64],
    [224, 163, 46],
    [56, 61, 150],
    [70, 148, 73],
    [175, 54, 60],
    [231, 199, 31],
    [187, 86, 149],
    [60, 133, 161],
    [228, 228, 226],
    [200, 200, 200],
    [160, 160, 160],
    [122, 122, 121],
    [85, 85, 85],
    [52, 52, 52],
];
/// Patches in a row.
const COLUMNS: usize = 6;
/// Pixels of a patch's side.
const CELL: usize = 12;

/// Six by four squares that face the front.
fn chart() -> Mesh {
    let mut mesh = Mesh::default();
    for (i, patch) in PATCHES.iter().enumerate() {
        let (x, z) = ((i % COLUMNS) as f32, -((i / COLUMNS) as f32));
        let first = mesh.positions.len() as u32;
        mesh.positions.extend([
            [x, 0.0, z - 1.0],
            [x + 1.0, 0.0, z - 1.0],
            [x + 1.0, 0.0, z],
            [x, 0.0, z],
        ]);
        mesh.triangles
            .extend([[0, 1, 2], [0, 2, 3]].map(|t: [u32; 3]| t.map(|c| c + first)));
        mesh.triangle_materials.extend([i as u32; 2]);
        let [r, g, b] = patch.map(|v| linear_from_srgb(f32::from(v) / 255.0));
        mesh.materials.push(Material {
            name: format!("patch {i}"),
            base_colour: [r, g, b, 1.0],
            roughness: 0.5,
            ..Material::default()
        });
    }
    mesh
}

/// HSV hue in degrees; `None` for greys.
fn hue([r, g, b]: [f32; 3]) -> Option<f32> {
    let (most, least) = (r.max(g).max(b), r.min(g).min(b));
    let range = most - least;
    if range < 0.08 {
        return None;
    }
    let sixth = if most == r {
        ((g - b) / range).rem_euclid(6.0)
    } else if most == g {
        (b - r) / range + 2.0
    } else {
        (r - g) / range + 4.0
    };
    Some(60.0 * sixth)
}

#[test]
fn a_chart_of_24_patches_keeps_hue_and_base_colour() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("chart.glb");
    write_asset(&path, &chart(), &WriteOptions::default()).unwrap();
    let scene = place.path().join("neutral.toml");
    let text = "description = \"White light from all sides\"\n[camera]\nfocal_mm = 200\nazimuth_deg = 0\nelevation_deg = 0\nfill = 1\n[environment]\nkind = \"uniform\"\ncolour = \"#ffffff\"\nstrength = 1\n";
    std::fs::write(&scene, text).unwrap();
    let mut job = job(place.path(), tiny());
    job.assets = vec![path];
    job.scenes = vec![scene.to_str().unwrap().to_owned()];
    job.settings.width = COLUMNS * CELL;
    job.settings.height = PATCHES.len() / COLUMNS * CELL;
    job.settings.samples = 16;
    let shots = shoot(&job, &Context::silent()).unwrap();
    let image = read_picture(&job.target.join(&shots.shots[0].files[0])).unwrap();
    let linear = |v: f32| linear_from_srgb(v / 255.0);
    for (i, patch) in PATCHES.iter().enumerate() {
        let mut sum = [0.0f32; 3];
        for y in 3..CELL - 3 {
            for x in 3..CELL - 3 {
                let at = (i % COLUMNS * CELL + x, i / COLUMNS * CELL + y);
                let pixel = image.pixel(at.0, at.1);
                sum.iter_mut()
                    .zip(pixel)
                    .for_each(|(s, &v)| *s += f32::from(v));
            }
        }
        let count = ((CELL - 6) * (CELL - 6)) as f32;
        let seen = sum.map(|v| linear(v / count));
        let base = patch.map(|v| linear(f32::from(v)));
        let srgb = sum.map(|v| v / count / 255.0);
        if let (Some(a), Some(b)) = (hue(srgb), hue(patch.map(|v| f32::from(v) / 255.0))) {
            let off = (a - b + 180.0).rem_euclid(360.0) - 180.0;
            assert!(off.abs() < 2.0, "patch {i}: hue {b} became {a}");
        }
        for (seen, base) in seen.into_iter().zip(base) {
            // Within 3 % of the base colour, and of a dark grey's where it is darker than that.
            let off = (seen - base).abs() / base.max(0.2);
            assert!(base >= 0.8 || off < 0.03, "patch {i}: {base} became {seen}");
        }
    }
}
