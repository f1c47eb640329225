//! A classic field as the bytes of a safetensors file.

use super::ClassicNetwork;
use super::plan::ClassicPlan;
use super::train::ClassicState;
use crate::field::Moments;
use packshot_core::{Error, Result};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::HashMap;

/// Version of the form.
const FORM: u32 = 1;
/// The one key of the metadata.
const KEY: &str = "packshot_classic_field";
/// Names of the two networks.
const NAMES: [&str; 2] = ["coarse", "fine"];

#[derive(serde::Serialize, serde::Deserialize)]
struct Head {
    form: u32,
    plan: ClassicPlan,
    /// Steps done, in a checkpoint.
    steps: Option<u64>,
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassicFile {
    /// Settings of the fit.
    pub plan: ClassicPlan,
    /// The coarse and the fine network.
    pub networks: [ClassicNetwork; 2],
    /// With a checkpoint, what training goes on with.
    pub state: Option<ClassicState>,
}

impl ClassicFile {
    /// The bytes of a safetensors file: `coarse.pts0.w` to `fine.rgb.b`, and for a checkpoint
    /// `adam.coarse.first` to `adam.fine.second`; settings are JSON in the metadata.
    ///
    /// # Errors
    /// `Internal` when the library refuses.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let internal = |e: String| Error::internal(format!("cannot write the field: {e}"));
        let mut floats: Vec<(String, Vec<usize>, &[f32])> = Vec::new();
        for (name, network) in NAMES.into_iter().zip(&self.networks) {
            for layer in &network.layers {
                let weights = &network.parameters[layer.weights.clone()];
                let bias = &network.parameters[layer.bias.clone()];
                let shape = vec![layer.outputs, layer.inputs];
                floats.push((format!("{name}.{}.w", layer.name), shape, weights));
                floats.push((
                    format!("{name}.{}.b", layer.name),
                    vec![layer.outputs],
                    bias,
                ));
            }
        }
        if let Some(state) = &self.state {
            for (name, moments) in NAMES.into_iter().zip(&state.moments) {
                for (order, values) in [("first", &moments.first), ("second", &moments.second)] {
                    floats.push((format!("adam.{name}.{order}"), vec![values.len()], values));
                }
            }
        }
        let head = Head {
            form: FORM,
            plan: self.plan,
            steps: self.state.as_ref().map(|s| s.step),
        };
        let head = serde_json::to_string(&head).map_err(|e| internal(e.to_string()))?;
        let bytes: Vec<Vec<u8>> = floats
            .iter()
            .map(|(_, _, v)| v.iter().flat_map(|v| v.to_le_bytes()).collect())
            .collect();
        let mut views = Vec::new();
        for ((name, shape, _), data) in floats.into_iter().zip(&bytes) {
            let view = TensorView::new(Dtype::F32, shape, data);
            views.push((name, view.map_err(|e| internal(e.to_string()))?));
        }
        let metadata = HashMap::from([(KEY.to_owned(), head)]);
        safetensors::serialize(views, Some(metadata)).map_err(|e| internal(e.to_string()))
    }

    /// Whether the bytes are of this form (and not of another field).
    pub fn is_one(bytes: &[u8]) -> bool {
        SafeTensors::read_metadata(bytes)
            .ok()
            .and_then(|(_, header)| Some(header.metadata().as_ref()?.contains_key(KEY)))
            .unwrap_or(false)
    }

    /// Reads what [`ClassicFile::encode`] wrote.
    ///
    /// # Errors
    /// `BadInput` when it is something else, or its parts do not belong together.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let broken = |why: &str| {
            Error::bad_input(format!("this is no fitted field: {why}"))
                .with_hint("name the folder of a fit, or fit again")
        };
        let file = SafeTensors::deserialize(bytes).map_err(|e| broken(&e.to_string()))?;
        let head: Head = SafeTensors::read_metadata(bytes)
            .ok()
            .and_then(|(_, header)| header.metadata().clone()?.get(KEY).cloned())
            .and_then(|text| serde_json::from_str(&text).ok())
            .ok_or_else(|| broken("its settings are missing"))?;
        if head.form != FORM {
            return Err(broken("its form is of another version"));
        }
        let plan = head.plan;
        plan.shape.check()?;
        let scene = &plan.scene;
        let numbers = [scene.scale, f64::from(scene.near), f64::from(scene.far)];
        let sane = (3..=4096).contains(&plan.coarse)
            && plan.fine <= 4096
            && (1..=1 << 20).contains(&plan.rays)
            && numbers.iter().all(|v| v.is_finite())
            && scene.scale > 0.0
            && scene.axes.as_flattened().iter().all(|v| v.is_finite());
        if !sane {
            return Err(broken("its settings are out of bounds"));
        }
        let floats = |name: &str, n: usize| -> Result<Vec<f32>> {
            let view = file
                .tensor(name)
                .map_err(|_| broken(&format!("{name} is missing")))?;
            let values: Vec<f32> = view
                .data()
                .as_chunks()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b))
                .collect();
            if view.dtype() == Dtype::F32
                && values.len() == n
                && values.iter().all(|v| v.is_finite())
            {
                Ok(values)
            } else {
                Err(broken(&format!("{name} has the wrong size or no numbers")))
            }
        };
        let layers = plan.shape.layers();
        let network = |name: &str| -> Result<ClassicNetwork> {
            let mut parameters = Vec::new();
            for layer in &layers {
                let weights = format!("{name}.{}.w", layer.name);
                parameters.extend(floats(&weights, layer.weights.len())?);
                parameters.extend(floats(&format!("{name}.{}.b", layer.name), layer.outputs)?);
            }
            Ok(ClassicNetwork {
                shape: plan.shape,
                layers: layers.clone(),
                parameters,
            })
        };
        let moments = |name: &str| -> Result<Moments> {
            let n = plan.shape.parameters();
            Ok(Moments {
                first: floats(&format!("adam.{name}.first"), n)?,
                second: floats(&format!("adam.{name}.second"), n)?,
            })
        };
        let state = match head.steps {
            Some(step) => Some(ClassicState {
                step,
                moments: [moments(NAMES[0])?, moments(NAMES[1])?],
            }),
            None => None,
        };
        Ok(Self {
            plan,
            networks: [network(NAMES[0])?, network(NAMES[1])?],
            state,
        })
    }
}
