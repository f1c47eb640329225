//! `packshot doctor`.

use super::to_json;
use crate::output::Report;
use packshot_core::Error;
use packshot_pipeline::machine;
use packshot_pipeline::models::catalogue;
use serde_json::json;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {}

pub(crate) fn run() -> Result<Report, Error> {
    let found = machine::inspect();
    let gigabytes = |bytes: Option<u64>| {
        bytes.map_or_else(
            || "unknown".to_owned(),
            |b| format!("{:.1} GB", b as f64 / 1e9),
        )
    };
    let mut text = format!("packshot {} on {}\n", found.version, found.platform);
    let mut line = |name: &str, value: String| text.push_str(&format!("{name:<12} {value}\n"));
    line(
        "processor",
        found
            .processor
            .clone()
            .unwrap_or_else(|| "unknown".to_owned()),
    );
    line(
        "cores",
        format!("{} ({} threads in use)", found.cores, found.threads),
    );
    line(
        "cpu level",
        if found.cpu_level == found.cpu_level_detected {
            found.cpu_level.name().to_owned()
        } else {
            format!(
                "{} (set by PACKSHOT_CPU; this machine has {})",
                found.cpu_level.name(),
                found.cpu_level_detected.name()
            )
        },
    );
    line(
        "peak",
        format!(
            "{:.0} GFLOP/s of fused multiply-adds",
            found.fma_peak_gflops
        ),
    );
    line(
        "memory",
        format!(
            "{}, {} available",
            gigabytes(found.memory_bytes),
            gigabytes(found.memory_available_bytes)
        ),
    );
    if found.gpu_adapters.is_empty() {
        line("gpu", "none found".to_owned());
    }
    for adapter in &found.gpu_adapters {
        let lacks = match &adapter.lacks {
            Some(lacks) => format!("; cannot be used, lacks {lacks}"),
            None => String::new(),
        };
        line(
            "gpu",
            format!(
                "{} ({}), {}, {}{lacks}",
                adapter.name, adapter.kind, adapter.interface, adapter.driver
            ),
        );
    }
    line(
        "shoot on",
        format!("{}: {}", found.renderer, found.renderer_reason),
    );
    let mut usable = Vec::new();
    for model in catalogue() {
        for part in model.parts() {
            usable.push(format!("{}/{}", model.name, part.name));
            line(
                "model",
                format!(
                    "{}/{} {:.1} MB, embedded",
                    model.name,
                    part.name,
                    part.weights.len() as f64 / 1e6
                ),
            );
        }
    }
    let mut value = to_json(&found)?;
    value["models"] = json!(usable);
    Ok(Report::new(text, value))
}
