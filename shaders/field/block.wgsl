// Twin of packshot-nerf/src/field/block.rs, one sample at a time. The networks have the layout of
// the processor's: five matrices, rows of outputs, one after the other. What a ray's samples share
// of the colour network's first layer is summed once a ray.

// Numbers that the density network hands to the colour network.
const GEOMETRY: u32 = 16u;
const COLOUR_INPUTS: u32 = GEOMETRY + HARMONICS + APPEARANCE;
const LOG_DENSITY_LIMIT: f32 = 15.0;
// Where the matrices begin.
const D1: u32 = DENSITY_HIDDEN * CHANNELS;
const C0: u32 = D1 + GEOMETRY * DENSITY_HIDDEN;
const C1: u32 = C0 + COLOUR_HIDDEN * COLOUR_INPUTS;
const C2: u32 = C1 + COLOUR_HIDDEN * COLOUR_HIDDEN;

@group(0) @binding(3) var<storage, read> network: array<f32>;
@group(0) @binding(4) var<storage, read> appearance: array<f32>;

var<private> geometry: array<f32, GEOMETRY>;
// The first colour layer's sums over the direction's harmonics and the appearance.
var<private> seen: array<f32, COLOUR_HIDDEN>;
var<private> colour0: array<f32, COLOUR_HIDDEN>;

// Density of a position in the unit cube; leaves `geometry` for `colour`.
fn density(x: vec3f) -> f32 {
    encode(x);
    for (var k = 0u; k < GEOMETRY; k++) {
        geometry[k] = 0.0;
    }
    for (var j = 0u; j < DENSITY_HIDDEN; j++) {
        var sum = 0.0;
        for (var c = 0u; c < CHANNELS; c++) {
            sum = fma(network[j * CHANNELS + c], features[c], sum);
        }
        let hidden = max(sum, 0.0);
        for (var k = 0u; k < GEOMETRY; k++) {
            geometry[k] = fma(network[D1 + k * DENSITY_HIDDEN + j], hidden, geometry[k]);
        }
    }
    return exponential(clamp(geometry[0], -LOG_DENSITY_LIMIT, LOG_DENSITY_LIMIT));
}

// What the samples of a ray have in common.
fn view_inputs(direction: vec3f) {
    var shared_inputs = harmonics(direction);
    for (var j = 0u; j < COLOUR_HIDDEN; j++) {
        let row = C0 + j * COLOUR_INPUTS + GEOMETRY;
        var sum = 0.0;
        for (var h = 0u; h < HARMONICS; h++) {
            sum = fma(network[row + h], shared_inputs[h], sum);
        }
        for (var a = 0u; a < APPEARANCE; a++) {
            sum = fma(network[row + HARMONICS + a], appearance[a], sum);
        }
        seen[j] = sum;
    }
}

// Colour of the sample that `density` was asked for last.
fn colour() -> vec3f {
    for (var j = 0u; j < COLOUR_HIDDEN; j++) {
        var sum = seen[j];
        for (var k = 0u; k < GEOMETRY; k++) {
            sum = fma(network[C0 + j * COLOUR_INPUTS + k], geometry[k], sum);
        }
        colour0[j] = max(sum, 0.0);
    }
    var raw = vec3f(0.0);
    for (var j = 0u; j < COLOUR_HIDDEN; j++) {
        var sum = 0.0;
        for (var k = 0u; k < COLOUR_HIDDEN; k++) {
            sum = fma(network[C1 + j * COLOUR_HIDDEN + k], colour0[k], sum);
        }
        let hidden = max(sum, 0.0);
        for (var c = 0u; c < 3u; c++) {
            raw[c] = fma(network[C2 + c * COLOUR_HIDDEN + j], hidden, raw[c]);
        }
    }
    return vec3f(sigmoid(raw.x), sigmoid(raw.y), sigmoid(raw.z));
}
