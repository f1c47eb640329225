//! The triangles of a cube, derived from the signs of its corners when they are first needed.
//!
//! On each face of the cube the surface is cut into segments between the face's crossed edges. A
//! face with two crossed diagonals can be cut in two ways; which one holds is given from outside as
//! one bit a face, decided from the four values of that face alone, so that the cube on the other
//! side decides alike and the surface stays closed. The segments join to loops around the inside,
//! and each loop is cut into triangles.
//!
//! Corners are numbered by their coordinates: bit 0 is x, bit 1 y, bit 2 z. Edges are numbered
//! `4 · axis + k`.

use std::sync::LazyLock;

/// The two corners of each edge, the lower one first.
pub(super) const EDGES: [[u8; 2]; 12] = [
    [0, 1],
    [2, 3],
    [4, 5],
    [6, 7],
    [0, 2],
    [1, 3],
    [4, 6],
    [5, 7],
    [0, 4],
    [1, 5],
    [2, 6],
    [3, 7],
];

/// The corners of each face, counter-clockwise seen from outside of the cube: −x, +x, −y, +y, −z, +z.
pub(super) const FACES: [[u8; 4]; 6] = [
    [0, 4, 6, 2],
    [1, 3, 7, 5],
    [0, 1, 5, 4],
    [2, 6, 7, 3],
    [0, 2, 3, 1],
    [4, 5, 7, 6],
];

/// A corner of a triangle that is the middle of its loop rather than a place on an edge; the
/// number of the loop is added.
pub(super) const MIDDLE: u8 = 12;

/// The surface in a cube.
#[derive(Clone, Debug, Default)]
pub(super) struct Case {
    /// Corners: edges of the cube, or [`MIDDLE`] plus a loop.
    pub triangles: Vec<[u8; 3]>,
    /// Edges of the loops that have a middle; empty for the others.
    pub loops: Vec<Vec<u8>>,
}

/// All cases by signs and choices.
pub(super) struct Cases {
    /// Index into `cases` for `signs << 6 | joined`.
    index: Vec<u16>,
    cases: Vec<Case>,
}

/// The table.
pub(super) static CASES: LazyLock<Cases> = LazyLock::new(Cases::new);

impl Cases {
    fn new() -> Self {
        let mut index = vec![0u16; 256 << 6];
        let mut cases = Vec::new();
        for signs in 0..=255u8 {
            let ambiguous = ambiguous_faces(signs);
            for joined in 0..64u8 {
                let at = |joined: u8| usize::from(signs) << 6 | usize::from(joined);
                if joined & !ambiguous == 0 {
                    index[at(joined)] = cases.len() as u16;
                    cases.push(case(signs, joined));
                } else {
                    // Bits of other faces mean nothing; the case without them came before.
                    index[at(joined)] = index[at(joined & ambiguous)];
                }
            }
        }
        Self { index, cases }
    }

    /// The surface of a cube: bit c of `signs` says that corner c is inside, bit f of `joined` that
    /// the inside corners of face f, if it is ambiguous, are joined across it.
    pub(super) fn get(&self, signs: u8, joined: u8) -> &Case {
        let at = usize::from(signs) << 6 | usize::from(joined & 63);
        &self.cases[usize::from(self.index[at])]
    }
}

/// The faces on which diagonally opposite corners agree and neighbours do not, as bits.
pub(super) fn ambiguous_faces(signs: u8) -> u8 {
    let inside = |corner: u8| signs >> corner & 1;
    FACES.iter().enumerate().fold(0, |bits, (f, face)| {
        let [a, b, c, d] = face.map(inside);
        bits | u8::from(a == c && b == d && a != b) << f
    })
}

fn edge_between(a: u8, b: u8) -> u8 {
    let ends = [a.min(b), a.max(b)];
    EDGES.iter().position(|edge| *edge == ends).unwrap_or(0) as u8
}

fn case(signs: u8, joined: u8) -> Case {
    let mut case = Case::default();
    for (number, edges) in loops(signs, joined).into_iter().enumerate() {
        match triangulate(&edges) {
            Some(triangles) => {
                case.triangles.extend(triangles);
                case.loops.push(Vec::new());
            }
            None => {
                let middle = MIDDLE + number as u8;
                for (i, &edge) in edges.iter().enumerate() {
                    case.triangles
                        .push([edge, edges[(i + 1) % edges.len()], middle]);
                }
                case.loops.push(edges);
            }
        }
    }
    case
}

/// Where the surface goes from each crossed edge, and with that its loops: on each face, walked
/// counter-clockwise, from an edge that enters the inside to one that leaves it. The
/// neighbour walks the face the other way round, so that loops of neighbours run against each
/// other, as the triangles of an oriented surface do.
fn loops(signs: u8, joined: u8) -> Vec<Vec<u8>> {
    let inside = |corner: u8| signs >> corner & 1 == 1;
    let mut next = [u8::MAX; 12];
    for (f, face) in FACES.iter().enumerate() {
        let leaves = |i: usize| inside(face[i % 4]) && !inside(face[(i + 1) % 4]);
        let enters = |i: usize| !inside(face[i % 4]) && inside(face[(i + 1) % 4]);
        let edge = |i: usize| edge_between(face[i % 4], face[(i + 1) % 4]);
        for i in (0..4).filter(|&i| leaves(i)) {
            // Around the outside corners, when the inside is joined, else around the inside corner.
            let is_joined = joined >> f & 1 == 1;
            let order: [usize; 3] = if is_joined { [1, 2, 3] } else { [3, 2, 1] };
            if let Some(step) = order.into_iter().find(|&step| enters(i + step)) {
                next[usize::from(edge(i + step))] = edge(i);
            }
        }
    }
    let mut all = Vec::new();
    let mut seen = [false; 12];
    for start in 0..12u8 {
        if next[usize::from(start)] == u8::MAX || seen[usize::from(start)] {
            continue;
        }
        let mut edges = Vec::new();
        let mut edge = start;
        while !seen[usize::from(edge)] {
            seen[usize::from(edge)] = true;
            edges.push(edge);
            edge = next[usize::from(edge)];
        }
        all.push(edges);
    }
    all
}

/// Cuts a loop into triangles of the least area, for edges crossed in their middles, without a cut
/// inside a face of the cube: the neighbour could make the same cut, and four triangles would meet
/// there. `None` when there is no such way.
fn triangulate(edges: &[u8]) -> Option<Vec<[u8; 3]>> {
    let n = edges.len();
    let mut best = vec![vec![(0.0f32, 0usize); n]; n];
    for length in 2..n {
        for first in 0..n - length {
            let last = first + length;
            best[first][last] = (first + 1..last)
                .map(|between| {
                    let cuts = [(first, between), (between, last)];
                    let forbidden = cuts
                        .iter()
                        .any(|&(i, j)| j - i > 1 && share_a_face(edges[i], edges[j]));
                    let area = area([edges[first], edges[between], edges[last]]);
                    let rest = best[first][between].0 + best[between][last].0;
                    (
                        if forbidden {
                            f32::INFINITY
                        } else {
                            area + rest
                        },
                        between,
                    )
                })
                .min_by(|a, b| a.0.total_cmp(&b.0))?;
        }
    }
    if !best[0][n - 1].0.is_finite() {
        return None;
    }
    let mut triangles = Vec::with_capacity(n - 2);
    let mut stack = vec![(0, n - 1)];
    while let Some((first, last)) = stack.pop() {
        if last - first < 2 {
            continue;
        }
        let between = best[first][last].1;
        triangles.push([edges[first], edges[between], edges[last]]);
        stack.push((first, between));
        stack.push((between, last));
    }
    Some(triangles)
}

fn share_a_face(a: u8, b: u8) -> bool {
    let on = |face: &[u8; 4], edge: u8| EDGES[usize::from(edge)].iter().all(|c| face.contains(c));
    FACES.iter().any(|face| on(face, a) && on(face, b))
}

fn area(corners: [u8; 3]) -> f32 {
    let [a, b, c] = corners.map(|edge| {
        let [low, high] = EDGES[usize::from(edge)];
        let at = |axis: u8| 0.5 * f32::from((low >> axis & 1) + (high >> axis & 1));
        nalgebra::Vector3::new(at(0), at(1), at(2))
    });
    0.5 * (b - a).cross(&(c - a)).norm()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn every_case_covers_each_crossed_edge_and_closes_against_its_faces() {
        for signs in 0..=255u8 {
            let crossed: Vec<u8> = (0..12u8)
                .filter(|&e| {
                    let [a, b] = EDGES[usize::from(e)];
                    (signs >> a ^ signs >> b) & 1 == 1
                })
                .collect();
            for joined in 0..64u8 {
                let case = CASES.get(signs, joined);
                let mut used: Vec<u8> = case.triangles.iter().flatten().copied().collect();
                used.retain(|&e| e < MIDDLE);
                used.sort_unstable();
                used.dedup();
                assert_eq!(used, crossed, "{signs:08b} {joined:06b}");
                // A side of a triangle is met once from the other side, or lies in a face.
                let mut sides: HashMap<(u8, u8), i32> = HashMap::new();
                for t in &case.triangles {
                    for i in 0..3 {
                        *sides.entry((t[i], t[(i + 1) % 3])).or_default() += 1;
                    }
                }
                for (&(a, b), &count) in &sides {
                    assert_eq!(count, 1);
                    let back = sides.contains_key(&(b, a));
                    let on_face = a < MIDDLE && b < MIDDLE && share_a_face(a, b);
                    assert!(back != on_face, "{signs:08b} {joined:06b} {a} {b}");
                }
            }
        }
    }
}
