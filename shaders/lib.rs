//! Packshot's compute shaders (WGSL), as text, so that an installed binary needs no file beside it.
//!
//! WGSL has no imports: a kernel is the text of several parts. Each part has a twin in Rust of the same name, which
//! computes the same on the processor; the parts' first lines say where.

macro_rules! parts {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!($name, ".wgsl")))),*]
    };
}

/// The parts of the path tracer, name and text; its entry point is `path_trace`, in the part
/// `accumulator`.
pub const PATH_TRACER: &[(&str, &str)] = parts![
    "vector",
    "sampler",
    "prepared",
    "texture",
    "material",
    "surface",
    "bvh",
    "microfacet",
    "albedo",
    "bsdf",
    "light",
    "environment",
    "volume",
    "camera",
    "trace",
    "accumulator",
];

/// The code of the path tracer: all of its parts, one after the other.
pub fn path_tracer() -> String {
    PATH_TRACER
        .iter()
        .map(|(_, text)| *text)
        .collect::<Vec<_>>()
        .join("\n")
}

/// The parts of the renderer of fitted fields, name and text; its entry point is `render_field`, in the
/// part `render`. [`FieldSizes`] come before them.
pub const FIELD_RENDERER: &[(&str, &str)] = parts![
    "field/math",
    "field/space",
    "field/spherical",
    "field/grid",
    "field/block",
    "field/occupancy",
    "field/scene",
    "field/render",
];

/// What a field's kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldSizes {
    /// Levels of the hash grid, at least 1.
    pub levels: usize,
    /// Numbers of an entry: 1, 2, 4 or 8.
    pub features: usize,
    /// Hidden units of the density network, at least 1.
    pub density_hidden: usize,
    /// Hidden units of the colour network, at least 1.
    pub colour_hidden: usize,
    /// Numbers that describe the appearance, or 0.
    pub appearance: usize,
}

impl FieldSizes {
    /// The constants and the type of an entry, which is read in one piece.
    fn code(&self) -> String {
        // An entry's number `i`; types with fewer than 8 numbers are vectors.
        let (entry, feature) = match self.features {
            1 => ("f32", "entry"),
            2 => ("vec2f", "entry[i]"),
            4 => ("vec4f", "entry[i]"),
            _ => ("mat2x4f", "entry[i / 4u][i % 4u]"),
        };
        format!(
            "const LEVELS: u32 = {}u;
const FEATURES: u32 = {}u;
const CHANNELS: u32 = LEVELS * FEATURES;
const DENSITY_HIDDEN: u32 = {}u;
const COLOUR_HIDDEN: u32 = {}u;
const APPEARANCE: u32 = {}u;
alias Entry = {entry};
fn feature(value: Entry, i: u32) -> f32 {{
    var entry = value;
    return {feature};
}}
",
            self.levels, self.features, self.density_hidden, self.colour_hidden, self.appearance
        )
    }
}

/// The code of the renderer of fields of some sizes.
pub fn field_renderer(sizes: &FieldSizes) -> String {
    let parts = FIELD_RENDERER.iter().map(|(_, text)| (*text).to_owned());
    let all: Vec<String> = std::iter::once(sizes.code()).chain(parts).collect();
    all.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use naga::valid::{Capabilities, ValidationFlags, Validator};

    fn valid(code: &str) -> naga::Module {
        let module = match naga::front::wgsl::parse_str(code) {
            Ok(module) => module,
            Err(error) => panic!("{}", error.emit_to_string(code)),
        };
        let mut validator = Validator::new(ValidationFlags::all(), Capabilities::empty());
        if let Err(error) = validator.validate(&module) {
            panic!("{}", error.emit_to_string(code));
        }
        module
    }

    #[test]
    fn kernels_are_valid_and_bind_what_every_adapter_allows() {
        let mut kernels = vec![("path_trace", path_tracer())];
        for (features, appearance) in [(1, 0), (2, 3), (4, 8), (8, 0)] {
            let sizes = FieldSizes {
                levels: 5,
                features,
                density_hidden: 7,
                colour_hidden: 9,
                appearance,
            };
            kernels.push(("render_field", field_renderer(&sizes)));
        }
        for (name, code) in kernels {
            let module = valid(&code);
            assert_eq!(module.entry_points.len(), 1);
            assert_eq!(module.entry_points[0].name, name);
            // WebGPU's default limit.
            let storage = module
                .global_variables
                .iter()
                .filter(|(_, v)| matches!(v.space, naga::AddressSpace::Storage { .. }));
            assert!(storage.count() <= 8);
        }
    }

    #[test]
    fn every_file_is_a_part_and_has_a_twin() {
        let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let crates = here.join("../crates");
        let parts = || PATH_TRACER.iter().chain(FIELD_RENDERER);
        let mut files = 0;
        for folder in ["", "field/"] {
            for entry in std::fs::read_dir(here.join(folder)).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_none_or(|e| e != "wgsl") {
                    continue;
                }
                files += 1;
                let name = path.file_stem().unwrap().to_str().unwrap();
                let part = format!("{folder}{name}");
                assert!(parts().any(|(known, _)| *known == part), "{part}");
                let twins = if folder.is_empty() {
                    vec![
                        format!("packshot-render/src/{name}.rs"),
                        format!("packshot-geometry/src/{name}/mod.rs"),
                    ]
                } else {
                    vec![
                        format!("packshot-nerf/src/{name}.rs"),
                        format!("packshot-nerf/src/{name}/mod.rs"),
                        format!("packshot-nerf/src/encoding/{name}.rs"),
                        format!("packshot-nerf/src/field/{name}.rs"),
                    ]
                };
                let twin = twins.iter().any(|twin| crates.join(twin).is_file());
                assert!(twin, "{part}.wgsl has no twin");
            }
        }
        assert_eq!(files, parts().count());
    }
}
