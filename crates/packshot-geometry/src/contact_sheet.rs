//! Sheets of pictures.

use packshot_core::Image;

/// Pictures in rows of `columns`, left to right, each centred in a cell of the largest width and
/// height, with `margin` pixels around every cell. Pictures with alpha are put on `background`.
/// Without pictures or columns the sheet has a margin's size.
pub fn contact_sheet(
    images: &[Image],
    columns: usize,
    margin: usize,
    background: [u8; 3],
) -> Image {
    let columns = columns.min(images.len());
    let rows = images.len().div_ceil(columns.max(1));
    let cell_width = images.iter().map(Image::width).max().unwrap_or(0);
    let cell_height = images.iter().map(Image::height).max().unwrap_or(0);
    let (rows, columns) = if columns == 0 {
        (0, 0)
    } else {
        (rows, columns)
    };
    let mut sheet = Image::filled(
        margin + columns * (cell_width + margin),
        margin + rows * (cell_height + margin),
        &background,
    );
    if columns == 0 {
        return sheet;
    }
    for (i, image) in images.iter().enumerate() {
        let image = image.on_background(background);
        let left = margin + i % columns * (cell_width + margin) + (cell_width - image.width()) / 2;
        let top =
            margin + i / columns * (cell_height + margin) + (cell_height - image.height()) / 2;
        if image.width() == 0 {
            continue;
        }
        let stride = sheet.width() * 3;
        for (y, row) in image.data().chunks_exact(image.width() * 3).enumerate() {
            let start = (top + y) * stride + left * 3;
            sheet.data_mut()[start..start + row.len()].copy_from_slice(row);
        }
    }
    sheet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_stand_in_rows_with_margins_around() {
        let images = [
            Image::filled(4, 4, &[10, 0, 0]),
            Image::filled(2, 2, &[20, 0, 0, 255]),
            Image::filled(4, 2, &[30, 0, 0]),
        ];
        let sheet = contact_sheet(&images, 2, 1, [255; 3]);
        assert_eq!((sheet.width(), sheet.height()), (11, 11));
        assert_eq!(sheet.pixel(1, 1), [10, 0, 0]);
        assert_eq!(sheet.pixel(4, 4), [10, 0, 0]);
        assert_eq!(sheet.pixel(7, 2), [20, 0, 0]);
        assert_eq!(sheet.pixel(8, 3), [20, 0, 0]);
        assert_eq!(sheet.pixel(1, 7), [30, 0, 0]);
        let red: usize = (0..11 * 11)
            .filter(|i| sheet.pixel(i % 11, i / 11)[0] != 255)
            .count();
        assert_eq!(red, 16 + 4 + 8);
        assert_eq!(contact_sheet(&[], 3, 2, [0; 3]).width(), 2);
        assert_eq!(contact_sheet(&images, 0, 2, [0; 3]).height(), 2);
    }
}
