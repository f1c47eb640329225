//! OpenEXR out: linear light with alpha, depth and a mask, for compositing.

use crate::atomic::write_file;
use exr::prelude::{
    AnyChannel, AnyChannels, Encoding, FlatSamples, Image as ExrImage, Layer, LayerAttributes,
    Text, WritableImage, f16,
};
use packshot_core::{Error, Result};
use std::io::Cursor;
use std::path::Path;

/// What `Z` says where nothing is; Blender's value.
pub const EXR_FAR: f32 = 1e10;

/// A picture in linear light (sRGB primaries) with what compositing needs. Every list has
/// `width · height` entries, rows from the top.
#[derive(Clone, Copy, Debug)]
pub struct ExrPicture<'a> {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Red, green, blue times alpha, and alpha: OpenEXR's convention.
    pub premultiplied: &'a [[f32; 4]],
    /// Metres in front of the camera; not finite where nothing is.
    pub depth_m: &'a [f32],
    /// 1 on the object, 0 beside it.
    pub mask: &'a [f32],
    /// The comment of the file.
    pub comment: &'a str,
    /// The program that made it.
    pub software: &'a str,
}

/// Writes an EXR, see [`encode_exr`]; the file appears under its name when it is whole.
///
/// # Errors
/// As [`encode_exr`], and [`packshot_core::ErrorKind::Io`].
pub fn write_exr(path: &Path, picture: &ExrPicture<'_>) -> Result<()> {
    let bytes = encode_exr(picture).map_err(|e| e.at(path.display()))?;
    write_file(path, &bytes)
}

/// The bytes of an EXR with ZIP compression: `R`, `G`, `B`, `A` and `mask.A` as half floats, `Z` as
/// float ([`EXR_FAR`] where nothing is).
///
/// # Errors
/// [`packshot_core::ErrorKind::Unsupported`] for a picture without pixels, `Internal` for lists of
/// another length.
pub fn encode_exr(picture: &ExrPicture<'_>) -> Result<Vec<u8>> {
    let pixels = picture.width.saturating_mul(picture.height);
    if pixels == 0 {
        return Err(
            Error::unsupported("a picture without pixels cannot be written as EXR")
                .with_hint("choose another size"),
        );
    }
    let lengths = [
        picture.premultiplied.len(),
        picture.depth_m.len(),
        picture.mask.len(),
    ];
    if lengths != [pixels; 3] {
        return Err(Error::internal("the layers of an EXR have different sizes"));
    }
    let half = |value: f32| f16::from_f32(value.clamp(-65_504.0, 65_504.0));
    let colour =
        |c: usize| FlatSamples::F16(picture.premultiplied.iter().map(|p| half(p[c])).collect());
    let far = |&d: &f32| if d.is_finite() { d } else { EXR_FAR };
    let channels = [
        AnyChannel::new("R", colour(0)),
        AnyChannel::new("G", colour(1)),
        AnyChannel::new("B", colour(2)),
        AnyChannel::new("A", colour(3)),
        AnyChannel::new(
            "Z",
            FlatSamples::F32(picture.depth_m.iter().map(far).collect()),
        ),
        AnyChannel::new(
            "mask.A",
            FlatSamples::F16(picture.mask.iter().map(|&v| half(v)).collect()),
        ),
    ];
    let text = |text: &str| Text::new_or_none(text).filter(|_| !text.is_empty());
    let attributes = LayerAttributes {
        comments: text(picture.comment),
        software_name: text(picture.software),
        ..LayerAttributes::default()
    };
    let layer = Layer::new(
        (picture.width, picture.height),
        attributes,
        Encoding::SMALL_LOSSLESS,
        AnyChannels::sort(channels.into_iter().collect()),
    );
    let mut out = Cursor::new(Vec::new());
    ExrImage::from_layer(layer)
        .write()
        .non_parallel()
        .to_buffered(&mut out)
        .map_err(|e| Error::internal(format!("the EXR cannot be written: {e}")))?;
    Ok(out.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode_radiance_map;
    use exr::prelude::{ReadChannels, ReadLayers};

    #[test]
    fn light_above_one_depth_and_mask_are_kept() {
        let premultiplied = [
            [2.5, 0.25, 0.0, 1.0],
            [0.125, 0.5, 1.0, 0.5],
            [0.0; 4],
            [1.0; 4],
        ];
        let picture = ExrPicture {
            width: 2,
            height: 2,
            premultiplied: &premultiplied,
            depth_m: &[1.234_567, 2.0, f32::INFINITY, 3.0],
            mask: &[1.0, 0.5, 0.0, 0.0],
            comment: "asset: chair",
            software: "Packshot",
        };
        let bytes = encode_exr(&picture).unwrap();
        assert_eq!(encode_exr(&picture).unwrap(), bytes);
        let back = decode_radiance_map(&bytes).unwrap();
        assert_eq!((back.width, back.height), (2, 2));
        assert_eq!(back.rgb[0], [2.5, 0.25, 0.0]);
        let image = exr::prelude::read()
            .no_deep_data()
            .largest_resolution_level()
            .all_channels()
            .first_valid_layer()
            .all_attributes()
            .non_parallel()
            .from_buffered(Cursor::new(&bytes))
            .unwrap();
        let layer = image.layer_data;
        assert_eq!(
            layer.attributes.comments.unwrap().to_string(),
            "asset: chair"
        );
        let channel = |name: &str| -> Vec<f32> {
            let list = &layer.channel_data.list;
            let found = list.iter().find(|c| c.name.to_string() == name).unwrap();
            found.sample_data.values_as_f32().collect()
        };
        assert_eq!(channel("Z"), [1.234_567, 2.0, EXR_FAR, 3.0]);
        assert_eq!(channel("mask.A"), [1.0, 0.5, 0.0, 0.0]);
        assert_eq!(channel("A"), [1.0, 0.5, 0.0, 1.0]);
    }

    #[test]
    fn nothing_is_no_picture() {
        let none = ExrPicture {
            width: 0,
            height: 4,
            premultiplied: &[],
            depth_m: &[],
            mask: &[],
            comment: "",
            software: "",
        };
        assert!(encode_exr(&none).is_err());
        let wrong = ExrPicture { width: 1, ..none };
        assert!(encode_exr(&wrong).is_err());
    }
}
