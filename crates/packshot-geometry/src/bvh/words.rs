//! The tree as lists of words, for programs on other processors.

use super::Bvh;

/// A tree's nodes and blocks of triangles.
///
/// A node is seven rows of four words, a word a child: low x, y, z, high x, y, z (bits of floats;
/// an absent child's box is empty), and the children. A child with bit 31 set is a run of blocks:
/// bits 27 to 30 hold their number less one, the others the first; without it, the number of a
/// node; all bits set stand for none. The root is node 0. A block is ten rows, a word a triangle: x, y, z of
/// the first, second and third corners, and the triangles' numbers, all bits set for none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BvhWords {
    /// 28 words a node; empty for a tree without triangles.
    pub nodes: Vec<u32>,
    /// 40 words a block.
    pub blocks: Vec<u32>,
}

impl Bvh {
    /// The tree as words.
    pub fn words(&self) -> BvhWords {
        let mut nodes = Vec::with_capacity(self.nodes.len() * 28);
        for node in &self.nodes {
            for row in node.bounds {
                nodes.extend(row.to_array().map(f32::to_bits));
            }
            nodes.extend(node.children.map(|child| child.0));
        }
        let mut blocks = Vec::with_capacity(self.blocks.len() * 40);
        for block in &self.blocks {
            for row in block.corners.iter().flatten() {
                blocks.extend(row.to_array().map(f32::to_bits));
            }
            blocks.extend(block.triangles);
        }
        BvhWords { nodes, blocks }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mesh;

    #[test]
    fn words_hold_every_triangle_once() {
        let mut mesh = Mesh::default();
        for i in 0..9u32 {
            let x = i as f32;
            mesh.positions
                .extend([[x, 0.0, 0.0], [x + 0.5, 0.0, 0.0], [x, 0.5, 0.0]]);
            mesh.triangles.push([3 * i, 3 * i + 1, 3 * i + 2]);
        }
        let words = Bvh::new(&mesh).words();
        assert!(words.nodes.len() >= 28 && words.nodes.len().is_multiple_of(28));
        let mut found: Vec<u32> = (words.blocks.chunks_exact(40))
            .flat_map(|block| block[36..].iter().copied().filter(|&t| t != u32::MAX))
            .collect();
        found.sort_unstable();
        assert_eq!(found, (0..9).collect::<Vec<_>>());
        // Its first corners' x.
        let block = &words.blocks[..40];
        assert_eq!(f32::from_bits(block[0]), block[36] as f32);
        assert!(Bvh::new(&Mesh::default()).words().nodes.is_empty());
    }
}
