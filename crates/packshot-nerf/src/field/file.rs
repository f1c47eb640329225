//! A field as the bytes of a safetensors file.

use super::adam::Moments;
use super::config::TrainState;
use super::occupancy::Occupancy;
use super::plan::Plan;
use super::{FieldShape, HashField};
use packshot_core::{Error, Result};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::HashMap;

/// Version of the form.
const FORM: u32 = 1;
/// The one key of the metadata.
const KEY: &str = "packshot_field";

/// What the metadata says.
#[derive(serde::Serialize, serde::Deserialize)]
struct Head {
    form: u32,
    plan: Plan,
    /// Steps done, and rays of the next one.
    training: Option<[u64; 2]>,
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldFile {
    /// Settings of the fit.
    pub plan: Plan,
    /// The field.
    pub field: HashField,
    /// Where it is occupied.
    pub occupancy: Occupancy,
    /// Appearance of the training photos, one after the other; empty where there is none.
    pub appearance: Vec<f32>,
    /// With a checkpoint, what training goes on with.
    pub state: Option<TrainState>,
}

impl FieldFile {
    /// The bytes of a safetensors file: `table`, `d0` to `c2`, `occupancy.*`, `appearance`, and for
    /// a checkpoint `adam.*`; settings and counts are JSON in the metadata.
    ///
    /// # Errors
    /// `Internal` when the library refuses.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let internal = |e: String| Error::internal(format!("cannot write the field: {e}"));
        let mut floats: Vec<(String, Vec<usize>, &[f32])> = Vec::new();
        let features = self.field.shape.grid.features;
        let entries = self.field.table.len() / features.max(1);
        floats.push(("table".into(), vec![entries, features], &self.field.table));
        for (i, (name, (rows, columns))) in FieldShape::MATRIX_NAMES
            .into_iter()
            .zip(self.field.shape.matrices())
            .enumerate()
        {
            floats.push((name.into(), vec![rows, columns], self.field.matrix(i)));
        }
        let side = self.occupancy.side();
        floats.push((
            "occupancy.thickness".into(),
            vec![side; 3],
            self.occupancy.thickness(),
        ));
        floats.push((
            "appearance".into(),
            vec![self.appearance.len()],
            &self.appearance,
        ));
        // One key, because the library writes several in no fixed order.
        let head = Head {
            form: FORM,
            plan: self.plan,
            training: self.state.as_ref().map(|s| [s.step, s.rays as u64]),
        };
        let head = serde_json::to_string(&head).map_err(|e| internal(e.to_string()))?;
        let metadata = HashMap::from([(KEY.to_owned(), head)]);
        if let Some(state) = &self.state {
            floats.push(("own".into(), vec![state.own.len()], &state.own));
            for (name, moments) in [
                ("table", &state.table),
                ("network", &state.network),
                ("appearance", &state.appearance),
                ("own", &state.own_moments),
            ] {
                for (order, values) in [("first", &moments.first), ("second", &moments.second)] {
                    let name = format!("adam.{name}.{order}");
                    floats.push((name, vec![values.len()], values));
                }
            }
        }
        let bytes: Vec<Vec<u8>> = floats
            .iter()
            .map(|(_, _, v)| v.iter().flat_map(|v| v.to_le_bytes()).collect())
            .collect();
        let bits = self.occupancy.bytes();
        let view = |kind, shape: Vec<usize>, data| {
            TensorView::new(kind, shape, data).map_err(|e| internal(e.to_string()))
        };
        let mut views = Vec::new();
        for ((name, shape, _), data) in floats.iter().zip(&bytes) {
            views.push((name.clone(), view(Dtype::F32, shape.clone(), data)?));
        }
        views.push((
            "occupancy.bits".to_owned(),
            view(Dtype::U8, vec![bits.len()], &bits)?,
        ));
        safetensors::serialize(views, Some(metadata)).map_err(|e| internal(e.to_string()))
    }

    /// Reads what [`FieldFile::encode`] wrote.
    ///
    /// # Errors
    /// `BadInput` when it is something else, or its parts do not belong together.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let broken = |why: &str| {
            Error::bad_input(format!("this is no fitted field: {why}"))
                .with_hint("name the folder of a fit, or fit again")
        };
        let file = SafeTensors::deserialize(bytes).map_err(|e| broken(&e.to_string()))?;
        let metadata = SafeTensors::read_metadata(bytes)
            .ok()
            .and_then(|(_, header)| header.metadata().clone())
            .unwrap_or_default();
        let head: Head = metadata
            .get(KEY)
            .and_then(|text| serde_json::from_str(text).ok())
            .ok_or_else(|| broken("its settings are missing"))?;
        if head.form != FORM {
            return Err(broken("its form is of another version"));
        }
        let plan = head.plan;
        plan.shape.check()?;
        let floats = |name: &str| -> Result<Vec<f32>> {
            let view = file
                .tensor(name)
                .map_err(|_| broken(&format!("{name} is missing")))?;
            if view.dtype() != Dtype::F32 {
                return Err(broken(&format!("{name} is not f32")));
            }
            let values: Vec<f32> = view
                .data()
                .as_chunks()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b))
                .collect();
            if values.iter().all(|v| v.is_finite()) {
                Ok(values)
            } else {
                Err(broken(&format!("{name} holds values that are no numbers")))
            }
        };
        let table = floats("table")?;
        let mut network = Vec::new();
        for (name, (rows, columns)) in FieldShape::MATRIX_NAMES
            .into_iter()
            .zip(plan.shape.matrices())
        {
            let values = floats(name)?;
            if values.len() != rows * columns {
                return Err(broken(&format!("{name} has the wrong size")));
            }
            network.extend(values);
        }
        let levels = plan.shape.grid.levels();
        if table.len() != plan.shape.grid.parameters() {
            return Err(broken("the table has the wrong size"));
        }
        let bits = file
            .tensor("occupancy.bits")
            .map_err(|_| broken("occupancy.bits is missing"))?;
        let thickness = floats("occupancy.thickness")?;
        let side = (thickness.len() as f64).cbrt().round() as usize;
        let occupancy = Occupancy::from_parts(side, thickness, bits.data())
            .ok_or_else(|| broken("the occupancy has the wrong size"))?;
        let appearance = floats("appearance")?;
        if plan.shape.appearance == 0 && !appearance.is_empty()
            || plan.shape.appearance > 0 && appearance.len() % plan.shape.appearance != 0
        {
            return Err(broken("the appearances have the wrong size"));
        }
        let march = &plan.march;
        let sane = [march.step, march.near, march.far, march.cone]
            .iter()
            .all(|v| v.is_finite())
            && march.step >= 1e-5
            && march.cone >= 0.0
            && march.limit <= 1 << 16
            && plan.scene.unit().is_finite()
            && plan.scene.unit() > 0.0;
        if !sane {
            return Err(broken("its settings are out of bounds"));
        }
        let state = match head.training {
            Some([step, rays]) => {
                let moments = |name: &str| -> Result<Moments> {
                    Ok(Moments {
                        first: floats(&format!("adam.{name}.first"))?,
                        second: floats(&format!("adam.{name}.second"))?,
                    })
                };
                Some(TrainState {
                    step,
                    rays: rays as usize,
                    table: moments("table")?,
                    network: moments("network")?,
                    appearance: moments("appearance")?,
                    own: floats("own")?,
                    own_moments: moments("own")?,
                })
            }
            _ => None,
        };
        Ok(Self {
            plan,
            field: HashField {
                shape: plan.shape,
                levels,
                table,
                network,
            },
            occupancy,
            appearance,
            state,
        })
    }

    /// The mean appearance, which new views have.
    pub fn mean_appearance(&self) -> Vec<f32> {
        let n = self.plan.shape.appearance;
        let photos = (self.appearance.len() / n.max(1)).max(1) as f32;
        (0..n)
            .map(|i| self.appearance.iter().skip(i).step_by(n).sum::<f32>() / photos)
            .collect()
    }
}
