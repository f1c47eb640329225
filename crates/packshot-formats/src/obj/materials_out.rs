//! MTL libraries out.

use packshot_geometry::{AlphaMode, Material, Mesh};
use std::collections::BTreeSet;
use std::fmt::Write;

/// A name for each material: its own without white space, made unique.
pub(super) fn names(mesh: &Mesh) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let unique = |(i, material): (usize, &Material)| {
        let plain = |c: char| {
            if c.is_whitespace() || c.is_control() || c == '#' {
                '_'
            } else {
                c
            }
        };
        let base: String = material.name.chars().map(plain).collect();
        let base = if base.is_empty() {
            format!("material_{i}")
        } else {
            base
        };
        let mut name = base.clone();
        let mut number = 1;
        while !taken.insert(name.clone()) {
            name = format!("{base}.{number:03}");
            number += 1;
        }
        name
    };
    mesh.materials.iter().enumerate().map(unique).collect()
}

/// The text of the library. `picture_of` names the file of a texture. Colours are linear and
/// gloss is `Ns`, as Blender has them; `Pr` and `Pm` hold roughness and metallic exactly.
pub(super) fn library(
    mesh: &Mesh,
    names: &[String],
    picture_of: impl Fn(usize) -> String,
) -> String {
    let mut out = String::from("# Packshot\n");
    for (material, name) in mesh.materials.iter().zip(names) {
        // Writing to a string does not fail.
        let _ = describe(&mut out, material, name, &picture_of);
    }
    out
}

fn describe(
    out: &mut String,
    material: &Material,
    name: &str,
    picture_of: impl Fn(usize) -> String,
) -> std::fmt::Result {
    let [r, g, b, a] = material.base_colour;
    let (roughness, metallic) = (material.roughness, material.metallic);
    writeln!(out, "\nnewmtl {name}\nKd {r} {g} {b}")?;
    writeln!(out, "Ns {}", 1000.0 * (1.0 - roughness).powi(2))?;
    writeln!(out, "Pr {roughness}\nPm {metallic}")?;
    if material.alpha_mode != AlphaMode::Opaque {
        writeln!(out, "d {a}")?;
    }
    if let Some(texture) = material.base_colour_texture {
        let picture = picture_of(texture);
        writeln!(out, "map_Kd {picture}")?;
        if material.alpha_mode != AlphaMode::Opaque {
            writeln!(out, "map_d {picture}")?;
        }
    }
    Ok(())
}
