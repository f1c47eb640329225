//! Fitted fields as lattices of voxels that send out light and hold back what is behind them.
//!
//! A ray's flight through a volume ends by chance: how far it comes is drawn against the density on
//! its way (delta tracking: Woodcock et al. 1965), block by block with the block's greatest density
//! as majorant. Where it ends, the volume is met like a surface that shines by itself; a field holds
//! the light under which it was photographed. So volumes, meshes and points hide each other as they
//! should, reflect in each other and cast shadows, and the mean over many rays is the integral of
//! volume rendering.

use crate::sampler::Sampler;
use crate::texture::linear_rgba;
use crate::vector::{Vec3, ZERO, length, vec3};
use nalgebra::Matrix4;
use packshot_core::{Error, Result};
use rayon::prelude::*;
use std::sync::Arc;

/// Voxels along a side of the blocks that have a majorant.
const BLOCK: usize = 8;
/// Opacity of a voxel of the highest level: what is opaque lets a ray through two voxels in 250,000.
const OPAQUE: f32 = 0.998;
/// First of the numbers that decide about a ray's flight: far from those of triangles.
const DRAWS: u32 = 0xc000_0000;
/// Numbers of one volume.
const DRAWS_SHIFT: u32 = 20;

/// A lattice of voxels in the world.
#[derive(Clone, Debug)]
pub struct Volume {
    size: [usize; 3],
    voxels: Arc<[[u8; 4]]>,
    blocks: [usize; 3],
    majorants: Arc<[f32]>,
    world_from_lattice: Matrix4<f32>,
}

impl Volume {
    /// A lattice of `size` voxels along x, y and z, x fastest. A voxel is the sRGB light that its
    /// place sends out, and the opacity of its own length. In the lattice's coordinates voxels have
    /// the length 1, and the middle of the first one is (0.5, 0.5, 0.5); `world_from_lattice` may turn,
    /// move and scale evenly.
    ///
    /// # Errors
    /// [`packshot_core::ErrorKind::BadInput`] when the number of voxels does not fit or there are
    /// none, or when the matrix cannot be inverted.
    pub fn new(
        size: [usize; 3],
        voxels: Vec<[u8; 4]>,
        world_from_lattice: Matrix4<f32>,
    ) -> Result<Self> {
        let count = size.iter().try_fold(1usize, |n, &side| n.checked_mul(side));
        if voxels.is_empty() || count != Some(voxels.len()) {
            let text = format!("{} voxels do not make a lattice of {size:?}", voxels.len());
            return Err(Error::bad_input(text));
        }
        if world_from_lattice.try_inverse().is_none() {
            return Err(Error::bad_input("the lattice has no place in the world"));
        }
        let blocks = size.map(|side| side.div_ceil(BLOCK));
        let majorants = (0..blocks.iter().product())
            .into_par_iter()
            .map(|at| {
                let block = [
                    at % blocks[0],
                    at / blocks[0] % blocks[1],
                    at / (blocks[0] * blocks[1]),
                ];
                density(most_opaque(size, &voxels, block))
            })
            .collect();
        Ok(Self {
            size,
            voxels: voxels.into(),
            blocks,
            majorants,
            world_from_lattice,
        })
    }

    /// The opacity of a voxel whose own length has this optical depth, as [`Volume::new`] takes it.
    pub fn level(optical_depth: f32) -> u8 {
        let opacity = 1.0 - libm::expf(-optical_depth.max(0.0));
        (opacity / OPAQUE * 255.0).round().min(255.0) as u8
    }

    /// The sRGB light of every voxel that is not empty.
    pub fn colours_mut(&mut self) -> impl Iterator<Item = &mut [u8]> {
        let voxels = Arc::make_mut(&mut self.voxels).iter_mut();
        let seen = voxels.filter(|voxel| voxel[3] > 0);
        seen.map(|voxel| &mut voxel[..3])
    }

    /// Moves the lattice by a matrix as of [`Volume::new`].
    pub fn transform(&mut self, matrix: &Matrix4<f32>) {
        self.world_from_lattice = matrix * self.world_from_lattice;
    }

    /// From the lattice's coordinates to the world's.
    pub fn world_from_lattice(&self) -> &Matrix4<f32> {
        &self.world_from_lattice
    }
}

/// The highest level of opacity that places in a block can see.
fn most_opaque(size: [usize; 3], voxels: &[[u8; 4]], block: [usize; 3]) -> f32 {
    let range = |c: usize| {
        let first = (block[c] * BLOCK).saturating_sub(1);
        first..(block[c] * BLOCK + BLOCK + 1).min(size[c])
    };
    let mut most = 0;
    for z in range(2) {
        for y in range(1) {
            let row = (z * size[1] + y) * size[0];
            let [first, end] = [range(0).start, range(0).end].map(|x| row + x);
            most = voxels[first..end].iter().map(|v| v[3]).fold(most, u8::max);
        }
    }
    f32::from(most) / 255.0
}

/// Density in a voxel's length of an opacity as voxels store it, 0..=1.
#[inline(always)]
fn density(opacity: f32) -> f32 {
    -libm::logf(1.0 - OPAQUE * opacity)
}

/// A volume in the form that rays are cast against.
#[derive(Clone, Debug)]
pub(crate) struct PreparedVolume {
    pub(crate) size: [i32; 3],
    pub(crate) voxels: Arc<[[u8; 4]]>,
    pub(crate) blocks: [i32; 3],
    pub(crate) majorants: Arc<[f32]>,
    /// Rows of the matrix.
    pub(crate) lattice_from_world: [[f32; 4]; 3],
    pub(crate) is_product: bool,
}

/// Where a ray's flight ended.
#[derive(Clone, Copy)]
pub(crate) struct VolumeHit {
    pub(crate) t: f32,
    /// Linear light.
    pub(crate) colour: Vec3,
    pub(crate) is_product: bool,
}

impl PreparedVolume {
    pub(crate) fn new(volume: &Volume, is_product: bool) -> Self {
        let inverse = (volume.world_from_lattice.try_inverse()).unwrap_or_else(Matrix4::identity);
        Self {
            size: volume.size.map(|v| v as i32),
            voxels: Arc::clone(&volume.voxels),
            blocks: volume.blocks.map(|v| v as i32),
            majorants: Arc::clone(&volume.majorants),
            lattice_from_world: [0, 1, 2].map(|r| [0, 1, 2, 3].map(|c| inverse[(r, c)])),
            is_product,
        }
    }

    /// Where the flight of a ray ends, if that is nearer than `limit`; `number` tells the volumes of a
    /// scene apart.
    pub(crate) fn meet(
        &self,
        origin: Vec3,
        direction: Vec3,
        limit: f32,
        number: u32,
        sampler: &Sampler,
        ray: u32,
    ) -> Option<VolumeHit> {
        let rows = &self.lattice_from_world;
        let turn = |v: Vec3, c: usize| rows[c][0] * v.x + rows[c][1] * v.y + rows[c][2] * v.z;
        let o: [f32; 3] = [0, 1, 2].map(|c| turn(origin, c) + rows[c][3]);
        let d: [f32; 3] = [0, 1, 2].map(|c| turn(direction, c));
        let (mut t, mut end) = (0.0f32, limit);
        for c in 0..3 {
            let size = self.size[c] as f32;
            if d[c] == 0.0 {
                if !(o[c] >= 0.0 && o[c] <= size) {
                    return None;
                }
                continue;
            }
            let (a, b) = (-o[c] / d[c], (size - o[c]) / d[c]);
            t = t.max(a.min(b));
            end = end.min(a.max(b));
        }
        if t.is_nan() || t >= end {
            return None;
        }
        let speed = length(vec3(d[0], d[1], d[2]));
        let side = BLOCK as f32;
        let mut cell = [0; 3];
        let mut next = [f32::INFINITY; 3];
        for c in 0..3 {
            let at = ((o[c] + d[c] * t) / side).floor() as i32;
            cell[c] = at.clamp(0, self.blocks[c] - 1);
            if d[c] != 0.0 {
                let border = cell[c] + i32::from(d[c] > 0.0);
                next[c] = (border as f32 * side - o[c]) / d[c];
            }
        }
        let mut draw = DRAWS + (number << DRAWS_SHIFT);
        loop {
            let mut axis = 2;
            if next[0] <= next[1] && next[0] <= next[2] {
                axis = 0;
            } else if next[1] <= next[2] {
                axis = 1;
            }
            let exit = next[axis].min(end);
            let block = (cell[2] * self.blocks[1] + cell[1]) * self.blocks[0] + cell[0];
            let majorant = self.majorants[block as usize];
            if majorant > 0.0 {
                loop {
                    let u = sampler.coverage(ray, draw);
                    t -= libm::logf(1.0 - u) / (majorant * speed);
                    if t.is_nan() || t >= exit {
                        break;
                    }
                    let [x, y, z] = [0, 1, 2].map(|c| o[c] + d[c] * t - 0.5);
                    let found = density(self.opacity(x, y, z));
                    let stops = sampler.coverage(ray, draw + 1) * majorant < found;
                    draw += 2;
                    if stops {
                        return Some(VolumeHit {
                            t,
                            colour: self.colour(x, y, z),
                            is_product: self.is_product,
                        });
                    }
                }
                draw += 2;
            }
            if exit >= end {
                return None;
            }
            t = exit;
            let step = if d[axis] > 0.0 { 1 } else { -1 };
            cell[axis] += step;
            if cell[axis] < 0 || cell[axis] >= self.blocks[axis] {
                return None;
            }
            next[axis] += (side / d[axis]).abs();
        }
    }

    /// Calls `visit` with the eight voxels around a place (whole numbers are voxels' middles) and
    /// their weights.
    #[inline(always)]
    fn around(&self, x: f32, y: f32, z: f32, mut visit: impl FnMut(u32, f32)) {
        let at = [x, y, z].map(f32::floor);
        let share = [x - at[0], y - at[1], z - at[2]];
        for corner in 0..8 {
            let mut weight = 1.0;
            let mut place = [0; 3];
            for c in 0..3 {
                let up = (corner >> c) & 1;
                weight *= if up == 1 { share[c] } else { 1.0 - share[c] };
                place[c] = (at[c] as i32 + up).clamp(0, self.size[c] - 1);
            }
            let index = (place[2] * self.size[1] + place[1]) * self.size[0] + place[0];
            visit(u32::from_le_bytes(self.voxels[index as usize]), weight);
        }
    }

    fn opacity(&self, x: f32, y: f32, z: f32) -> f32 {
        let mut sum = 0.0;
        self.around(x, y, z, |voxel, weight| {
            sum += weight * (voxel >> 24) as f32
        });
        sum / 255.0
    }

    /// What is empty has no colour: voxels count by their opacity.
    fn colour(&self, x: f32, y: f32, z: f32) -> Vec3 {
        let (mut sum, mut total) = (ZERO, 0.0);
        self.around(x, y, z, |voxel, weight| {
            let (rgb, opacity) = linear_rgba(voxel);
            sum += rgb * (weight * opacity);
            total += weight * opacity;
        });
        if total > 0.0 {
            sum * (1.0 / total)
        } else {
            ZERO
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block of glowing fog from (0, 0, 0) to (2, 1, 1) whose voxels have the given opacity.
    fn fog(level: u8) -> PreparedVolume {
        let size = [32, 16, 16];
        let voxels = vec![[255, 0, 188, level]; 32 * 16 * 16];
        let matrix = Matrix4::new_scaling(1.0 / 16.0);
        PreparedVolume::new(&Volume::new(size, voxels, matrix).unwrap(), true)
    }

    fn share_of_hits(volume: &PreparedVolume, origin: Vec3, direction: Vec3, limit: f32) -> f64 {
        let n = 20_000;
        let hits = (0..n).filter(|&i| {
            let sampler = Sampler::new(i, 3, 0, 1);
            let hit = volume.meet(origin, direction, limit, 0, &sampler, 0);
            hit.is_some_and(|hit| {
                assert!(hit.t < limit && hit.is_product);
                let [r, g, b] = hit.colour.array();
                assert!((r - 1.0).abs() < 1e-5 && g == 0.0 && (b - 0.5).abs() < 0.01);
                true
            })
        });
        hits.count() as f64 / f64::from(n)
    }

    #[test]
    fn light_falls_off_as_beer_and_lambert_say() {
        let volume = fog(20);
        let passed_by_voxel = 1.0 - 0.998 * 20.0 / 255.0;
        for (origin, direction, limit, voxels) in [
            (
                vec3(-1.0, 0.5, 0.5),
                vec3(1.0, 0.0, 0.0),
                f32::INFINITY,
                32.0,
            ),
            (vec3(1.0, 0.5, 3.0), vec3(0.0, 0.0, -1.0), 1e9, 16.0),
            (vec3(-1.0, 0.5, 0.5), vec3(1.0, 0.0, 0.0), 1.5, 8.0),
            (vec3(1.0, 0.5, 0.5), vec3(0.0, 0.6, -0.8), 9.0, 16.0 * 0.625),
        ] {
            let expected = 1.0 - f64::powf(passed_by_voxel, voxels);
            let share = share_of_hits(&volume, origin, direction, limit);
            assert!((share - expected).abs() < 0.012, "{share} {expected}");
        }
    }

    #[test]
    fn what_is_opaque_is_met_at_its_front_and_nothing_beside_it() {
        let volume = fog(255);
        let sampler = Sampler::new(0, 0, 0, 0);
        let from =
            |y: f32| volume.meet(vec3(-1.0, y, 0.5), vec3(1.0, 0.0, 0.0), 9.0, 0, &sampler, 0);
        assert!((from(0.5).unwrap().t - 1.0).abs() < 0.1);
        assert!(from(-0.1).is_none() && from(1.1).is_none());
        let away = volume.meet(
            vec3(-1.0, 0.5, 0.5),
            vec3(-1.0, 0.0, 0.0),
            9.0,
            0,
            &sampler,
            0,
        );
        assert!(away.is_none());
        assert_eq!(
            share_of_hits(&fog(0), vec3(-1.0, 0.5, 0.5), vec3(1.0, 0.0, 0.0), 9.0),
            0.0
        );
    }

    #[test]
    fn lattices_that_do_not_fit_are_refused() {
        assert!(Volume::new([2, 2, 2], vec![[0; 4]; 7], Matrix4::identity()).is_err());
        assert!(Volume::new([0, 2, 2], Vec::new(), Matrix4::identity()).is_err());
        assert!(Volume::new([1, 1, 1], vec![[0; 4]], Matrix4::zeros()).is_err());
    }
}
