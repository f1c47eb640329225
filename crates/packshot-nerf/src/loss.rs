//! The loss of a pixel's channel.

/// Huber's loss: a parabola near zero, straight beyond `delta`; divided so that the parabola is
/// the squared error when `delta` is 0.1 (as instant-ngp trains).
pub const HUBER_DELTA: f32 = 0.1;

/// The loss of a difference and its slope.
#[inline(always)]
pub fn huber(difference: f32) -> (f32, f32) {
    let size = difference.abs();
    if size <= HUBER_DELTA {
        (difference * difference, 2.0 * difference)
    } else {
        let slope = 2.0 * HUBER_DELTA;
        (
            slope * (size - 0.5 * HUBER_DELTA),
            slope.copysign(difference),
        )
    }
}
