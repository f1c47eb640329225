//! What is at the place where a ray meets a triangle.

use crate::material::{NONE, PreparedMaterial};
use crate::prepared::PreparedScene;
use crate::texture::linear_rgba;
use crate::vector::{Vec3, ZERO, cross, dot, normalize, splat, vec3};
use packshot_geometry::Hit;

/// Share of a coordinate that single precision may be off by, times a margin.
const RELATIVE_OFFSET: f32 = 2e-6;

/// A place on a surface.
pub(crate) struct Surface<'a> {
    pub(crate) position: Vec3,
    /// Normal of the triangle, towards the viewer.
    pub(crate) flat_normal: Vec3,
    /// Normal for shading, towards the viewer too, without and with the normal map.
    pub(crate) smooth_normal: Vec3,
    pub(crate) normal: Vec3,
    pub(crate) base: Vec3,
    pub(crate) metallic: f32,
    pub(crate) roughness: f32,
    pub(crate) emission: Vec3,
    pub(crate) material: &'a PreparedMaterial,
    /// Where rays that leave on the viewer's side start.
    pub(crate) start: Vec3,
}

impl PreparedScene {
    /// Linear base colour and alpha at a hit.
    pub(crate) fn base_colour(&self, hit: &Hit, material: &PreparedMaterial) -> (Vec3, f32) {
        let (mut colour, mut alpha) = (material.base, material.alpha);
        if material.base_texture.texture != NONE
            && let Some(uv) = self.uv(hit, material)
        {
            let slot = &material.base_texture;
            let (rgb, a) = self
                .geometry
                .textures
                .bilinear(slot.texture, slot.uv(uv), true);
            colour *= rgb;
            alpha *= a;
        }
        if let Some(shift) = material.attributes.colours {
            let corners = self.geometry.triangles[hit.triangle as usize];
            let (mut rgb, mut a) = (ZERO, 0.0);
            for (corner, weight) in corners.into_iter().zip(hit.barycentric) {
                let packed = self.geometry.colours[corner.wrapping_add(shift) as usize];
                let (c, alpha) = linear_rgba(packed);
                rgb += c * weight;
                a += alpha * weight;
            }
            colour *= rgb;
            alpha *= a;
        }
        (colour, alpha)
    }

    #[inline(always)]
    fn uv(&self, hit: &Hit, material: &PreparedMaterial) -> Option<[f32; 2]> {
        let shift = material.attributes.uvs?;
        let corners = self.geometry.triangles[hit.triangle as usize];
        let mut uv = [0.0; 2];
        for (corner, weight) in corners.into_iter().zip(hit.barycentric) {
            let at = self.geometry.uvs[corner.wrapping_add(shift) as usize];
            uv[0] += at[0] * weight;
            uv[1] += at[1] * weight;
        }
        Some(uv)
    }

    /// The surface at a hit of a ray with unit `direction`.
    pub(crate) fn surface(&self, hit: &Hit, direction: Vec3) -> Surface<'_> {
        let g = &self.geometry;
        let corners = g.triangles[hit.triangle as usize];
        let material = &g.materials[g.triangle_materials[hit.triangle as usize] as usize];
        let [a, b, c] = corners.map(|i| Vec3::from(g.positions[i as usize]));
        let [u, v, w] = hit.barycentric;
        let position = a * u + b * v + c * w;
        let mut flat_normal = normalize(cross(b - a, c - a));
        if !flat_normal.is_finite() {
            flat_normal = -direction;
        }
        let side = if dot(flat_normal, direction) > 0.0 {
            -1.0
        } else {
            1.0
        };
        flat_normal = flat_normal * side;
        let mut normal = flat_normal;
        let mut raised = position;
        if let Some(shift) = material.attributes.normals {
            let [na, nb, nc] =
                corners.map(|i| Vec3::from(g.normals[i.wrapping_add(shift) as usize]) * side);
            let smooth = normalize(na * u + nb * v + nc * w);
            if smooth.is_finite() && dot(smooth, flat_normal) > 0.0 {
                normal = smooth;
                // Up to the curved surface that the normals mean: no facets at the edge of light
                // (Hanika, "Hacking the shadow terminator", 2021).
                let lift = |corner: Vec3, n: Vec3| n * dot(position - corner, n).min(0.0);
                raised = position - (lift(a, na) * u + lift(b, nb) * v + lift(c, nc) * w);
            }
        }
        let smooth_normal = normal;
        let needs_uv = material.metallic_roughness_texture.texture
            & material.normal_texture.texture
            & material.emissive_texture.texture
            != NONE;
        let uv = if needs_uv {
            self.uv(hit, material).unwrap_or([0.0; 2])
        } else {
            [0.0; 2]
        };
        if material.normal_texture.texture != NONE
            && let Some(shift) = material.attributes.tangents
        {
            normal = self.bump(material, corners, hit.barycentric, shift, uv, normal, side);
        }
        normal = keep_visible(normal, flat_normal, direction);
        let [metallic, roughness] = material.metallic_roughness(uv, &g.textures);
        let mut emission = material.emissive;
        if material.emissive_texture.texture != NONE {
            let slot = &material.emissive_texture;
            emission *= g.textures.bilinear(slot.texture, slot.uv(uv), true).0;
        }
        // The corners', not the place's: where a ray meets a triangle is as uncertain as they are far,
        // and on the long strips of a bend rays would meet the strip that they start from.
        let reach = [a, b, c].map(Vec3::reach).into_iter().fold(0.0, f32::max);
        let offset = (RELATIVE_OFFSET * reach).max(self.least_offset_m);
        Surface {
            position,
            flat_normal,
            smooth_normal,
            normal,
            base: self.base_colour(hit, material).0,
            metallic,
            roughness,
            emission,
            material,
            start: raised + flat_normal * offset,
        }
    }

    /// The normal that the material's normal texture makes of `normal`.
    #[allow(
        clippy::too_many_arguments,
        reason = "the shader's function of this name takes the same"
    )]
    fn bump(
        &self,
        material: &PreparedMaterial,
        corners: [u32; 3],
        barycentric: [f32; 3],
        shift: u32,
        uv: [f32; 2],
        normal: Vec3,
        side: f32,
    ) -> Vec3 {
        let mut sum = ZERO;
        let mut sign = 1.0;
        for (corner, weight) in corners.into_iter().zip(barycentric) {
            let [x, y, z, s] = self.geometry.tangents[corner.wrapping_add(shift) as usize];
            sum += vec3(x, y, z) * weight;
            sign = s;
        }
        // The frame belongs to the front; what is seen from behind is its mirror image.
        let front = normal * side;
        let tangent = normalize(sum - front * dot(front, sum));
        let bitangent = cross(front, tangent) * sign;
        let slot = &material.normal_texture;
        let (texel, _) = self
            .geometry
            .textures
            .bilinear(slot.texture, slot.uv(uv), false);
        let n = texel * 2.0 - splat(1.0);
        let scale = material.normal_scale;
        let bumped = tangent * (n.x * scale) + bitangent * (n.y * scale) + front * n.z;
        let bumped = normalize(bumped) * side;
        if bumped.is_finite() { bumped } else { normal }
    }
}

/// Bends a shading normal towards the triangle's until the mirror image of the viewer lies above
/// the surface, so that bumps seen at a low angle do not turn black.
///
/// In the plane of both normals, with the viewer's direction at the angle δ from the triangle's
/// normal and of length m there, a normal at the angle φ mirrors it to the height m cos(2φ − δ).
#[inline(always)]
fn keep_visible(normal: Vec3, flat_normal: Vec3, direction: Vec3) -> Vec3 {
    let to_viewer = -direction;
    let height = dot(to_viewer, flat_normal);
    let least = (0.9 * height).min(0.01);
    let upright = dot(normal, flat_normal);
    let mirrored = normal * (2.0 * dot(normal, to_viewer)) - to_viewer;
    if upright > 0.0 && dot(mirrored, flat_normal) >= least {
        return normal;
    }
    let across = normalize(normal - flat_normal * upright);
    let along = dot(to_viewer, across);
    let length = (along * along + height * height).sqrt();
    let angle = 0.5 * (along.atan2(height) + (least / length).clamp(-1.0, 1.0).acos());
    let bent = across * angle.sin() + flat_normal * angle.cos();
    if bent.is_finite() { bent } else { flat_normal }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bent_normals_mirror_the_viewer_above_the_surface() {
        let flat = vec3(0.0, 0.0, 1.0);
        for height in [0.001f32, 0.05, 0.4, 0.9] {
            let r = (1.0 - height * height).sqrt();
            let direction = vec3(-r, 0.0, -height);
            for i in 0..64 {
                let phi = i as f32 * 0.4;
                let normal = normalize(vec3(phi.cos(), phi.sin(), 0.3 - 0.01 * i as f32));
                let bent = keep_visible(normal, flat, direction);
                let cos = -dot(bent, direction);
                let up = (bent * (2.0 * cos) + direction).z;
                assert!((dot(bent, bent) - 1.0).abs() < 1e-5);
                assert!(cos > 0.0 && up >= (0.9 * height).min(0.01) - 1e-5, "{up}");
            }
        }
        // What is fine stays.
        let fine = normalize(vec3(0.1, 0.0, 1.0));
        assert_eq!(keep_visible(fine, flat, vec3(0.0, 0.0, -1.0)), fine);
    }
}
