//! Where the weight files of models lie that are not embedded.

use packshot_core::{Context, Error, Result};
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Catalogue name of CLIP ViT-L/14.
pub(super) const CLIP: &str = "clip-vit-l14";

/// Published file of each model.
const FILES: [(&str, &str); 8] = [
    ("base40M-textvec", "base_40m_textvec.pt"),
    ("base40M-imagevec", "base_40m_imagevec.pt"),
    ("base40M-uncond", "base_40m_uncond.pt"),
    ("base40M", "base_40m.pt"),
    ("base300M", "base_300m.pt"),
    ("base1B", "base_1b.pt"),
    ("upsample", "upsample_40m.pt"),
    (CLIP, "ViT-L-14.pt"),
];

/// The weight file of the model `name` in `folder`: `NAME.safetensors`, or the published file.
///
/// # Errors
/// `MissingModel` with what to do when there is none.
pub(super) fn locate(name: &str, folder: Option<&Path>) -> Result<PathBuf> {
    let published = FILES.iter().find(|(known, _)| *known == name);
    let published = published.map_or(name, |(_, file)| *file);
    let missing = || Error::missing_model(format!("the model \"{name}\" is not on this machine"));
    let Some(folder) = folder else {
        return Err(missing().with_hint(format!(
            "name the folder that holds {published} with --weights DIR"
        )));
    };
    [format!("{name}.safetensors"), published.to_owned()]
        .into_iter()
        .map(|file| folder.join(file))
        .find(|path| path.is_file())
        .ok_or_else(|| missing().with_hint(format!("put {published} into {}", folder.display())))
}

/// SHA-256 of a file, in hexadecimal.
///
/// # Errors
/// `Io`; `Cancelled`.
pub(super) fn sha256(path: &Path, context: &Context<'_>) -> Result<String> {
    let failed = |e| Error::io(format!("read {}", path.display()), e);
    let mut file = std::fs::File::open(path).map_err(failed)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        context.check()?;
        match file.read(&mut buffer).map_err(failed)? {
            0 => break,
            n => hash.update(&buffer[..n]),
        }
    }
    Ok(hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}
