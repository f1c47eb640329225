//! The set around the product: forms, textures and materials of props, all made here.

mod forms;
mod noise;
mod texture;

use super::scene_file::{Colour, PedestalForm, Prop, PropShape, TextureKind};
use crate::shoot::placing::towards;
use forms::{Form, Frame};
use nalgebra::Vector3;
use packshot_core::colour::srgb_from_linear;
use packshot_geometry::{Material, Mesh, Texture};
use packshot_render::{Object, Shape};
use std::collections::HashMap;
use std::sync::Arc;

/// How far floors and walls without an end reach, in product lengths.
const FAR: f32 = 30.0;
/// Least radius of a pedestal.
const LEAST_RADIUS: f32 = 0.3;

/// What props are placed by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Place {
    /// Radius of the circle around the product's base.
    pub base_radius: f32,
    /// Middle of the product's box.
    pub middle: Vector3<f32>,
}

/// How much the pedestals of a set lift the product.
pub(super) fn lift(props: &[Prop]) -> f32 {
    (props.iter())
        .map(|prop| match prop.shape {
            PropShape::Pedestal { height, .. } => height.get(),
            _ => 0.0,
        })
        .sum()
}

/// Makes the objects of a set; textures are kept, so that a batch makes each once.
#[derive(Default)]
pub(super) struct Workshop {
    textures: HashMap<(TextureKind, [u8; 3], [u8; 3]), Texture>,
}

impl Workshop {
    /// The objects of the props.
    pub(super) fn build(&mut self, props: &[Prop], brand: Colour, place: &Place) -> Vec<Object> {
        let mut pedestals = 0.0;
        (props.iter())
            .map(|prop| {
                let mut mesh = form(&prop.shape, place, &mut pedestals).into_mesh();
                self.paint(&mut mesh, prop, brand);
                let shape = Shape::Mesh(Arc::new(mesh));
                if prop.shadow_catcher {
                    Object::shadow_catcher(shape)
                } else {
                    Object::prop(shape)
                }
            })
            .collect()
    }

    fn paint(&mut self, mesh: &mut Mesh, prop: &Prop, brand: Colour) {
        let [r, g, b] = prop.colour.linear(brand);
        let mut material = Material {
            base_colour: [r, g, b, 1.0],
            roughness: prop.roughness.get(),
            metallic: prop.metallic.get(),
            ..Material::default()
        };
        if let Some(kind) = prop.texture {
            let second = prop.second.unwrap_or(prop.colour).linear(brand);
            let colours = [[r, g, b], second]
                .map(|c| c.map(|v| packshot_core::colour::level(srgb_from_linear(v))));
            let key = (kind, colours[0], colours[1]);
            let texture = (self.textures.entry(key))
                .or_insert_with(|| texture::make(kind, colours[0], colours[1]));
            material.base_colour = [1.0; 4];
            material.base_colour_texture = Some(0);
            mesh.textures = vec![texture.clone()];
            let repeats = texture::side(kind);
            for uv in mesh.uvs.iter_mut().flatten() {
                *uv = uv.map(|v| v / repeats);
            }
        }
        mesh.triangle_materials = vec![0; mesh.triangles.len()];
        mesh.materials = vec![material];
    }
}

fn form(shape: &PropShape, place: &Place, pedestals: &mut f32) -> Form {
    let at = |at: [super::scene_file::Place; 3]| Vector3::from(at.map(|v| v.get()));
    match *shape {
        PropShape::Floor { size, drop } => {
            let half = size.get() * 0.5;
            Form::plane(&Frame::level(Vector3::z() * -drop.get()), half, half)
        }
        PropShape::Sweep { depth, bend, drop } => {
            Form::sweep(depth.get(), bend.get(), -drop.get(), FAR)
        }
        PropShape::Wall {
            at,
            turn_deg,
            size,
            foot,
        } => {
            let [width, height] = size.map(|v| v.get());
            let middle = Vector3::new(at[0].get(), at[1].get(), foot.get() + height * 0.5);
            let frame = Frame::upright(middle, turn_deg.get());
            Form::plane(&frame, width * 0.5, height * 0.5)
        }
        PropShape::Pedestal {
            form,
            margin,
            height,
            edge,
        } => {
            let radius = (place.base_radius * margin.get()).max(LEAST_RADIUS);
            let foot = Vector3::z() * *pedestals;
            *pedestals += height.get();
            match form {
                PedestalForm::Round => Form::cylinder(foot, radius, height.get(), edge.get()),
                PedestalForm::Square => {
                    let size = Vector3::new(2.0 * radius, 2.0 * radius, height.get());
                    Form::block(&Frame::level(foot), size, edge.get())
                }
            }
        }
        PropShape::Table {
            size,
            thickness,
            edge,
        } => {
            let size = Vector3::new(size[0].get(), size[1].get(), thickness.get());
            let frame = Frame::level(Vector3::z() * -thickness.get());
            Form::block(&frame, size, edge.get())
        }
        PropShape::Block {
            at: foot,
            size,
            edge,
            turn_deg,
        } => {
            let frame = Frame::turned(at(foot), turn_deg.get());
            Form::block(&frame, Vector3::from(size.map(|v| v.get())), edge.get())
        }
        PropShape::Cylinder {
            at: foot,
            radius,
            height,
            edge,
        } => Form::cylinder(at(foot), radius.get(), height.get(), edge.get()),
        PropShape::Ball { at: middle, radius } => Form::ball(at(middle), radius.get()),
        PropShape::Disc { at: middle, radius } => Form::disc(at(middle), radius.get()),
        PropShape::Window {
            azimuth_deg,
            elevation_deg,
            distance,
            size,
            panes,
            bar,
            wall,
        } => {
            let direction = towards(azimuth_deg.get(), elevation_deg.get());
            let frame = Frame::facing(place.middle + direction * distance.get(), -direction);
            Form::window(&frame, size.map(|v| v.get()), panes, bar.get(), wall.get())
        }
    }
}
