use super::*;
use crate::SurfacePoint;
use crate::testing::{bumpy_sphere, noise};

fn red_above(p: [f32; 3]) -> [f32; 3] {
    if p[2] > 0.0 {
        [0.6, 0.05, 0.05]
    } else {
        [0.05, 0.05, 0.6]
    }
}

#[test]
fn every_triangle_has_a_place_of_its_own_in_proportion() {
    let mesh = bumpy_sphere(24);
    let size = 256;
    let flat = unwrap(&mesh, size).unwrap();
    flat.validate().unwrap();
    let uvs = flat.uvs.as_ref().unwrap();
    assert!(uvs.iter().flatten().all(|v| (0.0..=1.0).contains(v)));
    let mut owner = vec![u32::MAX; size * size];
    let mut shares = Vec::new();
    for (t, &corners) in flat.triangles.iter().enumerate() {
        for (new, old) in corners.iter().zip(mesh.triangles[t]) {
            assert_eq!(flat.positions[*new as usize], mesh.positions[old as usize]);
        }
        let [a, b, c] = corners.map(|v| uvs[v as usize]);
        let area = 0.5 * ((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])).abs();
        shares.push(area / mesh.triangle_area(t as u32));
        let places = [a, b, c].map(|uv| uv.map(|v| v * size as f32));
        charts::for_each_middle(&places, [size, size], |x, y, weights| {
            if weights.iter().all(|&w| w > 0.01) {
                assert_eq!(owner[y * size + x], u32::MAX, "texel {x} {y}");
                owner[y * size + x] = t as u32;
            }
        });
    }
    shares.sort_by(f32::total_cmp);
    // A projection shortens to the cosine at most.
    assert!(shares[0] > 0.2 * shares[shares.len() - 1]);
    let used = owner.iter().filter(|&&o| o != u32::MAX).count();
    assert!(used * 4 > size * size, "{used}");
    assert!(unwrap(&Mesh::default(), size).is_err());
    assert!(unwrap(&mesh, 10).is_err());
}

#[test]
fn a_baked_texture_shows_the_colours_of_the_surface() {
    let mesh = bumpy_sphere(24);
    let mut flat = unwrap(&mesh, 256).unwrap();
    bake(&mut flat, 256, |p, _| red_above(p)).unwrap();
    flat.validate().unwrap();
    let mut random = noise(4);
    let places: Vec<SurfacePoint> = flat.sample_surface(3000, &mut random);
    let mut wrong = 0;
    for place in places {
        let p = flat.position_at(place).unwrap();
        let [r, _, b, a] = flat.base_colour(place);
        assert_eq!(a, 1.0);
        let expected = red_above(p.into());
        if p.z.abs() > 0.06 && ((r - expected[0]).abs() > 0.02 || (b - expected[2]).abs() > 0.02) {
            wrong += 1;
        }
    }
    assert_eq!(wrong, 0);
    assert!(bake(&mut mesh.clone(), 256, |p, _| red_above(p)).is_err());
}

#[test]
fn a_spiral_ramp_does_not_cover_itself() {
    let mut ramp = Mesh::default();
    for i in 0..=120u32 {
        let angle = i as f32 * 0.15;
        for radius in [0.4, 1.0] {
            ramp.positions
                .push([radius * angle.cos(), radius * angle.sin(), 0.02 * i as f32]);
        }
        if i > 0 {
            let at = 2 * i;
            ramp.triangles.push([at - 2, at - 1, at + 1]);
            ramp.triangles.push([at - 2, at + 1, at]);
        }
    }
    let mut flat = unwrap(&ramp, 256).unwrap();
    // Three rounds of colours, one above the other.
    let by_height = |p: [f32; 3]| [p[2] / 2.4, 0.5, 0.5];
    bake(&mut flat, 256, |p, _| by_height(p)).unwrap();
    for t in 0..flat.triangles.len() as u32 {
        let place = SurfacePoint {
            triangle: t,
            barycentric: [1.0 / 3.0; 3],
        };
        let expected = by_height(flat.position_at(place).unwrap().into())[0];
        assert!((flat.base_colour(place)[0] - expected).abs() < 0.05);
    }
}
