//! Named parameters: one way to build a network with random, loaded or trainable weights.

use crate::weights::WeightFile;
use candle_core::{DType, Device, Result, Tensor, Var};
use packshot_core::{NoiseKey, NoiseStream, Seed, Stage};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How a parameter starts when no weights are loaded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// All zero.
    Zeros,
    /// All one.
    Ones,
    /// Normal around 0.
    Normal {
        /// Standard deviation.
        std: f64,
    },
    /// Uniform in ±`bound`.
    Uniform {
        /// Half of the width.
        bound: f64,
    },
}

impl Init {
    /// PyTorch's default for a linear or convolutional layer of `fan_in` inputs.
    pub fn fan_in(fan_in: usize) -> Self {
        Self::Uniform {
            bound: 1.0 / (fan_in.max(1) as f64).sqrt(),
        }
    }
}

struct Store {
    device: Device,
    seed: Seed,
    trainable: bool,
    /// Whether a parameter without a loaded tensor is an error.
    strict: bool,
    loaded: Loaded,
    vars: BTreeMap<String, Var>,
    used: BTreeSet<String>,
}

/// Where loaded weights come from.
enum Loaded {
    Memory(HashMap<String, Tensor>),
    /// Read when they are asked for, and not kept.
    File(Arc<WeightFile>),
}

impl Loaded {
    /// Shape of the tensor `name`, where it is there.
    fn shape(&self, name: &str) -> Option<&[usize]> {
        match self {
            Self::Memory(tensors) => tensors.get(name).map(Tensor::dims),
            Self::File(file) => file.info(name).map(|info| &*info.shape),
        }
    }

    /// The tensor `name` as f32, which is there.
    fn tensor(&self, name: &str, device: &Device) -> Result<Tensor> {
        let tensor = match self {
            Self::Memory(tensors) => match tensors.get(name) {
                Some(tensor) => tensor.to_dtype(DType::F32)?,
                None => candle_core::bail!("tensor {name} is missing"),
            },
            Self::File(file) => file.tensor(name).map_err(candle_core::Error::wrap)?,
        };
        tensor.to_device(device)
    }

    fn names(&self) -> Vec<&str> {
        match self {
            Self::Memory(tensors) => tensors.keys().map(|name| &**name).collect(),
            Self::File(file) => file.tensors().map(|(name, _)| name).collect(),
        }
    }
}

/// A place in a tree of named parameters; clones share the tree.
#[derive(Clone)]
pub struct Params {
    prefix: String,
    store: Arc<Mutex<Store>>,
}

impl Params {
    fn with(device: &Device, seed: Seed, trainable: bool, strict: bool, loaded: Loaded) -> Self {
        Self {
            prefix: String::new(),
            store: Arc::new(Mutex::new(Store {
                device: device.clone(),
                seed,
                trainable,
                strict,
                loaded,
                vars: BTreeMap::new(),
                used: BTreeSet::new(),
            })),
        }
    }

    /// Trainable parameters with random starts that depend on `seed` and their names alone.
    pub fn random(seed: Seed, device: &Device) -> Self {
        Self::trainable_from(HashMap::new(), seed, device)
    }

    /// Trainable parameters that start from `weights`; what is not there starts at random.
    pub fn trainable_from(weights: HashMap<String, Tensor>, seed: Seed, device: &Device) -> Self {
        Self::with(device, seed, true, false, Loaded::Memory(weights))
    }

    /// Fixed parameters; each one that a network asks for must be in `weights` with its shape.
    pub fn loaded(weights: HashMap<String, Tensor>, device: &Device) -> Self {
        Self::with(device, Seed(0), false, true, Loaded::Memory(weights))
    }

    /// As [`Params::loaded`], with each tensor read from `file` when a network asks for it: no
    /// second copy of the weights is ever in memory.
    pub fn from_file(file: Arc<WeightFile>, device: &Device) -> Self {
        Self::with(device, Seed(0), false, true, Loaded::File(file))
    }

    /// The subtree `name`.
    #[must_use]
    pub fn sub(&self, name: &str) -> Self {
        Self {
            prefix: self.full_name(name),
            store: Arc::clone(&self.store),
        }
    }

    fn full_name(&self, name: &str) -> String {
        if self.prefix.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.prefix)
        }
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        // A poisoned store only means that another thread panicked between two map operations.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The parameter `name` of `shape`.
    ///
    /// # Errors
    /// When a loaded tensor has another shape, or is missing where all must be loaded.
    pub fn get(&self, name: &str, shape: &[usize], init: Init) -> Result<Tensor> {
        let full = self.full_name(name);
        let mut store = self.store();
        store.used.insert(full.clone());
        if let Some(var) = store.vars.get(&full) {
            return Ok(var.as_tensor().clone());
        }
        let tensor = match store.loaded.shape(&full) {
            Some(found) if found != shape => candle_core::bail!(
                "tensor {full} has shape {found:?} where the network needs {shape:?}"
            ),
            Some(_) => store.loaded.tensor(&full, &store.device)?,
            None if store.strict => candle_core::bail!("tensor {full} {shape:?} is missing"),
            None => initial(&full, shape, init, store.seed, &store.device)?,
        };
        if !store.trainable {
            return Ok(tensor);
        }
        let var = Var::from_tensor(&tensor)?;
        let tensor = var.as_tensor().clone();
        store.vars.insert(full, var);
        Ok(tensor)
    }

    /// The buffer `name`: a loaded tensor where there is one, else `values`. Never trained.
    ///
    /// # Errors
    /// When the loaded tensor has another shape.
    pub fn buffer(&self, name: &str, values: &[f32]) -> Result<Tensor> {
        let full = self.full_name(name);
        let mut store = self.store();
        let device = store.device.clone();
        let Some(found) = store.loaded.shape(&full) else {
            return Tensor::from_slice(values, values.len(), &device);
        };
        if found != [values.len()] {
            candle_core::bail!(
                "tensor {full} has shape {found:?} where the network needs [{}]",
                values.len()
            );
        }
        store.used.insert(full.clone());
        store.loaded.tensor(&full, &device)
    }

    /// The trainable variables so far, by name.
    pub fn vars(&self) -> Vec<(String, Var)> {
        self.store()
            .vars
            .iter()
            .map(|(name, var)| (name.clone(), var.clone()))
            .collect()
    }

    /// Names of loaded tensors that no network asked for.
    pub fn unused(&self) -> Vec<String> {
        let store = self.store();
        let mut names: Vec<String> = store
            .loaded
            .names()
            .into_iter()
            .filter(|name| !store.used.contains(*name))
            .map(str::to_owned)
            .collect();
        names.sort();
        names
    }

    /// Where the parameters live.
    pub fn device(&self) -> Device {
        self.store().device.clone()
    }
}

fn initial(name: &str, shape: &[usize], init: Init, seed: Seed, device: &Device) -> Result<Tensor> {
    let n: usize = shape.iter().product();
    // FNV-1a: the start of a parameter depends on its name, not on the order of building.
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let key = NoiseKey {
        candidate: hash as u32,
        stage: Stage::Init,
        step: (hash >> 32) as u32,
    };
    let mut noise = NoiseStream::new(seed, key);
    let values: Vec<f32> = match init {
        Init::Zeros => vec![0.0; n],
        Init::Ones => vec![1.0; n],
        Init::Normal { std } => (0..n).map(|_| noise.normal() * std as f32).collect(),
        Init::Uniform { bound } => (0..n)
            .map(|_| noise.uniform_in(-bound as f32, bound as f32))
            .collect(),
    };
    Tensor::from_vec(values, shape, device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_depend_on_names_not_on_order() {
        let values = |names: [&str; 2]| -> HashMap<String, Vec<f32>> {
            let params = Params::random(Seed(3), &Device::Cpu);
            names
                .iter()
                .map(|n| {
                    let t = params
                        .sub("a")
                        .get(n, &[4], Init::Normal { std: 1.0 })
                        .unwrap();
                    ((*n).to_owned(), t.to_vec1().unwrap())
                })
                .collect()
        };
        let first = values(["x", "y"]);
        assert_eq!(first, values(["y", "x"]));
        assert_ne!(first["x"], first["y"]);
    }

    #[test]
    fn loaded_weights_are_checked() {
        let weights = HashMap::from([(
            "a.w".to_owned(),
            Tensor::zeros(3, DType::F16, &Device::Cpu).unwrap(),
        )]);
        let params = Params::loaded(weights, &Device::Cpu);
        assert!(params.get("a.w", &[4], Init::Zeros).is_err());
        assert!(params.get("b", &[4], Init::Zeros).is_err());
        assert_eq!(
            params.sub("a").get("w", &[3], Init::Zeros).unwrap().dtype(),
            DType::F32
        );
        assert!(params.unused().is_empty());
        assert!(params.vars().is_empty());
    }

    #[test]
    fn weights_come_straight_from_a_file() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/edge_cases.pt");
        let file = Arc::new(WeightFile::open(path.as_ref()).unwrap());
        let params = Params::from_file(Arc::clone(&file), &Device::Cpu);
        let tensor = params.get("transposed", &[3, 7], Init::Zeros).unwrap();
        assert_eq!(
            tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap(),
            file.values("transposed").unwrap()
        );
        assert!(params.get("transposed", &[7, 3], Init::Zeros).is_err());
        assert!(params.get("nothing", &[3], Init::Zeros).is_err());
        assert_eq!(params.buffer("absent", &[1.0]).unwrap().dims(), [1]);
        assert_eq!(params.unused().len(), file.tensors().len() - 1);
    }
}
