//! Samplers and tables beside the reference implementations (see `data/README.md`).

use packshot_core::parity::CaseResult;
use packshot_diffusion::parity;
use std::path::PathBuf;

fn case(file: &str) -> CaseResult {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    parity::run(&dir, file)
        .expect("the case can be read")
        .expect("the case is of this crate")
}

fn assert_within_tolerance(file: &str, tensors: usize) {
    let case = case(file);
    assert_eq!(case.tensors.len(), tensors, "{file}");
    for tensor in &case.tensors {
        assert!(tensor.ok(), "{file}: {tensor:?}");
    }
}

#[test]
fn ddpm() {
    assert_within_tolerance("sched_ddpm.safetensors", 34);
}

#[test]
fn ddim() {
    assert_within_tolerance("sched_ddim.safetensors", 32);
}

#[test]
fn euler() {
    assert_within_tolerance("sched_eulerdiscrete.safetensors", 60);
    assert_within_tolerance("sched_eulerancestraldiscrete.safetensors", 21);
}

#[test]
fn heun() {
    assert_within_tolerance("sched_heundiscrete.safetensors", 30);
}

#[test]
fn dpm_solver() {
    assert_within_tolerance("sched_dpmsolvermultistep.safetensors", 87);
}

#[test]
fn flow_matching() {
    assert_within_tolerance("sched_flowmatcheulerdiscrete.safetensors", 33);
    assert_within_tolerance("sched_flowmatchheundiscrete.safetensors", 3);
}

#[test]
fn noising_and_loss_weights() {
    assert_within_tolerance("sched_addnoise.safetensors", 7);
}

#[test]
fn point_e_tables_levels_and_timesteps() {
    let case = case("schedules.safetensors");
    assert!(case.tensors.len() > 100);
    for tensor in &case.tensors {
        assert!(tensor.ok(), "{tensor:?}");
    }
    assert!(case.tensors.iter().any(|t| t.name.ends_with("t_int")));
}

#[test]
fn files_of_others_are_left_to_others() {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    assert_eq!(parity::run(&dir, "README.md").unwrap(), None);
    assert_eq!(parity::run(&dir, "fwd_uncond.safetensors").unwrap(), None);
    assert_eq!(parity::run(&dir, "sched_pndm.safetensors").unwrap(), None);
    assert!(parity::run(&dir, "sched_tables.safetensors").is_err());
}
