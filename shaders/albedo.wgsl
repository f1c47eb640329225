// Twin of packshot-render/src/albedo.rs, which makes the tables.

// Entries along each axis.
const SIDE: u32 = 32u;

struct Albedo {
    mirror: f32,
    mirror_mean: f32,
    dielectric: f32,
}

// The first of two neighbours of a coordinate in 0..1 and the weight of the second.
struct Place {
    index: u32,
    share: f32,
}

fn place(coordinate: f32) -> Place {
    let at = clamp(coordinate, 0.0, 1.0) * f32(SIDE - 1u);
    let index = min(u32(at), SIDE - 2u);
    return Place(index, at - f32(index));
}

fn bilinear_entry(table: u32, column: Place, row: Place) -> f32 {
    let at = table + row.index * SIDE + column.index;
    let near = word_f32(at) * (1.0 - column.share) + word_f32(at + 1u) * column.share;
    let away = word_f32(at + SIDE) * (1.0 - column.share)
        + word_f32(at + SIDE + 1u) * column.share;
    return near * (1.0 - row.share) + away * row.share;
}

fn albedo_at(cosine: f32, roughness: f32) -> Albedo {
    let column = place(cosine);
    let row = place(roughness);
    let mirror = params.albedos_at;
    let dielectric = mirror + SIDE * SIDE;
    let means = dielectric + SIDE * SIDE + row.index;
    return Albedo(
        bilinear_entry(mirror, column, row),
        word_f32(means) * (1.0 - row.share) + word_f32(means + 1u) * row.share,
        bilinear_entry(dielectric, column, row),
    );
}
