//! Every file of `tests/hostile` ends with an error that helps, or (those named `ok-…`) is read,
//! and none makes the program take much memory.

#![allow(clippy::unwrap_used, reason = "what fails to unwrap fails the test")]

use packshot_core::{Error, ErrorKind};
use packshot_formats::{
    decode_gltf, decode_obj, decode_picture, decode_ply, read_asset, read_picture,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Largest sum of allocations while a hostile file is read. None is above a few kilobytes, but
/// any picture may ask for 64 MiB.
const MAX_BYTES: usize = 80 << 20;

/// Counts what is allocated.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(held, Ordering::Relaxed);
        // SAFETY: the caller keeps alloc's contract, which is the same one.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(held, Ordering::Relaxed);
        // SAFETY: the caller keeps alloc_zeroed's contract, which is the same one.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the pointer came from the system's allocator with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn extension(path: &Path) -> &str {
    path.extension().and_then(|e| e.to_str()).unwrap_or("")
}

fn is_asset(path: &Path) -> bool {
    matches!(extension(path), "ply" | "glb" | "gltf" | "obj")
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| extension(path) != "mtl");
    files.sort();
    files
}

fn read(path: &Path) -> Result<(), Error> {
    if is_asset(path) {
        read_asset(path).map(drop)
    } else {
        read_picture(path).map(drop)
    }
}

fn decode(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    match extension(path) {
        "ply" => decode_ply(bytes).map(drop),
        "glb" | "gltf" => decode_gltf(bytes).map(drop),
        "obj" => decode_obj(bytes).map(drop),
        _ => decode_picture(bytes).map(drop),
    }
}

// One test, since the allocator counts for the whole process.
#[test]
fn hostile_files_end_with_errors_that_help() {
    let files = files();
    assert!(files.len() > 150, "{} files", files.len());
    for path in &files {
        let name = path.file_name().unwrap().to_str().unwrap();
        let before = HELD.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        let result = read(path);
        let taken = PEAK.load(Ordering::Relaxed) - before;
        assert!(taken < MAX_BYTES, "{name} takes {taken} bytes");
        if name.starts_with("ok-") {
            if let Err(error) = result {
                panic!("{name}: {error}");
            }
            continue;
        }
        let error = result.expect_err(name);
        let kind = error.kind();
        assert!(
            matches!(kind, ErrorKind::BadInput | ErrorKind::Unsupported),
            "{name}: {kind:?} {error}"
        );
        assert!(error.hint().is_some(), "{name}: no hint: {error}");
        let text = error.to_string();
        assert!(text.contains(name), "{name}: no place: {text}");
        assert!(text.len() < 700 && !text.contains('\n'), "{name}: {text}");
    }
    // Cut anywhere, or with any byte changed, a file gives an error or is read.
    for path in &files {
        let whole = std::fs::read(path).unwrap();
        let whole = &whole[..whole.len().min(1500)];
        let step = (whole.len() / 40).max(1);
        let before = HELD.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        for at in (0..whole.len()).step_by(step) {
            let _ = decode(path, &whole[..at]);
            let mut changed = whole.to_vec();
            for byte in [0, 0x7f, 0xff, changed[at] ^ 1] {
                changed[at] = byte;
                if let Err(error) = decode(path, &changed) {
                    assert!(error.hint().is_some(), "{}: {error}", path.display());
                }
            }
        }
        let taken = PEAK.load(Ordering::Relaxed) - before;
        assert!(taken < MAX_BYTES, "{} takes {taken} bytes", path.display());
    }
}
