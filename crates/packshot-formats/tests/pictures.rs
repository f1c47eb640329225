//! Pictures of every kind come in as 8-bit sRGB, upright.

#![allow(clippy::unwrap_used, reason = "what fails to unwrap fails the test")]

use packshot_core::Image;
use packshot_formats::read_picture;
use std::path::Path;

fn read(name: &str) -> Image {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures");
    read_picture(&folder.join(name)).unwrap()
}

fn close(pixel: &[u8], wanted: [u8; 3]) -> bool {
    let far = |(a, b): (&u8, &u8)| a.abs_diff(*b);
    pixel.iter().zip(&wanted).map(far).all(|far| far < 40)
}

#[test]
fn every_kind_of_png_gives_its_levels() {
    let pixels = |name: &str| {
        let image = read(name);
        (image.channels(), image.data().to_vec())
    };
    let row = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 8, 7]];
    let back: Vec<[u8; 3]> = row.into_iter().rev().collect();
    let both = [row.as_flattened(), back.as_flattened()].concat();
    assert_eq!(pixels("palette.png"), (3, both));
    let (channels, data) = pixels("palette-alpha.png");
    assert_eq!(channels, 4);
    assert_eq!(
        data[..16],
        [255, 0, 0, 255, 0, 255, 0, 128, 0, 0, 255, 0, 9, 8, 7, 255]
    );
    let greys = |levels: &[u8]| levels.iter().flat_map(|&v| [v; 3]).collect::<Vec<u8>>();
    assert_eq!(pixels("grey-8.png"), (3, greys(&[0, 100, 255])));
    assert_eq!(pixels("grey-16.png"), (3, greys(&[0, 100, 255, 128])));
    assert_eq!(
        pixels("grey-alpha.png"),
        (4, vec![10, 10, 10, 255, 200, 200, 200, 64])
    );
    assert_eq!(pixels("rgb-16.png"), (3, vec![1, 2, 3, 255, 0, 128]));
}

#[test]
fn cameras_that_were_turned_give_upright_pictures() {
    for orientation in 1..=8 {
        let image = read(&format!("orientation-{orientation}.jpg"));
        assert_eq!((image.width(), image.height()), (32, 16), "{orientation}");
        assert!(close(image.pixel(3, 3), [255, 0, 0]), "{orientation}");
        assert!(close(image.pixel(3, 12), [0, 255, 0]), "{orientation}");
        assert!(close(image.pixel(28, 3), [0, 0, 255]), "{orientation}");
    }
}

#[test]
fn other_codings_keep_the_colours() {
    assert!(close(read("lossy.webp").pixel(3, 3), [255, 0, 0]));
    assert!(close(read("cmyk.jpg").pixel(4, 4), [255, 0, 0]));
    // Rec. 601 luma of the blue half.
    assert!(close(read("grey.jpg").pixel(28, 3), [29; 3]));
}
