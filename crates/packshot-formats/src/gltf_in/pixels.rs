//! Pictures of a glTF file.

use super::container::{Document, missing};
use crate::{picture_in, uri};
use gltf::json::texture::{Texture, WrappingMode};
use gltf::json::validation::Checked;
use packshot_core::{Error, Image, Result};
use packshot_geometry::Wrap;
use std::borrow::Cow;

/// Decoded bytes of all pictures of a file together.
const MAX_PIXEL_BYTES: usize = 1 << 30;

/// Decodes pictures and keeps an account of their size.
#[derive(Default)]
pub(super) struct Pictures {
    bytes: usize,
}

impl Pictures {
    /// The picture of a texture.
    pub(super) fn of_texture(
        &mut self,
        document: &Document<'_>,
        texture: &Texture,
    ) -> Result<Image> {
        let index = source(texture).ok_or_else(|| {
            Error::unsupported("the texture has no PNG, JPEG or WebP source")
                .with_hint("export the model again with PNG or JPEG textures")
        })?;
        let place = |e: Error| e.at(format!("images[{index}]"));
        let image = decode(document, index).map_err(place)?;
        self.bytes = self.bytes.saturating_add(image.data().len());
        if self.bytes > MAX_PIXEL_BYTES {
            return Err(place(
                Error::bad_input("the pictures of the file are above 1 GiB together")
                    .with_hint("scale the textures down"),
            ));
        }
        Ok(image)
    }
}

/// The picture that a texture shows; the WebP extension's comes first, where there is one.
fn source(texture: &Texture) -> Option<usize> {
    let webp = texture
        .extensions
        .as_ref()
        .and_then(|e| e.others.get("EXT_texture_webp"))
        .and_then(|e| e.get("source"))
        .and_then(|source| source.as_u64())
        .and_then(|source| usize::try_from(source).ok());
    let plain = texture.source.value();
    webp.or((plain != u32::MAX as usize).then_some(plain))
}

fn decode(document: &Document<'_>, index: usize) -> Result<Image> {
    let image = document
        .root
        .images
        .get(index)
        .ok_or_else(|| missing("image", index))?;
    let bytes = match (&image.buffer_view, &image.uri) {
        (Some(view), _) => Cow::Borrowed(document.view(view.value())?.0),
        (None, Some(uri)) => Cow::Owned(uri::fetch(uri, document.folder)?),
        (None, None) => return Err(Error::bad_input("it has neither bufferView nor uri")),
    };
    picture_in::decode_texture(&bytes)
}

/// How a texture is read outside 0..1, in u and v.
pub(super) fn wrapping(document: &Document<'_>, texture: &Texture) -> Result<[Wrap; 2]> {
    let Some(index) = texture.sampler else {
        return Ok([Wrap::Repeat; 2]);
    };
    let index = index.value();
    let sampler = document
        .root
        .samplers
        .get(index)
        .ok_or_else(|| missing("sampler", index))?;
    let wrap = |mode: &Checked<WrappingMode>| match mode {
        Checked::Valid(WrappingMode::ClampToEdge) => Ok(Wrap::Clamp),
        Checked::Valid(WrappingMode::MirroredRepeat) => Ok(Wrap::Mirror),
        Checked::Valid(WrappingMode::Repeat) => Ok(Wrap::Repeat),
        Checked::Invalid => {
            Err(Error::bad_input("its wrap mode is unknown").at(format!("samplers[{index}]")))
        }
    };
    Ok([wrap(&sampler.wrap_s)?, wrap(&sampler.wrap_t)?])
}
