// Twin of packshot-render/src/material.rs: a material is a run of words.

const MATERIAL_WORDS: u32 = 45u;
const MIN_ROUGHNESS: f32 = 0.02;

const COVERAGE_OPAQUE: u32 = 0u;
const COVERAGE_MASK: u32 = 1u;

const FLAG_UNLIT: u32 = 1u;
const FLAG_PRODUCT: u32 = 2u;
const FLAG_CATCHER: u32 = 4u;
const FLAG_DISC: u32 = 8u;
const FLAG_METALLIC_TEXTURE: u32 = 16u;
const FLAG_ROUGHNESS_TEXTURE: u32 = 32u;
const FLAG_NORMALS: u32 = 64u;
const FLAG_UVS: u32 = 128u;
const FLAG_COLOURS: u32 = 256u;
const FLAG_TANGENTS: u32 = 512u;

// Places of its values from the first word.
const M_BASE: u32 = 0u;
const M_ALPHA: u32 = 3u;
const M_COVERAGE: u32 = 4u;
const M_CUTOFF: u32 = 5u;
const M_METALLIC: u32 = 6u;
const M_ROUGHNESS: u32 = 7u;
const M_NORMAL_SCALE: u32 = 8u;
const M_FLAGS: u32 = 9u;
const M_EMISSIVE: u32 = 10u;
// What is added to a vertex's number to find its attribute.
const M_NORMALS: u32 = 13u;
const M_UVS: u32 = 14u;
const M_COLOURS: u32 = 15u;
const M_TANGENTS: u32 = 16u;
// Slots: the texture and the two rows of its transform.
const M_BASE_SLOT: u32 = 17u;
const M_ROUGHNESS_SLOT: u32 = 24u;
const M_NORMAL_SLOT: u32 = 31u;
const M_EMISSIVE_SLOT: u32 = 38u;

fn material_of(triangle: u32) -> u32 {
    return params.materials_at + triangles[triangle].w * MATERIAL_WORDS;
}

fn slot_uv(slot: u32, uv: vec2f) -> vec2f {
    let u = word_vec3(slot + 1u);
    let v = word_vec3(slot + 4u);
    return vec2f(u.x * uv.x + u.y * uv.y + u.z, v.x * uv.x + v.y * uv.y + v.z);
}

// Metallic and roughness.
fn metallic_roughness(material: u32, uv: vec2f) -> vec2f {
    var found = vec2f(word_f32(material + M_METALLIC), word_f32(material + M_ROUGHNESS));
    let slot = material + M_ROUGHNESS_SLOT;
    if words[slot] == NONE {
        return found;
    }
    let flags = words[material + M_FLAGS];
    let read = bilinear(words[slot], slot_uv(slot, uv), false);
    if (flags & FLAG_METALLIC_TEXTURE) != 0u {
        found.x *= read.b;
    }
    if (flags & FLAG_ROUGHNESS_TEXTURE) != 0u {
        found.y = max(found.y * read.g, MIN_ROUGHNESS);
    }
    return found;
}
