//! What of a fitted field is the product.

use super::surface_density;
use crate::fitted::{Fitted, Query};
use nalgebra::Vector3;
use packshot_core::{CancelToken, Error, Result};
use packshot_geometry::lens::LensCamera;
use packshot_geometry::marching_cubes::{Lattice, marching_cubes};

/// A box around the product, turned so that the product stands upright in it.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Crop {
    /// Axes of the box in the world, orthonormal; the third one points up.
    pub axes: [[f32; 3]; 3],
    /// Least coordinates along the axes.
    pub low: [f32; 3],
    /// Greatest coordinates along the axes.
    pub high: [f32; 3],
    /// Whether the box ends at a surface that the product stands on.
    pub on_ground: bool,
}

impl Crop {
    /// A box along the axes of the world.
    ///
    /// # Errors
    /// `BadInput` when it is empty or not finite.
    pub fn along_world(low: [f32; 3], high: [f32; 3]) -> Result<Self> {
        let sane = (0..3).all(|c| low[c].is_finite() && high[c].is_finite() && low[c] < high[c]);
        if !sane {
            return Err(Error::bad_input("the box is empty")
                .with_hint("give its least x, y, z, then its greatest x, y, z"));
        }
        Ok(Self {
            axes: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
            low,
            high,
            on_ground: false,
        })
    }

    /// Coordinates along the axes of a point of the world.
    pub fn to_local(&self, world: [f32; 3]) -> [f32; 3] {
        self.axes
            .map(|axis| (0..3).map(|c| axis[c] * world[c]).sum())
    }

    /// The inverse of [`Crop::to_local`].
    pub fn to_world(&self, local: [f32; 3]) -> [f32; 3] {
        [0, 1, 2].map(|c| (0..3).map(|a| self.axes[a][c] * local[a]).sum())
    }

    /// Whether a point, given by its coordinates along the axes, lies in the box.
    pub fn contains(&self, local: [f32; 3]) -> bool {
        (0..3).all(|a| (self.low[a]..=self.high[a]).contains(&local[a]))
    }
}

/// Cells along a side of the lattice that the product is looked for in.
const CELLS: usize = 96;
/// Its half side, in distances of the cameras.
const REACH: f32 = 0.5;
/// Faces count as ground when their normal is this close to up (cosine).
const FLAT: f32 = 0.85;
/// A ground covers at least this share of the lattice's cross-section.
const LEAST_GROUND: f32 = 0.08;

/// Finds the product: all there is where it stands free; else what stands on the widest level
/// surface around the point that the cameras look at. The surface itself is cut away, and its
/// normal becomes the new up.
///
/// # Errors
/// `BadInput` when nothing is there; `Cancelled`.
pub fn find_crop(
    fitted: &Fitted,
    query: &Query<'_>,
    cameras: &[LensCamera],
    cancel: &CancelToken,
) -> Result<Crop> {
    let (centre, radius) = fitted.cube();
    if fitted.stands_free() {
        return Crop::along_world(centre.map(|c| c - radius), centre.map(|c| c + radius));
    }
    let reach = REACH * radius;
    let mut search = Search::new(query, centre, reach, up_of(cameras), cancel)?;
    let mut ground = search.ground();
    if let Some((up, _)) = ground
        && up.z < 0.999
    {
        // Once more with level cells.
        let world = search.crop.to_world(up.into());
        search = Search::new(query, centre, reach, world.into(), cancel)?;
        ground = search.ground();
    }
    let cut = ground.map_or(f32::NEG_INFINITY, |(_, height)| {
        height + search.lattice.spacing
    });
    search.product(centre, cut, ground.is_some())
}

/// The mean direction of the pictures' upper edge; the world's own up when that is near.
fn up_of(cameras: &[LensCamera]) -> Vector3<f32> {
    let sum: Vector3<f64> = cameras
        .iter()
        .map(|c| Vector3::from(c.world_from_camera.map(|row| row[1])))
        .sum();
    match sum.try_normalize(1e-6) {
        Some(up) if up.z < 0.8 => up.cast(),
        _ => Vector3::z(),
    }
}

/// Densities on a lattice around what the cameras look at.
struct Search {
    /// Axes only.
    crop: Crop,
    lattice: Lattice,
    values: Vec<f32>,
    level: f32,
}

impl Search {
    fn new(
        query: &Query<'_>,
        centre: [f32; 3],
        reach: f32,
        up: Vector3<f32>,
        cancel: &CancelToken,
    ) -> Result<Self> {
        let up = up.try_normalize(1e-6).unwrap_or_else(Vector3::z);
        // The other axes stay as near to the world's as they can.
        let x = (Vector3::x() - up * up.x)
            .try_normalize(1e-3)
            .unwrap_or_else(|| up.cross(&Vector3::y()).normalize());
        let y = up.cross(&x);
        let mut crop = Crop {
            axes: [x, y, up].map(Into::into),
            low: [0.0; 3],
            high: [0.0; 3],
            on_ground: false,
        };
        let middle = crop.to_local(centre);
        crop.low = middle.map(|v| v - reach);
        crop.high = middle.map(|v| v + reach);
        let lattice = Lattice::around(crop.low, crop.high, 0.0, CELLS)?;
        let points: Vec<[f32; 3]> = (0..lattice.len())
            .map(|i| crop.to_world(lattice.position(lattice.at(i))))
            .collect();
        let level = surface_density(reach);
        let values = query
            .densities(&points, cancel)?
            .into_iter()
            .map(|d| (d.max(1e-9) / level).ln().clamp(-4.0, 4.0))
            .collect();
        Ok(Self {
            crop,
            lattice,
            values,
            level: 0.0,
        })
    }

    /// Normal (in the lattice's axes) and height of the widest level surface.
    fn ground(&self) -> Option<(Vector3<f32>, f32)> {
        let mesh = marching_cubes(&self.lattice, &self.values, self.level).ok()?;
        let faces: Vec<(Vector3<f32>, f32, f32)> = (0..mesh.triangles.len() as u32)
            .filter_map(|t| {
                let normal = mesh.face_normal(t)?;
                let [a, b, c] = mesh.corners(t)?;
                let height = (a.z + b.z + c.z) / 3.0;
                (normal.z > FLAT).then(|| (normal, height, mesh.triangle_area(t)))
            })
            .collect();
        // Sums over bands of three cells.
        let band = 3.0 * self.lattice.spacing;
        let low = self.lattice.origin[2];
        let bins = self.lattice.size[2];
        let mut areas = vec![0.0f32; bins];
        for (_, height, area) in &faces {
            let bin = ((height - low) / self.lattice.spacing) as usize;
            areas[bin.min(bins - 1)] += area;
        }
        let of = |b: usize| {
            areas[b.saturating_sub(1)..(b + 2).min(bins)]
                .iter()
                .sum::<f32>()
        };
        let best = (0..bins).max_by(|a, b| of(*a).total_cmp(&of(*b)))?;
        let side = self.lattice.spacing * (self.lattice.size[0] - 1) as f32;
        if of(best) < LEAST_GROUND * side * side {
            return None;
        }
        let height = low + (best as f32 + 0.5) * self.lattice.spacing;
        let near: Vec<_> = faces
            .iter()
            .filter(|(_, h, _)| (h - height).abs() < band)
            .collect();
        let normal: Vector3<f32> = near.iter().map(|(n, _, area)| n * *area).sum();
        // The upper side of the band: what is a little uneven is ground too.
        let mut heights: Vec<(f32, f32)> = near.iter().map(|(_, h, area)| (*h, *area)).collect();
        heights.sort_by(|a, b| a.0.total_cmp(&b.0));
        let total: f32 = heights.iter().map(|h| h.1).sum();
        let mut sum = 0.0;
        let upper = heights.iter().find(|(_, area)| {
            sum += area;
            sum >= 0.8 * total
        });
        Some((normal.try_normalize(1e-6)?, upper?.0))
    }

    /// The box of what stands above `cut` nearest to the middle.
    fn product(&self, centre: [f32; 3], cut: f32, on_ground: bool) -> Result<Crop> {
        let lattice = &self.lattice;
        let middle = self.crop.to_local(centre);
        let reach = 0.5 * (self.crop.high[0] - self.crop.low[0]);
        let solid =
            |i: usize| self.values[i] > self.level && lattice.position(lattice.at(i))[2] >= cut;
        let mut seen = vec![false; lattice.len()];
        let mut best: Option<(f32, [f32; 3], [f32; 3])> = None;
        let mut stack = Vec::new();
        for start in 0..lattice.len() {
            if seen[start] || !solid(start) {
                continue;
            }
            seen[start] = true;
            stack.push(start);
            let (mut score, mut low, mut high) = (0.0, [f32::INFINITY; 3], [f32::NEG_INFINITY; 3]);
            while let Some(i) = stack.pop() {
                let at = lattice.at(i);
                let p = lattice.position(at);
                let aside = (p[0] - middle[0]).hypot(p[1] - middle[1]) / (0.4 * reach);
                score += (-aside * aside).exp();
                for a in 0..3 {
                    low[a] = low[a].min(p[a]);
                    high[a] = high[a].max(p[a]);
                }
                for a in 0..3 {
                    for step in [-1i64, 1] {
                        let mut next = at.map(i64::from);
                        next[a] += step;
                        if next[a] < 0 || next[a] >= lattice.size[a] as i64 {
                            continue;
                        }
                        let next = lattice.index(next.map(|v| v as u32));
                        if !seen[next] && solid(next) {
                            seen[next] = true;
                            stack.push(next);
                        }
                    }
                }
            }
            if best.is_none_or(|(other, ..)| score > other) {
                best = Some((score, low, high));
            }
        }
        let Some((_, mut low, mut high)) = best else {
            return Err(Error::bad_input("nothing stands where the cameras look")
                .with_hint("give a box with --crop, or fit longer"));
        };
        let margin = 2.0 * lattice.spacing;
        for a in 0..3 {
            low[a] -= margin;
            high[a] += margin;
        }
        low[2] = low[2].max(cut);
        Ok(Crop {
            low,
            high,
            on_ground,
            ..self.crop
        })
    }
}
