//! Golden values of the peers, and properties of the eight orientations.

use proptest::prelude::*;

use super::*;

/// What the peers say of [`picture`]: `imagehash` 4.3.2 with Pillow 13.0, `pdqhash` 0.2.8 (Meta's C++).
struct Golden {
    width: usize,
    height: usize,
    /// The sum of all bytes: that the formula below makes the picture that the peers saw.
    sum: u64,
    quality: u8,
    /// `average_hash`, `dhash`, `dhash_vertical`, `phash`.
    simple: [&'static str; 4],
    /// Of the picture squashed to 512 x 512 where a side is longer.
    meta: &'static str,
    orientations: [&'static str; 8],
}

const GOLDEN: &[Golden] = &[
    Golden {
        width: 200,
        height: 150,
        sum: 12327950,
        quality: 100,
        simple: ["83c57e7e26261c1c", "2f3d94d4ccccfcf5", "cc3e7c27279c1831", "92fc3c278ddc4507"],
        meta: "e059a2a4cc6363edcc04aea33646689f697633f08c51369d57581f72611e7c5f",
        orientations: [
            "e059a2a4cc6363edcc04aea33646689f697633f08c51369d57581f72611e7c5f",
            "ec204674d7d3fda26da5f1c2565cef315d506d1274c47e00911ba4ec27a74ace",
            "b71c080e9d76c94799d3350d6313c335bc27995ad9869d37020db5d8344bd6f5",
            "b9f5ecde8286770878f07f788309459b0825ffb82191d4aac44e8ec672f2ece4",
            "e25d5d5bdc639c52ccc5555d36469760e977cc0f8cd3cd625758e08d611e83a0",
            "b50cfff19d7636b899d1fbf663133dca3c2766a5d90663c8020d4a27344b290a",
            "ec20b98bd7d3025d2da52e3d565c10ce5550b2ed74c481ff911b5b932787b531",
            "b9f513218686acf778f0a4978309bf74082538472191ab55c44ef5b97af21f9b",
        ],
    },
    Golden {
        width: 640,
        height: 480,
        sum: 125238269,
        quality: 100,
        simple: ["c3c7de7e26261e1e", "3f3fbcbcccccfcf4", "cc7e7c27261818fb", "92fc3c230fd8c707"],
        meta: "d311b330e4a36acd60f6e16769cc3c17afe017f0c671638d7ae88862291e3e1f",
        orientations: [
            "d311b320e4a36bcd60b4e16769cc3c1fade017f0c671638d7eea8862291e3e1f",
            "e4a441c77f9b3cb6138fdc16d0f9292d3ad8e1136cec3694131be0ec250f4ace",
            "8644198ab1f6c16735e14bcd289996b5fab5bd5a9324c9272baf22c87c4b94b5",
            "b1f1eb6d2ace941c46da76bc85ac83876f8d43b939b99c36464e4a46785ae064",
            "d3114ccfe4a3943260b61e986dccc3e0afe0e80fc6719c727eea779d291ec1e0",
            "8644e665b1f63e9835a1b4322899694afab542a5932436d82bafdd377c4b6b4a",
            "e4a4be387f9bc149138f21e9d079d6d23ad816ec6cec8963131b1f13250fb531",
            "b1f114922ace69e346da894385ac7c786f8dbc4639b923c1464eb5b9705a1f9b",
        ],
    },
    Golden {
        width: 90,
        height: 310,
        sum: 11602785,
        quality: 100,
        simple: ["c78f9e7e27261e1c", "3f3b34dcccccfcf4", "3c3e782707181f18", "92f83833e3d96e84"],
        meta: "033e88e1d42f23dc9bd0aa37754ed11f405ed094d43b30cd15eb9e66790e3e0f",
        orientations: [
            "033e88e1d42f23dc9bd0aa37754ed11f405ed094d43b30cd15eb9e66790e3e0f",
            "6d64dc1d5693d4804c07ddd2de2564f55a58a563e42c621fb3bb4828a7af9ac6",
            "566b224f817a8976ce85019d221b7bb5350b7b3e836e9a7740be34cc2c5bd4a5",
            "3831f6b603c67e2a195277f88b50ca1f0d0d0fc9b179c8a5e6eee282f2fa306c",
            "433e551ed42fdc239bd054c8774e2ee0645e2e6bd43bcf2215eb6199790e81f0",
            "566bffb4817a7689ce85ff62229b844a350b85c1836e659840becb332c5b6b5a",
            "6d6423e216132b7f4c07222d9c059b0a58585a9ce42c9de0b3bbb7d7a7af6539",
            "3831894943c681d519528887cb7035e00d0df036b179375ae6ee5d7df2facf93",
        ],
    },
    Golden {
        width: 64,
        height: 64,
        sum: 1745673,
        quality: 100,
        simple: ["c3c3feff27271f1e", "1f1f1cccccccfcfc", "cc3e3e27231b1c20", "96f83866869dc786"],
        meta: "cda482b0b67135cc481ec973334e3e5f1710b4b0cbf135dc8e30d933370e3f0f",
        orientations: [
            "cda482b0b67135cc481ec973334e3e5f1710b4b0cbf135dc8e30d933370e3f0f",
            "e56c73db3353ce288d2d4e2463ab7948f870c8cfe46c92031b1364ec0f87dada",
            "98f1281ae3249e661d4b63d9661b94f542451e1a9ea49f76db657399605b95a5",
            "b139db7166c666a2d878e48e36fed3e2ad256265b13938a94e46ce465ad27070",
            "cda47d4fb6f1cb33489e368c734ec1a037126b4fdbf1ca238e3026cc370ec0f0",
            "98f1d7e5e3a461991dcb9c26761beb0a4247e1e59ea46089db658c66625b6a5a",
            "e46c8c24335333d78d2db1db63ab96b7d0703730e46c6dfc1b139b130f072525",
            "b139268e6606997dd8781b7136fc2c1d85259d9ab139c7564e4631b95a528f8f",
        ],
    },
];

/// Blocks of three sizes in drawn colours over a ramp, whole numbers throughout.
fn picture(width: usize, height: usize) -> Vec<u8> {
    let noise = |x: usize, y: usize, seed: u64| {
        let (x, y) = ((x as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15), (y as u64).wrapping_mul(0xC2B2_AE3D_27D4_EB4F));
        (((x ^ y ^ seed).wrapping_mul(0xD6E8_FEB8_6659_FD93) >> 40) & 255) as usize
    };
    let pixel = |x: usize, y: usize| {
        (0..3).map(move |channel| {
            let broad = 4 * noise(x * 5 / width, y * 4 / height, 1 + channel);
            let fine = 2 * noise(x / 16, y / 16, 11) + noise(x / 5, y / 5, 21);
            ((broad + fine + x * 255 / width) / 8) as u8
        })
    };
    (0..height).flat_map(|y| (0..width).flat_map(move |x| pixel(x, y))).collect()
}

#[test]
fn the_peers_hashes_are_met() {
    for golden in GOLDEN {
        let pixels = picture(golden.width, golden.height);
        assert_eq!(pixels.iter().map(|byte| u64::from(*byte)).sum::<u64>(), golden.sum);
        let rgb = Rgb::new(&pixels, golden.width, golden.height).unwrap();
        let simple = [ahash(rgb), dhash(rgb), dhash_vertical(rgb), phash(rgb).hash].map(|hash| hash.to_string());
        assert_eq!(simple, golden.simple);
        let near = |hash: Hash256, peer: &str| {
            let distance = hash.distance(peer.parse().unwrap());
            assert!(distance <= 2, "{hash} is {distance} bits from {peer}");
        };
        let found = pdq(rgb, Prescale::Meta).unwrap();
        assert_eq!(found.quality, golden.quality);
        near(found.hash, golden.meta);
        let found = pdq_orientations(rgb, Prescale::None).unwrap();
        found.all().iter().zip(golden.orientations).for_each(|(hash, peer)| near(*hash, peer));
    }
}

#[test]
fn a_turned_picture_has_the_hash_of_that_orientation() {
    // 64 pixels are taken as they are. Larger pictures are sampled a little off the centre, always to the same side.
    let side = 64;
    let pixels = picture(side, side);
    let found = pdq_orientations(Rgb::new(&pixels, side, side).unwrap(), Prescale::None).unwrap();
    // Where each pixel of the turned picture comes from.
    type From = fn(usize, usize, usize) -> (usize, usize);
    let turns: [(Hash256, From); 8] = [
        (found.original, |x, y, _| (x, y)),
        (found.rotated_90, |x, y, last| (last - y, x)),
        (found.rotated_180, |x, y, last| (last - x, last - y)),
        (found.rotated_270, |x, y, last| (y, last - x)),
        (found.upside_down, |x, y, last| (x, last - y)),
        (found.mirrored, |x, y, last| (last - x, y)),
        (found.transposed, |x, y, _| (y, x)),
        (found.antitransposed, |x, y, last| (last - y, last - x)),
    ];
    for (at, (hash, from)) in turns.into_iter().enumerate() {
        let turned: Vec<u8> = (0..side * side)
            .flat_map(|pixel| {
                let (x, y) = from(pixel % side, pixel / side, side - 1);
                pixels[(y * side + x) * 3..][..3].to_vec()
            })
            .collect();
        let turned = pdq(Rgb::new(&turned, side, side).unwrap(), Prescale::None).unwrap();
        assert!(turned.hash.distance(hash) <= 2, "orientation {at}: {}", turned.hash.distance(hash));
    }
}

#[test]
fn grey_and_rgb_of_the_same_grey_have_the_same_hashes() {
    let (width, height) = (301, 203);
    let grey: Vec<u8> = picture(width, height).chunks_exact(3).map(|pixel| pixel[1]).collect();
    let rgb: Vec<u8> = grey.iter().flat_map(|value| [*value; 3]).collect();
    let (grey, rgb) = (Luma::new(&grey, width, height).unwrap(), Rgb::new(&rgb, width, height).unwrap());
    assert_eq!(phash(grey), phash(rgb));
    assert_eq!((ahash(grey), dhash(grey), dhash_vertical(grey)), (ahash(rgb), dhash(rgb), dhash_vertical(rgb)));
    let (grey, rgb) = (pdq(grey, Prescale::None).unwrap(), pdq(rgb, Prescale::None).unwrap());
    assert!(grey.hash.distance(rgb.hash) <= 2);
}

#[test]
fn flat_and_tiny_pictures_say_that_there_is_nothing_to_hash() {
    let flat = vec![117; 300 * 200];
    let flat = Luma::new(&flat, 300, 200).unwrap();
    assert_eq!(pdq(flat, Prescale::None).unwrap().quality, 0);
    assert_eq!(phash(flat).range, 0);
    assert_eq!(pdq(Luma::new(&[9; 4 * 100], 4, 100).unwrap(), Prescale::None), None);
    assert!(pdq(Luma::new(&[9; 5 * 5], 5, 5).unwrap(), Prescale::None).is_some());
}

proptest! {
    #[test]
    fn any_size_is_hashed_without_a_panic(width in 1usize..700, height in 1usize..200, byte: u8, meta: bool) {
        let pixels: Vec<u8> = (0..width * height).map(|at| byte.wrapping_mul(at as u8)).collect();
        let picture = Luma::new(&pixels, width, height).unwrap();
        let prescale = if meta { Prescale::Meta } else { Prescale::None };
        prop_assert_eq!(pdq(picture, prescale).is_some(), width >= 5 && height >= 5);
        let _ = (ahash(picture), dhash(picture), dhash_vertical(picture), phash(picture));
    }
}
