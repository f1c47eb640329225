//! Between the worlds and axes of other programs.
//!
//! Poses are the upper three rows of `world_from_camera`: three axes, then the position.

/// The upper three rows of a pose.
pub type Pose = [[f64; 4]; 3];

/// The pose of a COLMAP image, which stores the rotation (w, x, y, z) and translation from the world
/// to the camera. The camera's axes are OpenCV's: x right, y down, z forward.
pub fn from_colmap([w, x, y, z]: [f64; 4], t: [f64; 3]) -> Pose {
    let n = (w * w + x * x + y * y + z * z).sqrt();
    let [w, x, y, z] = [w / n, x / n, y / n, z / n];
    // Rows of the rotation from the world to the camera.
    let r = [
        [
            1.0 - 2.0 * (y * y + z * z),
            2.0 * (x * y - w * z),
            2.0 * (x * z + w * y),
        ],
        [
            2.0 * (x * y + w * z),
            1.0 - 2.0 * (x * x + z * z),
            2.0 * (y * z - w * x),
        ],
        [
            2.0 * (x * z - w * y),
            2.0 * (y * z + w * x),
            1.0 - 2.0 * (x * x + y * y),
        ],
    ];
    std::array::from_fn(|i| {
        let position = -(r[0][i] * t[0] + r[1][i] * t[1] + r[2][i] * t[2]);
        [r[0][i], r[1][i], r[2][i], position]
    })
}

/// OpenCV's axes (y down, z forward) to OpenGL's (y up, z back), or back.
pub fn flip_camera(pose: Pose) -> Pose {
    pose.map(|[x, y, z, t]| [x, -y, -z, t])
}

/// LLFF's axes (down, right, back) to OpenGL's (right, up, back).
pub fn from_llff(pose: Pose) -> Pose {
    pose.map(|[down, right, back, t]| [right, -down, back, t])
}

/// COLMAP's world to nerfstudio's: `(x, z, −y)`.
pub fn nerfstudio_world(pose: Pose) -> Pose {
    [pose[0], pose[2], pose[1].map(|v| -v)]
}

/// COLMAP's world to that of instant-ngp's script: `(y, x, −z)`.
pub fn instant_ngp_world(pose: Pose) -> Pose {
    [pose[1], pose[0], pose[2].map(|v| -v)]
}

/// Moves `centre` to the origin, then scales positions.
pub fn move_and_scale(poses: &mut [Pose], centre: [f64; 3], scale: f64) {
    for pose in poses {
        for (row, centre) in pose.iter_mut().zip(centre) {
            row[3] = (row[3] - centre) * scale;
        }
    }
}

/// Makes the mean pose the world's own (LLFF's way): it looks along the mean of the cameras, from
/// the mean of their positions.
pub fn recentre(poses: &mut [Pose]) {
    let n = poses.len().max(1) as f64;
    let sum = |c: usize| {
        poses.iter().fold([0.0; 3], |s: [f64; 3], p| {
            let v = column(p, c);
            std::array::from_fn(|i| s[i] + v[i])
        })
    };
    let centre = sum(3).map(|v| v / n);
    let Some(back) = unit(sum(2)) else {
        return;
    };
    let Some(right) = unit(cross(sum(1), back)) else {
        return;
    };
    let up = cross(back, right);
    move_and_scale(poses, centre, 1.0);
    for pose in poses {
        *pose = turned([right, up, back], *pose);
    }
}

/// A pose in a turned world.
pub fn turned(rotation: [[f64; 3]; 3], pose: Pose) -> Pose {
    std::array::from_fn(|i| {
        std::array::from_fn(|j| (0..3).map(|k| rotation[i][k] * pose[k][j]).sum())
    })
}

fn column(pose: &Pose, c: usize) -> [f64; 3] {
    [pose[0][c], pose[1][c], pose[2][c]]
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ]
}

/// `None` for a vector without a direction.
fn unit(a: [f64; 3]) -> Option<[f64; 3]> {
    let length = dot(a, a).sqrt();
    (length > 1e-12 && length.is_finite()).then(|| a.map(|v| v / length))
}

/// The shortest rotation that takes one unit vector to another.
pub fn rotation_between(from: [f64; 3], to: [f64; 3]) -> [[f64; 3]; 3] {
    let v = cross(from, to);
    let c = dot(from, to);
    if c < -1.0 + 1e-9 {
        // Half a turn about any axis at right angles.
        let axis = unit(cross(
            from,
            if from[0].abs() < 0.9 {
                [1.0, 0.0, 0.0]
            } else {
                [0.0, 1.0, 0.0]
            },
        ))
        .unwrap_or([0.0, 0.0, 1.0]);
        return std::array::from_fn(|i| {
            std::array::from_fn(|j| 2.0 * axis[i] * axis[j] - f64::from(u8::from(i == j)))
        });
    }
    let k = [[0.0, -v[2], v[1]], [v[2], 0.0, -v[0]], [-v[1], v[0], 0.0]];
    let scale = 1.0 / (1.0 + c);
    std::array::from_fn(|i| {
        std::array::from_fn(|j| {
            let square: f64 = (0..3).map(|m| k[i][m] * k[m][j]).sum();
            f64::from(u8::from(i == j)) + k[i][j] + scale * square
        })
    })
}

/// The mean of the cameras' upward axes; `None` where they cancel out.
pub fn mean_up(poses: &[Pose]) -> Option<[f64; 3]> {
    let sum = poses.iter().fold([0.0; 3], |s, p| {
        let up = column(p, 1);
        std::array::from_fn(|c| s[c] + up[c])
    });
    unit(sum)
}

/// Turns the world so that the cameras' mean upward axis is +z.
pub fn upright(poses: &mut [Pose]) {
    if let Some(up) = mean_up(poses) {
        let rotation = rotation_between(up, [0.0, 0.0, 1.0]);
        for pose in poses {
            *pose = turned(rotation, *pose);
        }
    }
}

/// nerfstudio's automatic orientation: mean up to +z, mean position to the origin, the largest
/// coordinate of a position to 1. Returns the scale.
pub fn auto_orient(poses: &mut [Pose]) -> f64 {
    upright(poses);
    let n = poses.len().max(1) as f64;
    let mean: [f64; 3] = std::array::from_fn(|c| poses.iter().map(|p| p[c][3]).sum::<f64>() / n);
    let mut largest = 0.0f64;
    for pose in poses.iter_mut() {
        for c in 0..3 {
            pose[c][3] -= mean[c];
            largest = largest.max(pose[c][3].abs());
        }
    }
    let scale = if largest > 0.0 { 1.0 / largest } else { 1.0 };
    for pose in poses {
        for row in pose {
            row[3] *= scale;
        }
    }
    scale
}

/// The point that the cameras look at: the mean of the points nearest to each pair of their axes,
/// weighted by how far the axes are from parallel; only points in front of both count.
pub fn point_of_attention(poses: &[Pose]) -> Option<[f64; 3]> {
    let rays: Vec<([f64; 3], [f64; 3])> = poses
        .iter()
        .map(|p| (column(p, 3), column(p, 2).map(|v| -v)))
        .collect();
    let (mut sum, mut total) = ([0.0; 3], 0.0);
    for (oa, da) in &rays {
        for (ob, db) in &rays {
            let (point, weight) = closest(*oa, *da, *ob, *db);
            if weight > 1e-5 {
                for c in 0..3 {
                    sum[c] += point[c] * weight;
                }
                total += weight;
            }
        }
    }
    (total > 0.0).then(|| sum.map(|v| v / total))
}

/// The middle of the shortest way between two lines, not behind their origins, and the squared sine
/// of their angle.
fn closest(oa: [f64; 3], da: [f64; 3], ob: [f64; 3], db: [f64; 3]) -> ([f64; 3], f64) {
    let (Some(da), Some(db)) = (unit(da), unit(db)) else {
        return (oa, 0.0);
    };
    let normal = cross(da, db);
    let square = dot(normal, normal);
    let t: [f64; 3] = std::array::from_fn(|c| ob[c] - oa[c]);
    let det = |a: [f64; 3], b: [f64; 3]| dot(cross(a, b), normal);
    // instant-ngp's script cuts both distances at zero, so that points lie in front.
    let ta = (det(t, db) / (square + 1e-10)).max(0.0);
    let tb = (det(t, da) / (square + 1e-10)).max(0.0);
    let point = std::array::from_fn(|c| 0.5 * (oa[c] + ta * da[c] + ob[c] + tb * db[c]));
    (point, square)
}
