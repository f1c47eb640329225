//! From a scene file and a product to what the renderer takes.

use super::asset::Product;
use super::develop::Development;
use super::placing::{frame, towards, turned_outline};
use super::scene_file::{BackgroundFile, Colour, EnvironmentFile, LightFile, SceneFile};
use super::set::{Place, Workshop, lift};
use nalgebra::Vector3;
use packshot_core::{Error, Result};
use packshot_formats::read_radiance_map;
use packshot_render::{
    Background, Environment, EnvironmentMap, Light, LightShape, Object, PointSize, Scene, Shape,
};
use std::f32::consts::PI;
use std::path::Path;
use std::sync::Arc;

/// A scene that is ready for products.
pub(super) struct Studio {
    /// Name of the built-in scene, or of the file.
    pub name: String,
    /// What it says.
    pub file: SceneFile,
    brand: Colour,
    panorama: Option<Arc<EnvironmentMap>>,
    workshop: Workshop,
}

impl Studio {
    /// The scene that `choice` names: a built-in one, or a file that ends in `.toml`. `brand`
    /// replaces its brand colour.
    ///
    /// # Errors
    /// `Usage` for an unknown name; `BadInput` for what is wrong in a file and for its panorama.
    pub(super) fn open(choice: &str, brand: Option<Colour>) -> Result<Self> {
        let (name, text, folder) = if is_file(choice) {
            let path = Path::new(choice);
            crate::input::check(path)?;
            let text = std::fs::read_to_string(path).map_err(|e| {
                Error::bad_input(format!("cannot be read as text: {e}")).at(path.display())
            })?;
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            (crate::slug::slug(&stem), text, path.parent())
        } else {
            let text = packshot_scenes::scene(choice).ok_or_else(|| unknown(choice))?;
            (choice.to_owned(), text.to_owned(), None)
        };
        let file = SceneFile::parse(&text).map_err(|e| e.at(choice))?;
        let mut panorama = None;
        if let EnvironmentFile::File { path, .. } = &file.environment {
            let path = folder.map_or_else(|| path.clone(), |f| f.join(path));
            crate::input::check(&path)?;
            let map = read_radiance_map(&path)?;
            let map = EnvironmentMap::new(map.width, map.height, map.rgb);
            panorama = Some(Arc::new(map.ok_or_else(|| {
                Error::bad_input("the panorama has no pixels").at(path.display())
            })?));
        }
        Ok(Self {
            name,
            brand: brand.unwrap_or(file.brand),
            file,
            panorama,
            workshop: Workshop::default(),
        })
    }

    /// The brand colour in use.
    pub(super) fn brand(&self) -> Colour {
        self.brand
    }

    /// How pictures of this scene are developed, brighter by `stops`.
    pub(super) fn development(&self, stops: f32) -> Development {
        Development {
            stops: self.file.exposure.stops.get() + stops,
            look: self.file.look,
            background: self.file.background,
            brand: self.brand,
        }
    }

    /// Sets the product up: the pose that this scene wants, and everything around it. With
    /// `turntable`, camera and set leave room for the whole turn.
    pub(super) fn set_up(
        &mut self,
        product: &Product,
        turntable: bool,
        width: usize,
        height: usize,
    ) -> Setting {
        let pose = self.file.product;
        let turn = pose.turn_deg.map_or(0.0, |t| t.get());
        let base = lift(&self.file.props);
        let product = product.posed(pose.pose, turn, base);
        let mut points: Vec<[f32; 3]> = product.positions().collect();
        if turntable {
            points = turned_outline(&points);
        }
        let bounds = product.bounds();
        let size = bounds.map_or(Vector3::repeat(1.0), |b| b.size());
        let middle = Vector3::new(0.0, 0.0, base + size.z * 0.5);
        let place = Place {
            base_radius: 0.5 * size.xy().norm(),
            middle,
        };
        // Sharp is what looks at the camera: halfway from the middle to the front of the box.
        let file = &self.file.camera;
        let to_camera = towards(file.azimuth_deg.get(), file.elevation_deg.get());
        let depth: f32 = (0..3).map(|i| (to_camera[i] * size[i] * 0.5).abs()).sum();
        let focus = middle + to_camera * (depth * 0.5);
        let camera = frame(file, &points, focus, width, height);
        let objects = (self.workshop).build(&self.file.props, self.brand, &place);
        let lights = (self.file.lights.iter())
            .map(|light| self.light(light, middle))
            .collect();
        let background = match self.file.background {
            BackgroundFile::Environment => Background::Environment,
            // Put behind when the film is developed.
            _ => Background::Transparent,
        };
        Setting {
            scene: Scene {
                camera,
                objects,
                lights,
                environment: self.environment(),
                background,
            },
            product,
        }
    }

    fn light(&self, light: &LightFile, middle: Vector3<f32>) -> Light {
        let radiance = |colour: super::scene_file::Paint, factor: f32| {
            colour.linear(self.brand).map(|v| v * factor)
        };
        match *light {
            LightFile::Softbox {
                azimuth_deg,
                elevation_deg,
                distance,
                size,
                soft_edge,
                colour,
                strength,
                visible,
            } => {
                let distance = distance.get();
                let [width, height] = size.map(|v| v.get());
                let centre = middle + towards(azimuth_deg.get(), elevation_deg.get()) * distance;
                let mut shape =
                    LightShape::panel_towards(centre.into(), middle.into(), width, height);
                if let LightShape::Rectangle {
                    soft_edge: edge, ..
                } = &mut shape
                {
                    *edge = soft_edge.get();
                }
                // A soft edge takes away light: a linear ramp over both sides.
                let edge = soft_edge.get() * 0.5;
                let area = width * height * (1.0 - edge) * (1.0 - edge);
                // The light of a disc of this area at its axis: π L sin² of its half angle.
                let factor = strength.get() * (area + PI * distance * distance) / area.max(1e-6);
                Light {
                    shape,
                    radiance: radiance(colour, factor),
                    visible_to_camera: visible,
                }
            }
            LightFile::Ball {
                azimuth_deg,
                elevation_deg,
                distance,
                radius,
                colour,
                strength,
                visible,
            } => {
                let (distance, radius) = (distance.get(), radius.get());
                let centre = middle + towards(azimuth_deg.get(), elevation_deg.get()) * distance;
                Light {
                    shape: LightShape::Sphere {
                        centre: centre.into(),
                        radius_m: radius,
                    },
                    radiance: radiance(colour, strength.get() * (distance / radius).powi(2)),
                    visible_to_camera: visible,
                }
            }
            LightFile::Sun {
                azimuth_deg,
                elevation_deg,
                width_deg,
                colour,
                strength,
            } => {
                let width = width_deg.get().to_radians();
                let factor = if width > 0.0 {
                    1.0 / (width * 0.5).sin().powi(2)
                } else {
                    PI
                };
                Light {
                    shape: LightShape::Directional {
                        towards: towards(azimuth_deg.get(), elevation_deg.get()).into(),
                        angular_diameter_rad: width,
                    },
                    radiance: radiance(colour, strength.get() * factor),
                    visible_to_camera: false,
                }
            }
        }
    }

    fn environment(&self) -> Environment {
        let brand = self.brand;
        match &self.file.environment {
            EnvironmentFile::Uniform { colour, strength } => {
                Environment::Uniform(colour.linear(brand).map(|v| v * strength.get()))
            }
            EnvironmentFile::Gradient {
                below,
                horizon,
                above,
                strength,
            } => {
                let [below, horizon, above] =
                    [below, horizon, above].map(|c| c.linear(brand).map(|v| v * strength.get()));
                Environment::Gradient {
                    below,
                    horizon,
                    above,
                }
            }
            EnvironmentFile::File {
                rotation_deg,
                strength,
                ..
            } => match &self.panorama {
                Some(map) => Environment::Map {
                    map: Arc::clone(map),
                    rotation_rad: rotation_deg.get().to_radians(),
                    strength: strength.get(),
                },
                None => Environment::BLACK,
            },
        }
    }
}

/// A product in its set.
pub(super) struct Setting {
    /// Everything but the product.
    scene: Scene,
    product: Product,
}

impl Setting {
    /// The scene with the product turned around the vertical.
    pub(super) fn scene(&self, turn_deg: f32) -> Scene {
        let product = if turn_deg == 0.0 {
            self.product.clone()
        } else {
            self.product.turned(turn_deg)
        };
        let mut scene = self.scene.clone();
        if let Some(mesh) = product.mesh {
            scene
                .objects
                .push(Object::product(Shape::Mesh(Arc::new(mesh))));
        }
        if let Some(cloud) = product.cloud {
            let shape = Shape::Points(Arc::new(cloud), PointSize::Auto);
            scene.objects.push(Object::product(shape));
        }
        if let Some(field) = product.field {
            let shape = Shape::Volume(field.volume);
            scene.objects.push(Object::product(shape));
        }
        scene
    }
}

/// Whether a choice of a scene means a file.
pub fn is_file(choice: &str) -> bool {
    choice.to_ascii_lowercase().ends_with(".toml")
}

pub(super) fn unknown(choice: &str) -> Error {
    let names: Vec<&str> = packshot_scenes::SCENES.iter().map(|(n, _)| *n).collect();
    Error::usage(format!("there is no scene \"{}\"", choice.escape_debug())).with_hint(format!(
        "the scenes are {}; a file of your own ends in .toml",
        names.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use packshot_geometry::Mesh;

    fn product() -> Product {
        Product {
            name: "x".to_owned(),
            file: "x.glb".into(),
            mesh: Some(Mesh {
                positions: vec![
                    [-0.3, -0.2, -0.5],
                    [0.3, -0.2, -0.5],
                    [0.0, 0.2, -0.5],
                    [0.0, 0.0, 0.5],
                ],
                triangles: vec![[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]],
                ..Mesh::default()
            }),
            cloud: None,
            field: None,
            length_m: 1.0,
        }
    }

    #[test]
    fn every_built_in_scene_can_be_set_up_for_stills_and_turntables() {
        assert!(packshot_scenes::SCENES.len() >= 8);
        for (name, _) in packshot_scenes::SCENES {
            let mut studio = Studio::open(name, None).unwrap();
            assert!(studio.file.description.len() > 20, "{name}");
            for turntable in [false, true] {
                let setting = studio.set_up(&product(), turntable, 64, 64);
                let scene = setting.scene(30.0);
                let products = scene.objects.iter().filter(|o| o.is_product).count();
                assert_eq!(products, 1, "{name}");
                for light in &scene.lights {
                    assert!(light.radiance.iter().all(|v| v.is_finite() && *v >= 0.0));
                }
                for object in &scene.objects {
                    let Shape::Mesh(mesh) = &object.shape else {
                        continue;
                    };
                    mesh.validate().unwrap();
                }
            }
        }
    }

    #[test]
    fn the_product_stands_on_its_pedestal() {
        let mut studio = Studio::open("pastel-pedestal", None).unwrap();
        let setting = studio.set_up(&product(), false, 64, 64);
        let base = lift(&studio.file.props);
        assert!(base > 0.0);
        let low = setting.product.bounds().unwrap().low.z;
        assert!((low - base).abs() < 1e-5);
    }

    #[test]
    fn a_brand_colour_replaces_that_of_the_scene() {
        let blue: Colour = "#0040ff".parse().unwrap();
        let studio = Studio::open("colour-splash", Some(blue)).unwrap();
        assert_eq!(studio.brand(), blue);
        assert_ne!(Studio::open("colour-splash", None).unwrap().brand(), blue);
    }

    #[test]
    fn scenes_that_are_not_there_are_named() {
        let error = Studio::open("white-swep", None).err().unwrap();
        assert!(error.hint().unwrap().contains("white-sweep"));
        let error = Studio::open("absent.toml", None).err().unwrap();
        assert_eq!(error.kind(), packshot_core::ErrorKind::BadInput);
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("own.toml");
        let text = "description = \"x\"\n[environment]\nkind = \"file\"\npath = \"sky.hdr\"\nstrength = 1\n";
        std::fs::write(&path, text).unwrap();
        let error = Studio::open(path.to_str().unwrap(), None).err().unwrap();
        assert!(error.to_string().contains("sky.hdr"), "{error}");
        std::fs::write(&path, "description = 1").unwrap();
        let error = Studio::open(path.to_str().unwrap(), None).err().unwrap();
        assert!(error.to_string().contains("own.toml: line 1"), "{error}");
    }
}
