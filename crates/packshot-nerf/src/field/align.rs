//! The pose of a photo that was not trained on, found by the field: where training has corrected
//! the poses of its photos, those of the others are in a scene that has moved.

use super::block::Prepared;
use super::chunk::{CHUNK, Chunk, Shared};
use super::config::TrainConfig;
use super::own::{Own, POSES_EVERY};
use super::photos::{Photo, Photos};
use super::pixels::useful_pixels;
use super::train::Trainer;
use packshot_core::Result;
use packshot_geometry::lens::LensCamera;
use rayon::prelude::*;

/// Steps of the search.
const STEPS: u64 = 120;
/// Chunks of rays of a step.
const CHUNKS: usize = 8;
/// Step size at the start, in radians and units of the scene.
const RATE: f32 = 1e-3;
/// Share of it that is left at the end.
const FINAL_RATE: f32 = 0.05;

impl Trainer {
    /// The camera of a photo with its pose corrected to what the field shows, which stays as it is.
    ///
    /// # Errors
    /// `BadInput` when no pixel of the photo shows the scene.
    pub fn align(&self, photo: Photo) -> Result<LensCamera> {
        let given = photo.camera;
        let mut photos = Photos::new(vec![photo])?;
        let pixels = useful_pixels(&photos, &self.scene, &self.march, &self.occupancy)?;
        let appearance = self.mean_appearance();
        let config = TrainConfig {
            exposure: false,
            distortion: 0.0,
            pose_rate: RATE,
            ..self.config
        };
        let mut own = Own::new(1);
        let mut chunks: Vec<Chunk> = Vec::new();
        chunks.resize_with(CHUNKS, Chunk::default);
        for step in 0..STEPS {
            let shared = Shared {
                field: &self.field,
                appearance: &appearance,
                mean_appearance: &appearance,
                prepared: Prepared::new(&self.field),
                occupancy: &self.occupancy,
                photos: &photos,
                pixels: &pixels,
                scene: self.scene,
                march: self.march,
                config,
                step,
                share: 1.0 / (3 * CHUNKS * CHUNK) as f32,
                offsets: vec![[0.0; 2]],
                own: &own,
                poses: true,
                blocks: &self.blocks,
            };
            chunks
                .par_iter_mut()
                .enumerate()
                .for_each(|(i, chunk)| chunk.run(i, &shared));
            let gradients = chunks.iter().flat_map(|c| &c.d_own);
            let decayed = FINAL_RATE.powf(step as f32 / STEPS as f32);
            own.learn(gradients, &config, decayed, (step + 1) * POSES_EVERY, false);
            photos.photos[0].camera = own.corrected(0, &given, &self.scene);
        }
        Ok(photos.photos[0].camera)
    }
}
