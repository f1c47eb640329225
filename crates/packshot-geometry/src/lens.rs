//! Lenses of real cameras: pixels to rays, with the distortion undone.
//!
//! Models are those of OpenCV and COLMAP. Distortion works on the plane at distance 1 in front of a
//! camera with OpenCV's axes (x right, y down, z forward).

/// How a lens bends light. Coefficients have the names of OpenCV and COLMAP.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Lens {
    /// None.
    #[default]
    Pinhole,
    /// Radial and tangential distortion (Brown–Conrady), with the rational part of OpenCV:
    /// `x·(1 + k1·r² + k2·r⁴ + k3·r⁶)/(1 + k4·r² + k5·r⁴ + k6·r⁶) + 2·p1·x·y + p2·(r² + 2x²)`.
    Brown {
        /// k1 to k6.
        k: [f64; 6],
        /// p1 and p2.
        p: [f64; 2],
    },
    /// Equidistant fisheye: `θ·(1 + k1·θ² + k2·θ⁴ + k3·θ⁶ + k4·θ⁸)` is the distance from the
    /// centre.
    Fisheye {
        /// k1 to k4.
        k: [f64; 4],
    },
    /// Field-of-view model (Devernay and Faugeras, 2001).
    FieldOfView {
        /// The one parameter, in radians.
        omega: f64,
    },
    /// COLMAP's THIN_PRISM_FISHEYE: equidistant, then Brown's terms and a thin prism.
    ThinPrismFisheye {
        /// k1 to k4.
        k: [f64; 4],
        /// p1 and p2.
        p: [f64; 2],
        /// sx1 and sy1.
        s: [f64; 2],
    },
    /// The whole sphere, longitude by latitude; focal length and centre do not count.
    Equirectangular,
}

/// Size, focal lengths, principal point (pixels; the centre of the first pixel is at 0.5) and lens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Intrinsics {
    /// Pixels of a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Focal lengths in pixels, across and down.
    pub focal: [f64; 2],
    /// Principal point in pixels from the upper left corner.
    pub centre: [f64; 2],
    /// Distortion.
    pub lens: Lens,
}

/// A camera with a lens somewhere in the world. Axes are OpenGL's: x right, y up, looking along −z.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LensCamera {
    /// Size, focal lengths, centre, lens.
    pub intrinsics: Intrinsics,
    /// The upper three rows of the pose: three axes, then the position.
    pub world_from_camera: [[f64; 4]; 3],
}

impl LensCamera {
    /// Where the camera is.
    pub fn position(&self) -> [f64; 3] {
        self.world_from_camera.map(|row| row[3])
    }

    /// The direction that the camera looks in (not normalised).
    pub fn forward(&self) -> [f64; 3] {
        self.world_from_camera.map(|row| -row[2])
    }

    /// Direction in the world of the light through a place in the picture; unit length where the
    /// pose is rigid. `None` where the lens reaches no light.
    pub fn direction(&self, u: f64, v: f64) -> Option<[f64; 3]> {
        let [x, y, z] = self.intrinsics.direction(u, v)?;
        // OpenCV's axes to OpenGL's.
        let d = [x, -y, -z];
        Some(
            self.world_from_camera
                .map(|row| row[0] * d[0] + row[1] * d[1] + row[2] * d[2]),
        )
    }

    /// Where a point of the world lies in the picture, and its depth along the camera's axis;
    /// `None` behind the camera or where the lens does not show it. The pose must be rigid.
    pub fn project(&self, point: [f64; 3]) -> Option<([f64; 2], f64)> {
        let m = &self.world_from_camera;
        let d: [f64; 3] = std::array::from_fn(|i| point[i] - m[i][3]);
        let camera: [f64; 3] =
            std::array::from_fn(|j| m[0][j] * d[0] + m[1][j] * d[1] + m[2][j] * d[2]);
        let seen = [camera[0], -camera[1], -camera[2]];
        Some((self.intrinsics.project(seen)?, seen[2]))
    }
}

impl Intrinsics {
    /// A pinhole of a horizontal field of view, with the centre in the middle.
    pub fn from_fov_x(width: usize, height: usize, fov_x_rad: f64) -> Self {
        let focal = 0.5 * width as f64 / (0.5 * fov_x_rad).tan();
        Self {
            width,
            height,
            focal: [focal; 2],
            centre: [0.5 * width as f64, 0.5 * height as f64],
            lens: Lens::Pinhole,
        }
    }

    /// The same camera for a picture of another size.
    #[must_use]
    pub fn resized(&self, width: usize, height: usize) -> Self {
        let scale = [
            width as f64 / self.width as f64,
            height as f64 / self.height as f64,
        ];
        Self {
            width,
            height,
            focal: [self.focal[0] * scale[0], self.focal[1] * scale[1]],
            centre: [self.centre[0] * scale[0], self.centre[1] * scale[1]],
            lens: self.lens,
        }
    }

    /// Direction of the light through a place in the picture (OpenCV's axes, unit length). `None`
    /// where the lens reaches no light or its model has no inverse.
    pub fn direction(&self, u: f64, v: f64) -> Option<[f64; 3]> {
        if let Lens::Equirectangular = self.lens {
            let longitude = (u / self.width as f64 - 0.5) * std::f64::consts::TAU;
            let latitude = (0.5 - v / self.height as f64) * std::f64::consts::PI;
            return Some([
                longitude.sin() * latitude.cos(),
                -latitude.sin(),
                longitude.cos() * latitude.cos(),
            ]);
        }
        let x = (u - self.centre[0]) / self.focal[0];
        let y = (v - self.centre[1]) / self.focal[1];
        let (planar, theta) = match self.lens {
            Lens::Pinhole | Lens::Equirectangular => ([x, y], None),
            Lens::Brown { .. } => (self.lens.undistort([x, y])?, None),
            Lens::FieldOfView { omega } => {
                let distance = x.hypot(y);
                ([x, y], Some(fov_angle(distance, omega)?))
            }
            Lens::Fisheye { k } => ([x, y], Some(fisheye_angle(x.hypot(y), k)?)),
            Lens::ThinPrismFisheye { .. } => {
                let [a, b] = newton([x, y], |at| self.lens.thin_prism(at))?;
                ([a, b], Some(a.hypot(b)))
            }
        };
        let direction = match theta {
            None => {
                let length = (planar[0] * planar[0] + planar[1] * planar[1] + 1.0).sqrt();
                [planar[0] / length, planar[1] / length, 1.0 / length]
            }
            // Beyond 90° there is no point on the plane: the angle itself makes the direction.
            Some(theta) => {
                let distance = planar[0].hypot(planar[1]);
                let scale = if distance > 0.0 {
                    theta.sin() / distance
                } else {
                    0.0
                };
                [planar[0] * scale, planar[1] * scale, theta.cos()]
            }
        };
        direction.iter().all(|v| v.is_finite()).then_some(direction)
    }

    /// Where light from a point (OpenCV's axes) lands in the picture; the place may be outside.
    pub fn project(&self, [x, y, z]: [f64; 3]) -> Option<[f64; 2]> {
        if let Lens::Pinhole = self.lens {
            let at = [
                x / z * self.focal[0] + self.centre[0],
                y / z * self.focal[1] + self.centre[1],
            ];
            return (z > 0.0 && at.iter().all(|v| v.is_finite())).then_some(at);
        }
        let distance = x.hypot(y);
        let angle = distance.atan2(z);
        // Lenses that work with the angle see behind themselves.
        let by_angle = |to: f64| {
            let scale = if distance > 0.0 { to / distance } else { 0.0 };
            [x * scale, y * scale]
        };
        let [a, b] = match self.lens {
            Lens::Equirectangular => {
                let latitude = (-y).atan2(x.hypot(z));
                return Some([
                    (x.atan2(z) / std::f64::consts::TAU + 0.5) * self.width as f64,
                    (0.5 - latitude / std::f64::consts::PI) * self.height as f64,
                ]);
            }
            Lens::Fisheye { k } => by_angle(fisheye(angle, k).0),
            Lens::ThinPrismFisheye { .. } => self.lens.thin_prism(by_angle(angle)).0,
            _ if z <= 0.0 => return None,
            Lens::Pinhole => [x / z, y / z],
            Lens::Brown { k, p } => brown([x / z, y / z], k, p).0,
            Lens::FieldOfView { omega } => {
                let distance = distance / z;
                by_angle(if omega.abs() < 1e-9 {
                    distance
                } else {
                    (2.0 * distance * (0.5 * omega).tan()).atan() / omega
                })
            }
        };
        let at = [
            a * self.focal[0] + self.centre[0],
            b * self.focal[1] + self.centre[1],
        ];
        at.iter().all(|v| v.is_finite()).then_some(at)
    }
}

impl Lens {
    /// The point of the plane at distance 1 that the lens moves to `distorted`; `None` where there
    /// is none.
    pub fn undistort(&self, distorted: [f64; 2]) -> Option<[f64; 2]> {
        let along = |theta: f64| {
            let [x, y] = distorted;
            let distance = x.hypot(y);
            let scale = if distance > 0.0 {
                theta.tan() / distance
            } else {
                0.0
            };
            (theta < std::f64::consts::FRAC_PI_2).then_some([x * scale, y * scale])
        };
        let distance = distorted[0].hypot(distorted[1]);
        match *self {
            Self::Pinhole => Some(distorted),
            Self::Brown { k, p } => newton(distorted, |at| brown(at, k, p)),
            Self::Fisheye { k } => along(fisheye_angle(distance, k)?),
            Self::FieldOfView { omega } => along(fov_angle(distance, omega)?),
            Self::ThinPrismFisheye { .. } => {
                let [a, b] = newton(distorted, |at| self.thin_prism(at))?;
                let theta = a.hypot(b);
                let scale = if theta > 0.0 {
                    theta.tan() / theta
                } else {
                    1.0
                };
                (theta < std::f64::consts::FRAC_PI_2).then_some([a * scale, b * scale])
            }
            Self::Equirectangular => None,
        }
    }

    fn thin_prism(&self, at: [f64; 2]) -> ([f64; 2], [[f64; 2]; 2]) {
        let Self::ThinPrismFisheye { k, p, s } = *self else {
            return (at, [[1.0, 0.0], [0.0, 1.0]]);
        };
        let [x, y] = at;
        let r2 = x * x + y * y;
        let radial = 1.0 + r2 * (k[0] + r2 * (k[1] + r2 * (k[2] + r2 * k[3])));
        let slope = k[0] + r2 * (2.0 * k[1] + r2 * (3.0 * k[2] + r2 * 4.0 * k[3]));
        let (mut out, mut jacobian) = tangential(at, radial, slope, p);
        for c in 0..2 {
            out[c] += s[c] * r2;
            jacobian[c][0] += 2.0 * s[c] * x;
            jacobian[c][1] += 2.0 * s[c] * y;
        }
        (out, jacobian)
    }
}

/// A place, its image and the Jacobian there, for the radial factor and its slope in r².
fn tangential([x, y]: [f64; 2], radial: f64, slope: f64, p: [f64; 2]) -> ([f64; 2], [[f64; 2]; 2]) {
    let r2 = x * x + y * y;
    let out = [
        x * radial + 2.0 * p[0] * x * y + p[1] * (r2 + 2.0 * x * x),
        y * radial + 2.0 * p[1] * x * y + p[0] * (r2 + 2.0 * y * y),
    ];
    let cross = 2.0 * x * y * slope + 2.0 * p[0] * x + 2.0 * p[1] * y;
    let jacobian = [
        [
            radial + 2.0 * x * x * slope + 2.0 * p[0] * y + 6.0 * p[1] * x,
            cross,
        ],
        [
            cross,
            radial + 2.0 * y * y * slope + 2.0 * p[1] * x + 6.0 * p[0] * y,
        ],
    ];
    (out, jacobian)
}

fn brown(at: [f64; 2], k: [f64; 6], p: [f64; 2]) -> ([f64; 2], [[f64; 2]; 2]) {
    let r2 = at[0] * at[0] + at[1] * at[1];
    let above = 1.0 + r2 * (k[0] + r2 * (k[1] + r2 * k[2]));
    let below = 1.0 + r2 * (k[3] + r2 * (k[4] + r2 * k[5]));
    let d_above = k[0] + r2 * (2.0 * k[1] + r2 * 3.0 * k[2]);
    let d_below = k[3] + r2 * (2.0 * k[4] + r2 * 3.0 * k[5]);
    let radial = above / below;
    tangential(at, radial, (d_above - radial * d_below) / below, p)
}

/// Newton's iteration from the distorted place to the true one.
fn newton(
    target: [f64; 2],
    image: impl Fn([f64; 2]) -> ([f64; 2], [[f64; 2]; 2]),
) -> Option<[f64; 2]> {
    let mut at = target;
    for _ in 0..30 {
        let (reached, j) = image(at);
        let error = [reached[0] - target[0], reached[1] - target[1]];
        if error[0].hypot(error[1]) < 1e-13 {
            break;
        }
        let determinant = j[0][0] * j[1][1] - j[0][1] * j[1][0];
        let step = [
            (j[1][1] * error[0] - j[0][1] * error[1]) / determinant,
            (j[0][0] * error[1] - j[1][0] * error[0]) / determinant,
        ];
        at = [at[0] - step[0], at[1] - step[1]];
    }
    let (reached, j) = image(at);
    let close = (reached[0] - target[0]).hypot(reached[1] - target[1]) < 1e-7;
    // Where the image folds over itself, the place found is not the one that the camera saw; nor is
    // it beyond, where the image is turned by half a circle.
    let determinant = j[0][0] * j[1][1] - j[0][1] * j[1][0];
    let upright = determinant > 0.0 && j[0][0] + j[1][1] > 0.0;
    (close && upright).then_some(at)
}

/// Distance from the centre at an angle, and its slope.
fn fisheye(theta: f64, k: [f64; 4]) -> (f64, f64) {
    let t2 = theta * theta;
    let value = theta * (1.0 + t2 * (k[0] + t2 * (k[1] + t2 * (k[2] + t2 * k[3]))));
    let slope = 1.0 + t2 * (3.0 * k[0] + t2 * (5.0 * k[1] + t2 * (7.0 * k[2] + t2 * 9.0 * k[3])));
    (value, slope)
}

fn fisheye_angle(distance: f64, k: [f64; 4]) -> Option<f64> {
    let mut theta = distance.min(std::f64::consts::PI);
    for _ in 0..30 {
        let (value, slope) = fisheye(theta, k);
        if (value - distance).abs() < 1e-14 {
            break;
        }
        theta -= (value - distance) / slope;
    }
    let (value, slope) = fisheye(theta, k);
    let inside = (0.0..=std::f64::consts::PI).contains(&theta);
    ((value - distance).abs() < 1e-7 && slope > 0.0 && inside).then_some(theta)
}

fn fov_angle(distance: f64, omega: f64) -> Option<f64> {
    if omega.abs() < 1e-9 {
        return Some(distance.atan());
    }
    let inner = distance * omega;
    let planar = inner.tan() / (2.0 * (0.5 * omega).tan());
    (inner.abs() < std::f64::consts::FRAC_PI_2).then(|| planar.atan())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_that_only_a_mirrored_image_reaches_have_no_direction() {
        let lens = Lens::Brown {
            k: [-9.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            p: [0.0; 2],
        };
        // r·(1 − 9r²) is greatest, 0.1283, at r = 0.19245.
        for i in 1..100 {
            let distorted = [0.006 * f64::from(i), 0.0];
            match lens.undistort(distorted) {
                Some([x, y]) => assert!((0.0..0.1925).contains(&x) && y == 0.0, "{x}, {y}"),
                None => assert!(distorted[0] > 0.12, "{distorted:?}"),
            }
        }
    }

    #[test]
    fn every_lens_gives_back_the_direction_of_what_it_shows() {
        let lenses = [
            Lens::Pinhole,
            Lens::Brown {
                k: [0.06, -0.08, 0.01, 0.02, -0.01, 0.003],
                p: [-9e-4, 2e-4],
            },
            Lens::Fisheye {
                k: [0.03, -0.01, 0.002, -1e-4],
            },
            Lens::FieldOfView { omega: 0.9 },
            Lens::ThinPrismFisheye {
                k: [0.02, -0.01, 0.001, 1e-4],
                p: [1e-3, -2e-3],
                s: [3e-3, -1e-3],
            },
            Lens::Equirectangular,
        ];
        for lens in lenses {
            let camera = Intrinsics {
                lens,
                ..Intrinsics::from_fov_x(640, 480, 1.1)
            };
            for (u, v) in [(320.0, 240.0), (20.5, 33.5), (600.0, 100.0), (301.0, 450.0)] {
                let direction = camera.direction(u, v).unwrap();
                let length: f64 = direction.iter().map(|d| d * d).sum();
                assert!((length - 1.0).abs() < 1e-12);
                let [a, b] = camera.project(direction.map(|d| 3.0 * d)).unwrap();
                assert!(
                    (a - u).abs() < 1e-5 && (b - v).abs() < 1e-5,
                    "{lens:?} {a} {b}"
                );
            }
        }
    }

    #[test]
    fn light_that_the_model_folds_over_has_no_direction() {
        let camera = Intrinsics {
            lens: Lens::Brown {
                k: [-0.5, 0.0, 0.0, 0.0, 0.0, 0.0],
                p: [0.0; 2],
            },
            ..Intrinsics::from_fov_x(100, 100, 2.0)
        };
        assert!(camera.direction(50.0, 50.0).is_some());
        assert!(camera.direction(0.0, 0.0).is_none());
        assert!(
            Intrinsics {
                focal: [0.0; 2],
                ..camera
            }
            .direction(1.0, 1.0)
            .is_none()
        );
    }

    #[test]
    fn poses_turn_directions_and_bring_points_back() {
        let camera = LensCamera {
            intrinsics: Intrinsics::from_fov_x(100, 80, 1.0),
            world_from_camera: [
                [0.0, 0.0, 1.0, 2.0],
                [1.0, 0.0, 0.0, 0.5],
                [0.0, 1.0, 0.0, -1.0],
            ],
        };
        let direction = camera.direction(50.0, 40.0).unwrap();
        assert!((direction[0] + 1.0).abs() < 1e-12);
        assert_eq!(camera.forward(), [-1.0, 0.0, 0.0]);
        let d = camera.direction(70.5, 10.5).unwrap();
        let point = std::array::from_fn(|i| camera.position()[i] + 5.0 * d[i]);
        let (at, depth) = camera.project(point).unwrap();
        assert!((at[0] - 70.5).abs() < 1e-9 && (at[1] - 10.5).abs() < 1e-9 && depth > 3.0);
        assert!(camera.project([9.0, 0.5, -1.0]).is_none());
    }
}
