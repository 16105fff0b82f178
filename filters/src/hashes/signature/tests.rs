use proptest::prelude::*;

use super::super::plane::Luma;
use super::*;

/// Discs and blocks at drawn places over a ramp, in a picture of `side` pixels.
fn picture(seed: u64, side: usize) -> Vec<u8> {
    let draw = |k: u64| (seed * 1000 + k).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23).wrapping_mul(0xD6E8_FEB8_6659_FD93) >> 40;
    let mut pixels: Vec<u8> = (0..side * side).map(|at| (at % side * 90 / side + at / side * 60 / side) as u8).collect();
    for shape in 0..14 {
        let part = |k: u64, of: usize| draw(shape * 8 + k) as usize % of;
        let (x0, y0, reach, shade) = (part(0, side), part(1, side), 8 + part(2, side / 6), part(3, 256));
        for (at, pixel) in pixels.iter_mut().enumerate() {
            let (dx, dy) = ((at % side).abs_diff(x0), (at / side).abs_diff(y0));
            let inside = if shape % 2 == 0 { dx * dx + dy * dy < reach * reach } else { dx < reach && 2 * dy < reach };
            if inside {
                *pixel = shade as u8;
            }
        }
    }
    pixels
}

fn signature(pixels: &[u8], width: usize, height: usize) -> Signature {
    Signature::new(Luma::new(pixels, width, height).unwrap()).unwrap()
}

fn candidates(a: &Signature, b: &Signature) -> bool {
    let near = |code: Hash64, full: &[Hash64]| full.iter().any(|full| full.distance(code) <= CODE_DISTANCE);
    a.full().iter().any(|code| near(*code, b.full())) || a.views().any(|code| near(code, b.full()))
}

#[test]
fn a_mirror_image_and_a_crop_are_found_and_verified() {
    let side = 320;
    for seed in 0..8 {
        let pixels = picture(seed, side);
        let whole = signature(&pixels, side, side);
        assert!(!whole.is_flat());
        let mirrored: Vec<u8> = pixels.chunks_exact(side).flat_map(|row| row.iter().rev().copied()).collect();
        let mirrored = signature(&mirrored, side, side);
        assert!(candidates(&whole, &mirrored), "mirror of {seed}");
        assert!(verify(&whole, &mirrored).unwrap() > 0.9);
        // Nine tenths of both sides, from the lower left.
        let kept = side * 9 / 10;
        let crop: Vec<u8> = pixels.chunks_exact(side).skip(side - kept).flat_map(|row| row[..kept].to_vec()).collect();
        let crop = signature(&crop, kept, kept);
        assert!(candidates(&whole, &crop), "crop of {seed}");
        assert!(verify(&whole, &crop).unwrap() > 0.9);
    }
}

#[test]
fn other_pictures_are_not_verified() {
    let pictures: Vec<Signature> = (0..24).map(|seed| signature(&picture(seed, 192), 192, 192)).collect();
    for (at, a) in pictures.iter().enumerate() {
        assert!(verify(a, a).unwrap() > 0.999);
        for b in &pictures[at + 1..] {
            assert_eq!(verify(a, b), None);
        }
    }
}

#[test]
fn the_order_of_a_pair_does_not_matter() {
    let side = 256;
    let pixels = picture(3, side);
    let (a, b) = (signature(&pixels, side, side), signature(&pixels[side * 20..], side, side - 20));
    assert!(verify(&a, &b).is_some());
    assert_eq!(verify(&a, &b), verify(&b, &a));
}

#[test]
fn a_flat_picture_has_no_codes_and_is_like_no_other() {
    let flat = signature(&[80; 100 * 100], 100, 100);
    assert!(flat.is_flat());
    assert_eq!((flat.full().len(), flat.views().count()), (0, 0));
    assert_eq!(verify(&flat, &flat), None);
}

#[test]
fn a_lively_picture_has_all_codes() {
    let lively = signature(&picture(1, 128), 128, 128);
    assert_eq!((lively.full().len(), lively.views().count()), (FULL_CODES, VIEW_CODES));
}

#[test]
fn damaged_bytes_are_errors_that_say_what_is_wrong() {
    let bytes = signature(&picture(1, 128), 128, 128).to_bytes();
    assert_eq!(Signature::from_bytes(&bytes[1..]), Err(SignatureError::Length { found: Signature::BYTES - 1 }));
    assert_eq!(Signature::from_bytes(&[]), Err(SignatureError::Length { found: 0 }));
    let with = |at: usize, byte: u8| {
        let mut bytes = bytes;
        bytes[at] = byte;
        Signature::from_bytes(&bytes)
    };
    assert_eq!(with(0, 2), Err(SignatureError::Version { found: 2 }));
    assert_eq!(with(1, 101), Err(SignatureError::Head));
    assert_eq!(with(3, 1), Err(SignatureError::Head));
}

proptest! {
    #[test]
    fn stored_signatures_are_read_back(seed in 0u64..1000, side in 64usize..200) {
        let signature = signature(&picture(seed, side), side, side);
        prop_assert_eq!(Signature::from_bytes(&signature.to_bytes()), Ok(signature));
    }

    #[test]
    fn any_bytes_are_a_signature_that_can_be_used_or_an_error(
        mut a in prop::collection::vec(any::<u8>(), Signature::BYTES),
        mut b in prop::collection::vec(any::<u8>(), Signature::BYTES),
        quality in 0u8..=120,
    ) {
        for bytes in [&mut a, &mut b] {
            bytes[..4].copy_from_slice(&[1, quality, 0, 0]);
        }
        prop_assert_eq!(Signature::from_bytes(&a).is_ok(), quality <= 100);
        if let (Ok(a), Ok(b)) = (Signature::from_bytes(&a), Signature::from_bytes(&b)) {
            prop_assert_eq!(a.to_bytes().to_vec(), Signature::from_bytes(&a.to_bytes()).unwrap().to_bytes().to_vec());
            prop_assert_eq!(verify(&a, &b), verify(&b, &a));
        }
    }
}
