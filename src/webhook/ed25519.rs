//! Ed25519 (RFC 8032, section 5.1) as Discord uses it, strictly: keys and signatures with which one
//! signature would fit many messages or keys are refused before the library is asked.
//!
//! The library refuses an `S` that is not below the group's order, and compares `R` in its one
//! encoding, so a signature cannot be rewritten into another one.

use ring::signature::{ED25519, UnparsedPublicKey};

use super::KeyError;

pub(super) const SIGNATURE_BYTES: usize = 64;
const POINT_BYTES: usize = 32;

/// The `y` of the points of small order, without the sign of `x`, in the encoding of RFC 8032:
/// 0 and both of order 8, 1 (the neutral one), and -1. With such a key, or with such an `R`, the
/// message does not matter any more.
const SMALL_ORDER: [[u8; POINT_BYTES]; 5] = [
    [0; POINT_BYTES],
    [
        1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0,
    ],
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
    [
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0x7f,
    ],
];

/// A public key that is safe to check with.
#[derive(Clone, Copy)]
pub(super) struct PublicKey([u8; POINT_BYTES]);

impl PublicKey {
    /// From 64 hex digits, as Discord's page of an application shows it.
    pub(super) fn from_hex(text: &[u8]) -> Result<Self, KeyError> {
        let mut key = [0; POINT_BYTES];
        hex::decode_to_slice(text, &mut key).map_err(|_| KeyError::NotAPublicKey)?;
        if is_weak(&key) { Err(KeyError::WeakPublicKey) } else { Ok(Self(key)) }
    }

    /// Whether the signature is this key's over the message.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> bool {
        let (r, _) = signature.split_at(POINT_BYTES);
        r.try_into().is_ok_and(|r| !is_weak(r))
            && UnparsedPublicKey::new(&ED25519, self.0).verify(message, signature).is_ok()
    }
}

/// Whether the encoding is of a point of small order, or not the one encoding of its point.
fn is_weak(point: &[u8; POINT_BYTES]) -> bool {
    let mut y = *point;
    y[POINT_BYTES - 1] &= 0x7f;
    // The prime is 2^255 - 19.
    let at_least_the_prime = y[0] >= 0xed
        && y[1..POINT_BYTES - 1].iter().all(|byte| *byte == 0xff)
        && y[POINT_BYTES - 1] == 0x7f;
    at_least_the_prime || SMALL_ORDER.contains(&y)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{Ed25519KeyPair, KeyPair as _};

    fn pair() -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
    }

    fn public() -> PublicKey {
        PublicKey::from_hex(hex::encode(pair().public_key()).as_bytes()).ok().unwrap()
    }

    fn signature(message: &[u8]) -> [u8; SIGNATURE_BYTES] {
        pair().sign(message).as_ref().try_into().unwrap()
    }

    /// The first and the third example of RFC 8032, section 7.1.
    #[test]
    fn the_examples_of_the_rfc_verify() {
        for (key, message, signed) in [
            (
                "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
                "",
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bac\
                 c61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
            ),
            (
                "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
                "af82",
                "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290\
                 ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
            ),
        ] {
            let key = PublicKey::from_hex(key.as_bytes()).ok().unwrap();
            let signed: [u8; 64] = hex::decode(signed).unwrap().try_into().unwrap();
            assert!(key.verifies(&hex::decode(message).unwrap(), &signed));
        }
    }

    #[test]
    fn a_changed_message_or_signature_does_not_verify() {
        let good = signature(b"1700000000{}");
        assert!(public().verifies(b"1700000000{}", &good));
        assert!(!public().verifies(b"1700000001{}", &good));
        for at in 0..SIGNATURE_BYTES {
            let mut bad = good;
            bad[at] ^= 1;
            assert!(!public().verifies(b"1700000000{}", &bad), "byte {at}");
        }
    }

    /// `S` plus the group's order is the same number to a lax check.
    #[test]
    fn a_signature_that_was_rewritten_does_not_verify() {
        const ORDER: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9,
            0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let mut rewritten = signature(b"m");
        let mut carry = 0_u16;
        for (byte, more) in rewritten[POINT_BYTES..].iter_mut().zip(ORDER) {
            carry += u16::from(*byte) + u16::from(more);
            *byte = carry.to_le_bytes()[0];
            carry >>= 8;
        }
        assert!(public().verifies(b"m", &signature(b"m")));
        assert!(!public().verifies(b"m", &rewritten));
    }

    #[test]
    fn keys_that_anybody_could_sign_for_are_refused() {
        let mut weak = SMALL_ORDER.to_vec();
        weak.extend(SMALL_ORDER.map(|mut key| {
            key[31] |= 0x80;
            key
        }));
        // The prime itself and the number after it: other encodings of 0 and 1.
        for low in [0xed, 0xee] {
            let mut key = [0xff; POINT_BYTES];
            (key[0], key[31]) = (low, 0x7f);
            weak.push(key);
        }
        for key in weak {
            let refused = PublicKey::from_hex(hex::encode(key).as_bytes()).err();
            assert_eq!(refused, Some(KeyError::WeakPublicKey), "{key:x?}");
        }
    }

    /// A key of small order, `R` the neutral point and `S` zero fit each message.
    #[test]
    fn a_signature_of_a_weak_point_does_not_verify() {
        let mut signature = [0; SIGNATURE_BYTES];
        signature[0] = 1;
        let neutral = PublicKey(SMALL_ORDER[1]);
        assert!(UnparsedPublicKey::new(&ED25519, neutral.0).verify(b"any", &signature).is_ok());
        assert!(!neutral.verifies(b"any", &signature));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "zz", &"0".repeat(63), &"ab".repeat(33)] {
            let refused = PublicKey::from_hex(text.as_bytes()).err();
            assert_eq!(refused, Some(KeyError::NotAPublicKey), "{text}");
        }
    }
}
