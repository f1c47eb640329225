//! Lines of scattered points: ordered, without twigs.

use crate::nearest::KdTree;
use nalgebra::Vector3;

/// Joins the points to lines: nodes about `spacing` apart, joined where they are nearer than
/// `reach` (the shortest tree), parted where lines meet. Twigs shorter than `twig` are left out, as
/// are lines that are no longer.
///
/// Each line is a list of places; those that meet share their end.
pub(super) fn trace(
    points: &[Vector3<f32>],
    spacing: f32,
    reach: f32,
    twig: f32,
) -> Vec<Vec<Vector3<f32>>> {
    let nodes = thinned(points, spacing);
    let mut joined = shortest_forest(&nodes, reach);
    cut_twigs(&nodes, &mut joined, twig);
    split(&joined)
        .into_iter()
        .map(|line| line.into_iter().map(|n| nodes[n]).collect::<Vec<_>>())
        .filter(|line| length(line) > twig)
        .collect()
}

pub(super) fn length(line: &[Vector3<f32>]) -> f32 {
    line.windows(2).map(|w| (w[1] - w[0]).norm()).sum()
}

/// Points at least `spacing` apart, each the mean of those near it.
fn thinned(points: &[Vector3<f32>], spacing: f32) -> Vec<Vector3<f32>> {
    let flat: Vec<[f32; 3]> = points.iter().map(|&p| p.into()).collect();
    let tree = KdTree::new(&flat);
    let mut taken = vec![false; points.len()];
    let mut nodes = Vec::new();
    for i in 0..points.len() {
        if taken[i] {
            continue;
        }
        for n in tree.within(flat[i], spacing) {
            taken[n.index] = true;
        }
        let close = tree.within(flat[i], 0.5 * spacing);
        let sum: Vector3<f32> = close.iter().map(|n| points[n.index]).sum();
        nodes.push(sum / close.len().max(1) as f32);
    }
    nodes
}

/// Neighbours of each node in the forest of the shortest edges (Kruskal).
fn shortest_forest(nodes: &[Vector3<f32>], reach: f32) -> Vec<Vec<usize>> {
    let flat: Vec<[f32; 3]> = nodes.iter().map(|&p| p.into()).collect();
    let tree = KdTree::new(&flat);
    let mut edges: Vec<(f32, usize, usize)> = Vec::new();
    for (i, &at) in flat.iter().enumerate() {
        let near = tree.within(at, reach);
        edges.extend(
            near.iter()
                .filter(|n| n.index > i)
                .map(|n| (n.distance2, i, n.index)),
        );
    }
    edges.sort_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let mut group: Vec<usize> = (0..nodes.len()).collect();
    fn root(group: &mut [usize], mut of: usize) -> usize {
        while group[of] != of {
            group[of] = group[group[of]];
            of = group[of];
        }
        of
    }
    let mut joined = vec![Vec::new(); nodes.len()];
    for (_, a, b) in edges {
        let (ra, rb) = (root(&mut group, a), root(&mut group, b));
        if ra != rb {
            group[ra] = rb;
            joined[a].push(b);
            joined[b].push(a);
        }
    }
    joined
}

/// Removes branches that end before they are `twig` long, the shortest first.
fn cut_twigs(nodes: &[Vector3<f32>], joined: &mut [Vec<usize>], twig: f32) {
    loop {
        let mut shortest: Option<(f32, Vec<usize>)> = None;
        for leaf in 0..nodes.len() {
            if joined[leaf].len() != 1 {
                continue;
            }
            let (mut branch, mut long, mut before, mut at) =
                (vec![leaf], 0.0, leaf, joined[leaf][0]);
            loop {
                long += (nodes[at] - nodes[before]).norm();
                if joined[at].len() != 2 || long > twig {
                    break;
                }
                branch.push(at);
                let next = joined[at][usize::from(joined[at][0] == before)];
                (before, at) = (at, next);
            }
            // A whole line is none.
            let ends_at_fork = joined[at].len() > 2;
            if ends_at_fork && long <= twig && shortest.as_ref().is_none_or(|(s, _)| long < *s) {
                shortest = Some((long, branch));
            }
        }
        let Some((_, branch)) = shortest else { return };
        for node in branch {
            for other in std::mem::take(&mut joined[node]) {
                joined[other].retain(|&n| n != node);
            }
        }
    }
}

/// Lines between ends and forks.
fn split(joined: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut lines = Vec::new();
    for start in 0..joined.len() {
        if joined[start].is_empty() || joined[start].len() == 2 {
            continue;
        }
        for &first in &joined[start] {
            let mut line = vec![start, first];
            let (mut before, mut at) = (start, first);
            while joined[at].len() == 2 {
                let next = joined[at][usize::from(joined[at][0] == before)];
                (before, at) = (at, next);
                line.push(at);
            }
            // Each is met from both of its ends.
            if start < at {
                lines.push(line);
            }
        }
    }
    lines
}
