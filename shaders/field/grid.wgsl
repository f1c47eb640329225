// Twin of packshot-nerf/src/grid: the corners of a sample's cells and what lies between them. The
// table has the layout of the processor's: level by level, `FEATURES` floats an entry.

struct Level {
    // First entry in the table, and number of entries.
    offset: u32,
    size: u32,
    scale: f32,
    shift: f32,
    side: u32,
    is_dense: u32,
}

@group(0) @binding(1) var<storage, read> levels: array<Level>;
@group(0) @binding(2) var<storage, read> table: array<Entry>;

// What `encode` found, level by level.
var<private> features: array<f32, CHANNELS>;

// Entry of a vertex, within its level.
fn entry_of(level: Level, vertex: vec3u) -> u32 {
    if level.is_dense != 0u {
        // A vertex outside the lattice (staggered, at the far faces) wraps around.
        let entry = vertex.x + vertex.y * level.side + vertex.z * level.side * level.side;
        return select(entry - level.size, entry, entry < level.size);
    }
    // The table of a hashed level is a power of two.
    let hash = vertex.x ^ (vertex.y * 2654435761u) ^ (vertex.z * 805459861u);
    return hash & (level.size - 1u);
}

fn encode(x: vec3f) {
    let inside = clamp(x, vec3f(0.0), vec3f(1.0));
    for (var l = 0u; l < LEVELS; l++) {
        let level = levels[l];
        let whole = floor(fma(inside, vec3f(level.scale), vec3f(level.shift)));
        let cell = vec3u(whole);
        // Again from the start: the sum itself has lost the digits that its whole part took.
        let upper = fma(inside, vec3f(level.scale), vec3f(level.shift) - whole);
        let lower = vec3f(1.0) - upper;
        var sum: Entry;
        for (var k = 0u; k < 8u; k++) {
            let up = vec3u(k & 1u, (k >> 1u) & 1u, k >> 2u);
            let side = select(lower, upper, up == vec3u(1u));
            let weight = side.x * side.y * side.z;
            sum += table[level.offset + entry_of(level, cell + up)] * weight;
        }
        for (var f = 0u; f < FEATURES; f++) {
            features[l * FEATURES + f] = feature(sum, f);
        }
    }
}
