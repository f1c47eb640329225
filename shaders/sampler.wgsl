// Twin of packshot-render/src/sampler.rs: the same numbers, bit for bit.

const PAIR_PIXEL: u32 = 0u;
const PAIR_LENS: u32 = 1u;
const PAIR_FIRST: u32 = 2u;
const PAIRS_A_BOUNCE: u32 = 3u;
const PAIR_DIRECTION: u32 = 0u;
const PAIR_LIGHT: u32 = 1u;
const PAIR_ROULETTE: u32 = 2u;

struct Sampler {
    pixel: u32,
    reversed: u32,
}

fn hash(value: u32) -> u32 {
    var x = value;
    x ^= x >> 16u;
    x *= 0x7feb352du;
    x ^= x >> 15u;
    x *= 0x846ca68bu;
    return x ^ (x >> 16u);
}

fn hash_combine(seed: u32, value: u32) -> u32 {
    return hash(seed ^ (value * 0x9e3779b9u + 0x85ebca6bu));
}

fn laine_karras(value: u32, seed: u32) -> u32 {
    var x = value + seed;
    x ^= x * 0x6c50b47cu;
    x ^= x * 0xb82f1e52u;
    x ^= x * 0xc7afe638u;
    return x ^ (x * 0x8d22f6e6u);
}

fn pascal(value: u32) -> u32 {
    var x = value;
    x ^= (x >> 1u) & 0x55555555u;
    x ^= (x >> 2u) & 0x33333333u;
    x ^= (x >> 4u) & 0x0f0f0f0fu;
    x ^= (x >> 8u) & 0x00ff00ffu;
    return x ^ ((x >> 16u) & 0x0000ffffu);
}

fn unit(bits: u32) -> f32 {
    return f32(bits >> 8u) * (1.0 / 16777216.0);
}

fn new_sampler(x: u32, y: u32, index: u32, seed: u32) -> Sampler {
    return Sampler(hash_combine(hash_combine(hash(seed), x), y), reverseBits(index));
}

fn pair(s: Sampler, number: u32) -> vec2f {
    let seed = hash_combine(s.pixel, number);
    let index = reverseBits(laine_karras(s.reversed, seed));
    let x = reverseBits(laine_karras(index, hash(seed ^ 0x68bc21ebu)));
    let y = reverseBits(laine_karras(pascal(index), hash(seed ^ 0x02e5be93u)));
    return vec2f(unit(x), unit(y));
}

fn bounce_pair(s: Sampler, bounce: u32, number: u32) -> vec2f {
    return pair(s, PAIR_FIRST + bounce * PAIRS_A_BOUNCE + number);
}

fn coverage(s: Sampler, ray: u32, triangle: u32) -> f32 {
    return unit(hash_combine(hash_combine(s.pixel ^ s.reversed, ray), triangle));
}
