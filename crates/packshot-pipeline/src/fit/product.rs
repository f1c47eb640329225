//! The product in a fitted scene: where it is, how it stands, how large it is.

use super::cameras::read_cameras;
use super::{FIELD_FILE, FitSettings};
use nalgebra::Vector3;
use packshot_core::colour::{level, linear_from_srgb};
use packshot_core::{Context, Error, Image, Result};
use packshot_formats::photo_sets::CameraList;
use packshot_formats::write_png;
use packshot_geometry::framing::{ELEVATION_DEG, Framing};
use packshot_geometry::lens::LensCamera;
use packshot_geometry::{Bounds, Mesh, contact_sheet, render_mesh, unwrap};
use packshot_nerf::extract::{Crop, Painter, Shape, find_crop, surface};
use packshot_nerf::fitted::{Fitted, Query};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::str::FromStr;

/// Where a fit with a crop keeps it.
pub const PRODUCT_FILE: &str = "product.json";
/// Cubes along the longest side for the report's picture.
const PREVIEW_CELLS: usize = 96;
/// Side of each of its four views in pixels.
const PREVIEW_SIDE: usize = 240;

/// What of a scene is the product.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CropChoice {
    /// Nothing is looked for.
    #[default]
    None,
    /// What stands where the cameras look.
    Auto,
    /// A box along the axes of the scene: least x, y, z, greatest x, y, z.
    Box([f32; 6]),
}

impl FromStr for CropChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.trim() == "auto" {
            return Ok(Self::Auto);
        }
        let numbers: Option<Vec<f32>> = text
            .split([',', ' '])
            .filter(|part| !part.is_empty())
            .map(|part| part.parse().ok().filter(|v: &f32| v.is_finite()))
            .collect();
        let wrong = || {
            Error::usage(format!("\"{text}\" is no box"))
                .at("--crop")
                .with_hint("write auto, or six numbers: least x,y,z then greatest x,y,z, such as -1,-1,0,1,1,2")
        };
        let numbers: [f32; 6] = numbers.ok_or_else(wrong)?.try_into().map_err(|_| wrong())?;
        if (0..3).any(|c| numbers[c] >= numbers[c + 3]) {
            return Err(wrong());
        }
        Ok(Self::Box(numbers))
    }
}

/// What was kept of a scene.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Kept {
    /// The box in the scene, and how it is turned.
    pub crop: Crop,
    /// Whether a surface that the product stands on was found and cut away.
    pub on_ground: bool,
    /// Sides of the product's own box, upright.
    pub size_m: [f32; 3],
}

/// The content of [`PRODUCT_FILE`].
#[derive(Serialize, Deserialize)]
struct ProductFile {
    crop: Crop,
    size_m: Option<f64>,
    /// What within the box is the product; without it, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shape: Option<Shape>,
}

/// A fit with its cameras.
pub(crate) struct FittedScene {
    pub(crate) fitted: Fitted,
    cameras: Vec<LensCamera>,
    stored: Option<ProductFile>,
}

/// The product's surface in the scene, and how it is brought upright.
pub(crate) struct Product<'a> {
    /// In the world of the scene.
    pub(crate) mesh: Mesh,
    pub(super) painter: Painter<'a>,
    crop: Crop,
    shape: Option<Shape>,
    size_m: Option<f64>,
}

impl FittedScene {
    /// Reads the folder of a fit.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FIELD_FILE);
        crate::input::check(&path)?;
        let read = |path: &Path| {
            std::fs::read(path).map_err(|e| Error::io(format!("read {}", path.display()), e))
        };
        let fitted = Fitted::decode(&read(&path)?).map_err(|e| e.at(path.display()))?;
        let list = read_cameras(folder)?;
        let path = folder.join(PRODUCT_FILE);
        let stored = if path.is_file() {
            let file = serde_json::from_slice(&read(&path)?).map_err(|e| {
                Error::bad_input(format!("this names no product: {e}"))
                    .at(path.display())
                    .with_hint("remove the file, or fit again with --crop")
            })?;
            Some(file)
        } else {
            None
        };
        Ok(Self {
            fitted,
            cameras: list
                .cameras
                .iter()
                .map(|c| c.camera())
                .collect::<Result<_>>()?,
            stored,
        })
    }

    /// Finds the product: by `choice`, else as the fit was told, else by itself.
    pub(crate) fn product<'a>(
        &self,
        query: &'a Query<'a>,
        choice: CropChoice,
        size_m: Option<f64>,
        cells: usize,
        context: &Context<'_>,
    ) -> Result<Product<'a>> {
        let stage = context.stage("product", None);
        let cancel = context.cancel_token();
        let (crop, shape) = match (choice, &self.stored) {
            (CropChoice::None, Some(stored)) => (stored.crop, stored.shape.clone()),
            (CropChoice::Box([a, b, c, d, e, f]), _) => {
                let crop = Crop::along_world([a, b, c], [d, e, f]).map_err(|e| e.at("--crop"))?;
                (crop, None)
            }
            _ => find_crop(&self.fitted, &self.cameras, cancel)?,
        };
        stage.finish();
        let stage = context.stage("surface", None);
        let (mesh, seen) = surface(
            &self.fitted,
            &self.cameras,
            &crop,
            shape.as_ref(),
            cells,
            cancel,
        )?;
        stage.finish();
        let longest = (0..3)
            .map(|a| crop.high[a] - crop.low[a])
            .fold(0.0, f32::max);
        let places: Vec<[f64; 3]> = self.cameras.iter().map(LensCamera::position).collect();
        Ok(Product {
            mesh,
            painter: Painter::new(query, &places, 1.5 * longest / cells as f32).with_seen(seen),
            crop,
            shape,
            size_m: size_m.or(self.stored.as_ref().and_then(|s| s.size_m)),
        })
    }
}

impl Product<'_> {
    /// Colours the mesh at its vertices.
    pub(crate) fn paint(&mut self) {
        let normals = self.mesh.smooth_normals();
        let pairs = (&self.mesh.positions, &normals).into_par_iter();
        let colours = pairs
            .with_min_len(64)
            .map(|(position, normal)| {
                let [r, g, b] = self.painter.colour(*position, *normal).map(level);
                [r, g, b, 255]
            })
            .collect();
        self.mesh.colours = Some(colours);
    }

    /// Cuts the mesh open and bakes its colours into a texture.
    pub(crate) fn bake(&mut self, size: usize) -> Result<()> {
        self.mesh.colours = None;
        self.mesh = unwrap::unwrap(&self.mesh, size)?;
        unwrap::bake(&mut self.mesh, size, |at, normal| {
            self.painter.colour(at, normal).map(linear_from_srgb)
        })
    }

    /// How the product is brought upright.
    pub(super) fn stand(&self) -> Stand {
        let local = self.mesh.positions.iter().map(|p| self.crop.to_local(*p));
        let (mut foot, mut scale) = (Vector3::zeros(), 1.0);
        if let Some(bounds) = Bounds::of(local) {
            let (centre, size) = (bounds.centre(), bounds.size());
            foot = Vector3::new(centre.x, centre.y, bounds.low.z);
            scale = (self.size_m).map_or(1.0, |size_m| size_m as f32 / size.max().max(1e-12));
        }
        Stand {
            crop: self.crop,
            foot,
            scale,
        }
    }

    /// The mesh upright, its box's middle above the origin, standing on z = 0, as long as asked.
    pub(crate) fn upright(self) -> Mesh {
        let stand = self.stand();
        let mut mesh = self.mesh;
        for position in &mut mesh.positions {
            *position = stand.upright(*position);
        }
        for normal in mesh.normals.iter_mut().flatten() {
            *normal = stand.crop.to_local(*normal);
        }
        mesh
    }
}

/// How a product is brought upright: its box's middle above the origin, standing on z = 0.
pub(super) struct Stand {
    crop: Crop,
    foot: Vector3<f32>,
    /// Metres of a unit of the scene.
    pub(super) scale: f32,
}

impl Stand {
    /// A point of the scene upright.
    pub(super) fn upright(&self, world: [f32; 3]) -> [f32; 3] {
        ((Vector3::from(self.crop.to_local(world)) - self.foot) * self.scale).into()
    }

    /// The inverse of [`Stand::upright`].
    pub(super) fn to_world(&self, upright: [f32; 3]) -> [f32; 3] {
        let local = Vector3::from(upright) / self.scale + self.foot;
        self.crop.to_world(local.into())
    }
}

/// Finds the product of a fit that is done and leaves it with a picture in its folder.
pub(super) fn keep(
    fitted: Fitted,
    cameras: &CameraList,
    target: &Path,
    settings: &FitSettings,
    context: &Context<'_>,
) -> Result<Kept> {
    let scene = FittedScene {
        fitted,
        cameras: cameras
            .cameras
            .iter()
            .map(|c| c.camera())
            .collect::<Result<_>>()?,
        stored: None,
    };
    let query = scene.fitted.query()?;
    let mut product = scene.product(
        &query,
        settings.crop,
        settings.size_m,
        PREVIEW_CELLS,
        context,
    )?;
    product.paint();
    let (crop, shape) = (product.crop, product.shape.take());
    let mesh = product.upright();
    let views: Vec<Image> = [0.0, 90.0, 180.0, 270.0]
        .into_iter()
        .filter_map(|azimuth| Framing::of(&mesh.positions, azimuth, ELEVATION_DEG))
        .map(|framing| render_mesh(&mesh, &framing, PREVIEW_SIDE, 2, [255; 3]))
        .collect();
    write_png(
        &target.join("product.png"),
        &contact_sheet(&views, 4, 4, [255; 3]),
    )?;
    let file = ProductFile {
        crop,
        size_m: settings.size_m,
        shape,
    };
    let json = serde_json::to_vec_pretty(&file)
        .map_err(|e| Error::internal(format!("cannot write the product: {e}")))?;
    packshot_formats::write_file(&target.join(PRODUCT_FILE), &json)?;
    Ok(Kept {
        crop,
        on_ground: crop.on_ground,
        size_m: mesh.bounds().map_or([0.0; 3], |b| b.size().into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_six_numbers() {
        assert_eq!("auto".parse::<CropChoice>().unwrap(), CropChoice::Auto);
        assert_eq!(
            "-1, -1,0, 1,1,2.5".parse::<CropChoice>().unwrap(),
            CropChoice::Box([-1.0, -1.0, 0.0, 1.0, 1.0, 2.5])
        );
        for wrong in ["", "1,2,3", "0,0,0,1,1,x", "0,0,0,1,1,0", "0,0,0,1,1,inf"] {
            assert!(wrong.parse::<CropChoice>().is_err(), "{wrong}");
        }
    }
}
