//! XXH64 of short strings, after the algorithm's specification (Cyan4973/xxHash, `doc/xxhash_spec.md`).

const P1: u64 = 0x9e37_79b1_85eb_ca87;
const P2: u64 = 0xc2b2_ae3d_27d4_eb4f;
const P3: u64 = 0x1656_67b1_9e37_79f9;
const P4: u64 = 0x85eb_ca77_c2b2_ae63;
const P5: u64 = 0x27d4_eb2f_1656_67c5;

fn round(acc: u64, lane: u64) -> u64 {
    acc.wrapping_add(lane.wrapping_mul(P2)).rotate_left(31).wrapping_mul(P1)
}

fn merge(hash: u64, acc: u64) -> u64 {
    (hash ^ round(0, acc)).wrapping_mul(P1).wrapping_add(P4)
}

/// The hash of `bytes` with `seed`.
pub(super) fn xxh64(bytes: &[u8], seed: u64) -> u64 {
    let (stripes, mut rest) = bytes.as_chunks::<32>();
    let mut hash = if stripes.is_empty() {
        seed.wrapping_add(P5)
    } else {
        let mut acc = [seed.wrapping_add(P1).wrapping_add(P2), seed.wrapping_add(P2), seed, seed.wrapping_sub(P1)];
        for stripe in stripes {
            for (acc, lane) in acc.iter_mut().zip(stripe.as_chunks::<8>().0) {
                *acc = round(*acc, u64::from_le_bytes(*lane));
            }
        }
        let turned = |i: usize, by: u32| acc[i].rotate_left(by);
        let sum = turned(0, 1).wrapping_add(turned(1, 7)).wrapping_add(turned(2, 12)).wrapping_add(turned(3, 18));
        acc.into_iter().fold(sum, merge)
    };
    hash = hash.wrapping_add(bytes.len() as u64);
    let (words, tail) = rest.as_chunks::<8>();
    for word in words {
        hash = (hash ^ round(0, u64::from_le_bytes(*word))).rotate_left(27).wrapping_mul(P1).wrapping_add(P4);
    }
    rest = tail;
    if let Some((half, tail)) = rest.split_first_chunk::<4>() {
        let half = u64::from(u32::from_le_bytes(*half));
        hash = (hash ^ half.wrapping_mul(P1)).rotate_left(23).wrapping_mul(P2).wrapping_add(P3);
        rest = tail;
    }
    for byte in rest {
        hash = (hash ^ u64::from(*byte).wrapping_mul(P5)).rotate_left(11).wrapping_mul(P1);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(P2);
    hash = (hash ^ (hash >> 29)).wrapping_mul(P3);
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_reference_library() {
        // python-xxhash 4.1: xxh64_intdigest(text, seed) for seeds 0 and 5.
        for (byte, len, plain, seeded) in [
            (b'a', 0, 0xef46_db37_51d8_e999, 0x4be1_d406_981c_fd3b),
            (b'a', 1, 0xd24e_c4f1_a98c_6e5b, 0x5156_8c71_0200_c53e),
            (b'x', 31, 0x60dd_0d01_083b_99f0, 0x1572_442d_3ba1_67ab),
            (b'y', 32, 0x64da_1f1d_3495_ce66, 0x1958_d156_cba9_0019),
            (b'z', 77, 0x91e4_8dc3_a1ef_96d8, 0x845a_47ff_aedd_6a8f),
        ] {
            let text = vec![byte; len];
            assert_eq!((xxh64(&text, 0), xxh64(&text, 5)), (plain, seeded), "{len} bytes");
        }
        assert_eq!(xxh64(b"abc", 0), 0x44bc_2cf5_ad77_0999);
    }
}
