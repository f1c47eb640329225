//! Clouds in about three bytes a point.
//!
//! A pack has to be small, and a cloud in farthest-point order looks like noise to any compressor.
//! So the points are stored along a Morton curve (Morton 1966), where neighbours are close in
//! place and colour. The order needs no storage: sampling the farthest points of the set itself, from
//! the same first point, picks them in the order in which they were picked out of the dense cloud.
//!
//! Before Deflate, the bytes are: the number of points, the place of the first point on the curve and the steps along the
//! curve, as LEB128 integers; then three planes of steps in green, red − green and blue − green.

use packshot_core::{Error, Result};
use packshot_geometry::PointCloud;
use packshot_geometry::sampling::farthest_point_sample;

/// Bits of a coordinate: steps of 0.24 ‰ of the object's longest side, a 64th of a view's pixel.
const BITS: u32 = 12;
const LARGEST: u32 = (1 << BITS) - 1;
/// Largest number of bytes of a number, 7 bits each.
const MAX_VARINT: usize = 6;

/// Largest size of the code of `points` points.
pub(crate) fn max_code_bytes(points: usize) -> usize {
    (points + 2) * MAX_VARINT + points * 3
}

/// The code of a cloud whose coordinates are within [−0.5, 0.5]; those outside are clamped.
pub(crate) fn encode(cloud: &PointCloud) -> Vec<u8> {
    let codes: Vec<u64> = cloud
        .positions
        .iter()
        .map(|&p| morton(quantise(p)))
        .collect();
    let mut order: Vec<usize> = (0..codes.len()).collect();
    order.sort_by_key(|&i| codes[i]);
    let mut bytes = Vec::new();
    push_varint(&mut bytes, codes.len() as u64);
    let first = order.iter().position(|&i| i == 0).unwrap_or(0);
    push_varint(&mut bytes, first as u64);
    let mut last = 0;
    for &i in &order {
        push_varint(&mut bytes, codes[i] - last);
        last = codes[i];
    }
    let colours = cloud.colours.as_deref().unwrap_or_default();
    for plane in 0..3 {
        let mut last = 0u8;
        for &i in &order {
            let value = colours.get(i).map_or(0, |&colour| split(colour)[plane]);
            bytes.push(value.wrapping_sub(last));
            last = value;
        }
    }
    bytes
}

/// The cloud of a code, its points in farthest-point order.
///
/// # Errors
/// [`packshot_core::ErrorKind::BadInput`] for anything that [`encode`] does not write.
pub(crate) fn decode(bytes: &[u8], max_points: usize) -> Result<PointCloud> {
    let broken = || Error::bad_input("a cloud's code is broken");
    let mut rest = bytes;
    let count = read_varint(&mut rest).ok_or_else(broken)?;
    let first = read_varint(&mut rest).ok_or_else(broken)?;
    // Each point takes at least four bytes, so the file backs the memory.
    if count > max_points as u64 || count > rest.len() as u64 / 4 || (first >= count && count > 0) {
        return Err(broken());
    }
    let count = count as usize;
    let mut positions = Vec::with_capacity(count);
    let mut code = 0u64;
    for _ in 0..count {
        let step = read_varint(&mut rest).ok_or_else(broken)?;
        code = code
            .checked_add(step)
            .filter(|code| code >> (3 * BITS) == 0)
            .ok_or_else(broken)?;
        positions.push(place(code));
    }
    if rest.len() != count * 3 {
        return Err(broken());
    }
    let mut last = [0u8; 3];
    let colours = (0..count)
        .map(|i| {
            for (plane, last) in last.iter_mut().enumerate() {
                *last = last.wrapping_add(rest[plane * count + i]);
            }
            join(last)
        })
        .collect();
    let cloud = PointCloud {
        positions,
        colours: Some(colours),
        normals: None,
    };
    Ok(cloud.select(&farthest_order(&cloud.positions, first as usize)))
}

/// All indices in farthest-point order.
fn farthest_order(points: &[[f32; 3]], first: usize) -> Vec<usize> {
    // Asked for all points, the sampler gives them as they are; the last one is what is left.
    let mut order = match points.len() {
        0 | 1 => Vec::new(),
        n => farthest_point_sample(points, n - 1, first),
    };
    let mut picked = vec![false; points.len()];
    for &i in &order {
        picked[i] = true;
    }
    order.extend((0..points.len()).filter(|&i| !picked[i]));
    order
}

/// Green, and what red and blue have more: neighbours of one material differ in brightness most.
fn split([r, g, b]: [u8; 3]) -> [u8; 3] {
    [g, r.wrapping_sub(g), b.wrapping_sub(g)]
}

fn join([g, r, b]: [u8; 3]) -> [u8; 3] {
    [r.wrapping_add(g), g, b.wrapping_add(g)]
}

fn quantise(position: [f32; 3]) -> [u32; 3] {
    // The cast takes NaN to 0.
    position.map(|v| ((v + 0.5).clamp(0.0, 1.0) * LARGEST as f32).round_ties_even() as u32)
}

/// Interleaves the bits of three coordinates, x lowest.
fn morton(coordinates: [u32; 3]) -> u64 {
    let mut code = 0;
    for bit in 0..BITS {
        for (axis, &v) in coordinates.iter().enumerate() {
            code |= u64::from(v >> bit & 1) << (3 * bit + axis as u32);
        }
    }
    code
}

fn place(code: u64) -> [f32; 3] {
    std::array::from_fn(|axis| {
        let coordinate = (0..BITS).fold(0u32, |v, bit| {
            v | ((code >> (3 * bit + axis as u32) & 1) as u32) << bit
        });
        coordinate as f32 / LARGEST as f32 - 0.5
    })
}

fn push_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for i in 0..MAX_VARINT {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use packshot_core::{NoiseKey, NoiseStream, Seed, Stage};

    /// A cloud in farthest-point order on a bent surface.
    fn cloud(points: usize) -> PointCloud {
        let key = NoiseKey {
            candidate: 0,
            stage: Stage::Data,
            step: 0,
        };
        let mut noise = NoiseStream::new(Seed(3), key);
        let mut dense = PointCloud::default();
        let mut colours = Vec::new();
        for _ in 0..points * 8 {
            let (u, v) = (noise.uniform_in(-0.5, 0.5), noise.uniform_in(-0.5, 0.5));
            dense.positions.push([u, v, u * u - v * 0.3]);
            colours.push([200, (u * 250.0) as i32 as u8, noise.below(20) as u8]);
        }
        dense.colours = Some(colours);
        dense.select(&farthest_point_sample(&dense.positions, points, 5))
    }

    #[test]
    fn order_place_and_colour_come_back() {
        let cloud = cloud(500);
        let code = encode(&cloud);
        assert!(code.len() <= max_code_bytes(500));
        let back = decode(&code, 500).unwrap();
        assert_eq!(back.len(), 500);
        let step = 1.0 / LARGEST as f32;
        let near = |a: &[f32; 3], b: &[f32; 3]| {
            a.iter().zip(b).all(|(a, b)| (a - b).abs() <= step * 0.501)
        };
        // Rounding may swap points that are picked at almost the same distance.
        let same = |i: usize| {
            near(&cloud.positions[i], &back.positions[i])
                && cloud.colours.as_ref().unwrap()[i] == back.colours.as_ref().unwrap()[i]
        };
        assert!(same(0));
        assert!((0..50).filter(|&i| same(i)).count() >= 45);
        let sorted = |cloud: &PointCloud| {
            let mut codes: Vec<_> = std::iter::zip(
                cloud.positions.iter().map(|&p| morton(quantise(p))),
                cloud.colours.clone().unwrap(),
            )
            .collect();
            codes.sort_unstable();
            codes
        };
        assert_eq!(sorted(&cloud), sorted(&back));
    }

    #[test]
    fn empty_and_single_clouds() {
        for points in [0, 1, 2] {
            let cloud = cloud(2).select(&(0..points).collect::<Vec<_>>());
            assert_eq!(decode(&encode(&cloud), 2).unwrap().len(), points);
        }
    }

    #[test]
    fn broken_codes_are_refused() {
        let code = encode(&cloud(40));
        for length in 0..code.len() {
            assert!(decode(&code[..length], 40).is_err(), "{length}");
        }
        assert!(decode(&code, 39).is_err());
        // A count without bytes behind it, a first point outside, a code beyond the cube.
        assert!(decode(&[0xff, 0xff, 0x03, 0], 1 << 16).is_err());
        assert!(decode(&[1, 1, 0, 0, 0, 0], 10).is_err());
        assert!(decode(&[1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0, 0], 10).is_err());
        // Any single changed byte gives a cloud or an error.
        for i in 0..code.len() {
            let mut code = code.clone();
            code[i] ^= 0x91;
            if let Ok(cloud) = decode(&code, 40) {
                cloud.validate().unwrap();
            }
        }
    }
}
