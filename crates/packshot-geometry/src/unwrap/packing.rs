//! Boxes in a square.

/// Where charts lie in a texture.
pub(super) struct Layout {
    /// Scale of all charts.
    pub texels_per_m: f32,
    /// Lower corner of each chart, in texels, inside of its gutter.
    pub corners: Vec<[f32; 2]>,
}

/// Packs boxes (sides in metres) with `gutter` texels around each into a square of `size` texels,
/// at the largest scale that rows of falling height allow. `None` when there are too many.
pub(super) fn pack(boxes: &[[f32; 2]], size: usize, gutter: usize) -> Option<Layout> {
    let mut order: Vec<usize> = (0..boxes.len()).collect();
    order.sort_by(|&a, &b| boxes[b][1].total_cmp(&boxes[a][1]).then(a.cmp(&b)));
    let area: f32 = boxes.iter().map(|b| b[0] * b[1]).sum();
    let longest = boxes.iter().map(|b| b[0].max(b[1])).fold(0.0, f32::max);
    let room = size.saturating_sub(2 * gutter + 1) as f32;
    // No scale can be larger than this.
    let mut high = (size as f32 / area.sqrt()).min(room / longest);
    if !high.is_finite() {
        high = 1.0;
    }
    let mut low = 0.0;
    let mut best = None;
    for _ in 0..40 {
        let scale = match &best {
            None if low == 0.0 => high,
            _ => 0.5 * (low + high),
        };
        match rows(boxes, &order, scale, size, gutter) {
            Some(corners) => {
                low = scale;
                best = Some(Layout {
                    texels_per_m: scale,
                    corners,
                });
            }
            None if best.is_none() => high *= 0.8,
            None => high = scale,
        }
    }
    best
}

/// Fills rows from the top, each as high as its first box.
fn rows(
    boxes: &[[f32; 2]],
    order: &[usize],
    scale: f32,
    size: usize,
    gutter: usize,
) -> Option<Vec<[f32; 2]>> {
    let mut corners = vec![[0.0; 2]; boxes.len()];
    let (mut x, mut y, mut height) = (0, 0, 0);
    for &i in order {
        // One texel more, so that the middle of the last one is inside.
        let [wide, high] = boxes[i].map(|side| (side * scale).ceil() as usize + 1 + 2 * gutter);
        if x + wide > size {
            (x, y, height) = (0, y + height, 0);
        }
        height = height.max(high);
        if wide > size || y + height > size {
            return None;
        }
        corners[i] = [x, y].map(|v| (v + gutter) as f32 + 0.5);
        x += wide;
    }
    Some(corners)
}
