//! What a result was made with.

/// The instruction set that the numeric kernels use; part of what makes bytes reproducible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CpuLevel {
    /// Plain Rust, the same on every machine.
    Portable,
    /// 256-bit vectors with fused multiply-add.
    Avx2,
    /// 512-bit vectors.
    Avx512,
}

impl CpuLevel {
    /// Every level there is, the plainest first.
    pub const ALL: [Self; 3] = [Self::Portable, Self::Avx2, Self::Avx512];

    /// The levels that this machine has, the plainest first.
    pub fn available() -> impl Iterator<Item = Self> {
        let best = Self::detect();
        Self::ALL.into_iter().filter(move |&level| level <= best)
    }

    /// The best level of this machine.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl") {
                return Self::Avx512;
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                return Self::Avx2;
            }
        }
        Self::Portable
    }

    /// The name that `PACKSHOT_CPU` and `asset.json` use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }
}

static LEVEL: std::sync::OnceLock<CpuLevel> = std::sync::OnceLock::new();

/// The level that kernels use in this process: the detected one unless [`CpuLevel::fix`] was
/// called first.
pub fn cpu_level() -> CpuLevel {
    *LEVEL.get_or_init(CpuLevel::detect)
}

impl CpuLevel {
    /// Fixes the level of this process (for `PACKSHOT_CPU`). Returns false when a kernel has
    /// already asked for the level or the machine lacks it.
    pub fn fix(self) -> bool {
        self <= Self::detect() && LEVEL.set(self).is_ok()
    }
}

/// A model that took part in a result.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ModelUse {
    /// Catalogue name, such as `packshot-mini`.
    pub name: String,
    /// Part of it, such as `points`.
    pub part: String,
    /// SHA-256 of the weight file, in hexadecimal.
    pub sha256: String,
    /// SPDX expression.
    pub licence: String,
}
