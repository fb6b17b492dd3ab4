//! Which encodings of Ed25519 points all providers refuse.
//!
//! RFC 8032 leaves room: libraries differ on points of small order and on encodings whose `y` is not reduced. Under a
//! small-order key one signature fits many messages, so a network that accepts such keys has identities that anybody
//! can speak for. Here both are refused before a library sees them, and so is a small-order `R`. What remains has one
//! meaning: the group equation without cofactor, which dalek's `verify_strict` and aws-lc compute alike.

/// The `y` coordinates (little-endian, sign bit clear) of the eight points whose order divides 8.
const SMALL_ORDER_Y: [[u8; 32]; 5] = [
    // Order 4: y = 0, with either sign of x.
    [0; 32],
    // The neutral element: y = 1.
    {
        let mut one = [0; 32];
        one[0] = 1;
        one
    },
    // Order 2: y = -1.
    [
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0x7f,
    ],
    // Order 8: four points, two values of y.
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
];

/// Whether `point` encodes a reduced `y` (below 2²⁵⁵ - 19) that belongs to no point of small order.
///
/// It says nothing on whether `y` is on the curve: that is left to the library. Points are public, so this may take a
/// time that depends on them.
pub(crate) fn is_acceptable(point: &[u8; 32]) -> bool {
    let mut y = *point;
    y[31] &= 0x7f;
    let unreduced = y[31] == 0x7f && y[1..31].iter().all(|&byte| byte == 0xff) && y[0] >= 0xed;
    !unreduced && !SMALL_ORDER_Y.contains(&y)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unreduced_encodings_are_refused_and_the_last_reduced_one_is_minus_one() {
        for low in 0..=255_u8 {
            let mut point = [0xff; 32];
            point[0] = low;
            // Below 0xec (-1) the encodings are reduced and, up to the curve equation, ordinary.
            assert_eq!(is_acceptable(&point), low < 0xec, "{low:#x}");
            point[31] = 0x7f;
            assert_eq!(is_acceptable(&point), low < 0xec, "{low:#x}");
        }
    }

    /// The table against dalek's arithmetic: dalek takes every encoding in it, in either sign, for a weak key.
    #[test]
    #[cfg(feature = "pure")]
    fn the_table_holds_points_of_small_order() {
        let mut points = 0;
        for y in SMALL_ORDER_Y {
            for sign in [0, 0x80] {
                let mut point = y;
                point[31] |= sign;
                assert!(!is_acceptable(&point));
                let Ok(key) = ed25519_dalek::VerifyingKey::from_bytes(&point) else { continue };
                assert!(key.is_weak());
                points += 1;
            }
        }
        // Eight points, and "minus zero" for the x of y = 1 and y = -1.
        assert_eq!(points, 10);
    }

    /// An ordinary key passes.
    #[test]
    fn the_base_point_is_acceptable() {
        let mut base = [0x66; 32];
        base[0] = 0x58;
        assert!(is_acceptable(&base));
    }
}
