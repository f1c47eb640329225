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

#[cfg(test)]
mod tests {
    use super::*;
    use naga::valid::{Capabilities, ValidationFlags, Validator};

    #[test]
    fn the_path_tracer_is_valid() {
        let code = path_tracer();
        let module = match naga::front::wgsl::parse_str(&code) {
            Ok(module) => module,
            Err(error) => panic!("{}", error.emit_to_string(&code)),
        };
        let mut validator = Validator::new(ValidationFlags::all(), Capabilities::empty());
        if let Err(error) = validator.validate(&module) {
            panic!("{}", error.emit_to_string(&code));
        }
        assert_eq!(module.entry_points.len(), 1);
        assert_eq!(module.entry_points[0].name, "path_trace");
        // WebGPU's default limit is what every adapter has.
        let storage = module
            .global_variables
            .iter()
            .filter(|(_, v)| matches!(v.space, naga::AddressSpace::Storage { .. }));
        assert!(storage.count() <= 8);
    }

    #[test]
    fn every_file_is_a_part_and_has_a_twin() {
        let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let crates = here.join("../crates");
        for entry in std::fs::read_dir(here).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "wgsl") {
                let name = path.file_stem().unwrap().to_str().unwrap();
                assert!(PATH_TRACER.iter().any(|(part, _)| *part == name), "{name}");
                let twins = [
                    format!("packshot-render/src/{name}.rs"),
                    format!("packshot-geometry/src/{name}/mod.rs"),
                ];
                let twin = twins.iter().any(|twin| crates.join(twin).is_file());
                assert!(twin, "{name}.wgsl has no twin");
            }
        }
    }
}
