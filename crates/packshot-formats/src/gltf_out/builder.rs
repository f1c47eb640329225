//! The JSON root and the binary part, grown together.

use gltf::json::accessor::{ComponentType, GenericComponentType, Type};
use gltf::json::buffer::{Buffer, Stride, Target, View};
use gltf::json::mesh::Primitive;
use gltf::json::validation::Checked;
use gltf::json::{Accessor, Asset, Index, Mesh, Node, Root, Scene, Value};
use packshot_core::{Error, Result};
use std::borrow::Cow;

/// Whether vertex data or indices lie in a view.
#[derive(Clone, Copy)]
pub(super) enum Use {
    Vertices,
    Indices,
}

/// A glTF document that grows.
#[derive(Default)]
pub(super) struct Builder {
    pub(super) root: Root,
    binary: Vec<u8>,
    nodes: Vec<Index<Node>>,
}

impl Builder {
    /// Adds bytes that no accessor refers to, such as a picture.
    pub(super) fn add_view(&mut self, bytes: &[u8]) -> Index<View> {
        self.add_view_as(bytes, None, None)
    }

    fn add_view_as(
        &mut self,
        bytes: &[u8],
        stride: Option<usize>,
        target: Option<Target>,
    ) -> Index<View> {
        // Every view begins at a multiple of the largest component.
        self.binary.resize(self.binary.len().next_multiple_of(4), 0);
        let offset = self.binary.len();
        self.binary.extend_from_slice(bytes);
        self.root.push(View {
            buffer: Index::new(0),
            byte_length: bytes.len().into(),
            byte_offset: (offset > 0).then(|| offset.into()),
            byte_stride: stride.map(Stride),
            name: None,
            target: target.map(Checked::Valid),
            extensions: None,
            extras: Default::default(),
        })
    }

    /// Adds `count` elements of `kind`; `bytes` holds them without gaps, each a multiple of four
    /// bytes long for vertex data.
    pub(super) fn add_accessor(
        &mut self,
        bytes: &[u8],
        count: usize,
        (kind, component): (Type, ComponentType),
        purpose: Use,
    ) -> Index<Accessor> {
        let target = match purpose {
            Use::Vertices => Target::ArrayBuffer,
            Use::Indices => Target::ElementArrayBuffer,
        };
        let view = self.add_view_as(bytes, None, Some(target));
        self.root.push(Accessor {
            buffer_view: Some(view),
            byte_offset: None,
            count: count.into(),
            component_type: Checked::Valid(GenericComponentType(component)),
            extensions: None,
            extras: Default::default(),
            type_: Checked::Valid(kind),
            min: None,
            max: None,
            name: None,
            normalized: false,
            sparse: None,
        })
    }

    /// Adds vectors of floats.
    pub(super) fn add_floats<const N: usize>(&mut self, values: &[[f32; N]]) -> Index<Accessor> {
        let bytes: Vec<u8> = values
            .as_flattened()
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect();
        let kind = match N {
            2 => Type::Vec2,
            3 => Type::Vec3,
            _ => Type::Vec4,
        };
        let layout = (kind, ComponentType::F32);
        self.add_accessor(&bytes, values.len(), layout, Use::Vertices)
    }

    /// Adds positions, with their bounds, which glTF asks for.
    pub(super) fn add_positions(&mut self, positions: &[[f32; 3]]) -> Index<Accessor> {
        let mut low = [f32::INFINITY; 3];
        let mut high = [f32::NEG_INFINITY; 3];
        for position in positions {
            for axis in 0..3 {
                low[axis] = low[axis].min(position[axis]);
                high[axis] = high[axis].max(position[axis]);
            }
        }
        let index = self.add_floats(positions);
        if let Some(accessor) = self.root.accessors.get_mut(index.value()) {
            accessor.min = Some(Value::from(low.to_vec()));
            accessor.max = Some(Value::from(high.to_vec()));
        }
        index
    }

    /// Adds a node with a mesh of `primitives`.
    pub(super) fn add_node(&mut self, name: &str, primitives: Vec<Primitive>) {
        let mesh = self.root.push(Mesh {
            extensions: None,
            extras: Default::default(),
            name: Some(name.to_owned()),
            primitives,
            weights: None,
        });
        let node = self.root.push(Node {
            mesh: Some(mesh),
            name: Some(name.to_owned()),
            ..Node::default()
        });
        self.nodes.push(node);
    }

    /// Notes that the file uses an extension.
    pub(super) fn uses(&mut self, extension: &str) {
        let used = &mut self.root.extensions_used;
        if !used.iter().any(|name| name == extension) {
            used.push(extension.to_owned());
        }
    }

    /// The bytes of the file.
    pub(super) fn finish(mut self) -> Result<Vec<u8>> {
        self.root.asset = Asset {
            generator: Some(format!("Packshot {}", env!("CARGO_PKG_VERSION"))),
            ..Asset::default()
        };
        let scene = self.root.push(Scene {
            extensions: None,
            extras: Default::default(),
            name: None,
            nodes: self.nodes,
        });
        self.root.scene = Some(scene);
        self.binary.resize(self.binary.len().next_multiple_of(4), 0);
        self.root.buffers.push(Buffer {
            byte_length: self.binary.len().into(),
            name: None,
            uri: None,
            extensions: None,
            extras: Default::default(),
        });
        let json = self
            .root
            .to_vec()
            .map_err(|e| Error::internal(format!("cannot write glTF's JSON: {e}")))?;
        let length = 12 + 8 + json.len().next_multiple_of(4) + 8 + self.binary.len();
        let length = u32::try_from(length).map_err(|_| {
            Error::unsupported("a GLB file cannot be larger than 4 GiB")
                .with_hint("reduce the number of points or triangles, or the size of the textures")
        })?;
        let glb = gltf::Glb {
            header: gltf::binary::Header {
                magic: *b"glTF",
                version: 2,
                length,
            },
            json: Cow::Owned(json),
            bin: Some(Cow::Owned(self.binary)),
        };
        glb.to_vec()
            .map_err(|e| Error::internal(format!("cannot write the GLB container: {e}")))
    }
}
