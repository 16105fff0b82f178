use std::collections::BTreeSet;
use std::sync::Mutex;

use proptest::prelude::*;

use super::*;
use crate::near::random::{mix, order};

fn random_code<const W: usize>(seed: u64, i: u64) -> [u64; W] {
    std::array::from_fn(|w| mix(mix(seed, i), w as u64))
}

/// The code with `flips` bits changed, which `seed` decides.
fn near<const W: usize>(code: [u64; W], flips: usize, seed: u64) -> [u64; W] {
    let mut code = code;
    for at in order(seed, 64 * W).into_iter().take(flips) {
        code[at / 64] ^= 1 << (at % 64);
    }
    code
}

/// Random codes; every third is a near copy of an earlier one.
fn corpus<const W: usize>(n: u64, distance: u64, seed: u64) -> Vec<[u64; W]> {
    let mut codes: Vec<[u64; W]> = Vec::new();
    for i in 0..n {
        let draw = mix(seed ^ 77, i);
        codes.push(if i % 3 == 2 {
            near(codes[(draw % i) as usize], (mix(draw, 1) % (distance + 3)) as usize, draw)
        } else {
            random_code(seed, i)
        });
    }
    codes
}

/// Rows, items and distance of every pair.
type Shown = BTreeSet<(u32, u32, u32, u32, u32)>;

fn brute<const W: usize>(codes: &Codes<'_, W>, limit: u32) -> Shown {
    let n = codes.codes.len() as u32;
    let mut pairs = BTreeSet::new();
    for a in 0..n {
        for b in a + 1..n {
            let apart = distance(&codes.codes[a as usize], &codes.codes[b as usize]);
            if apart <= limit && codes.row(a) != codes.row(b) && !(codes.is_view(a) && codes.is_view(b)) {
                let (a, b) = if codes.row(a) < codes.row(b) { (a, b) } else { (b, a) };
                pairs.insert((codes.row(a), codes.row(b), a, b, apart));
            }
        }
    }
    pairs
}

fn listed<const W: usize>(codes: &Codes<'_, W>, options: &Options) -> (Shown, Report) {
    let seen = Mutex::new(BTreeSet::new());
    let report = pairs(codes, options, |pair| {
        assert!(pair.a.row < pair.b.row);
        assert!(seen.lock().unwrap().insert((pair.a.row, pair.b.row, pair.a.item, pair.b.item, pair.distance)), "{pair:?} shown twice");
        true
    })
    .unwrap();
    (seen.into_inner().unwrap(), report)
}

fn labels<const W: usize>(codes: &Codes<'_, W>, rows: usize, options: &Options, edge: impl Fn(&Pair) -> bool + Sync) -> (Vec<u32>, Report) {
    let groups = DisjointSet::new(rows).unwrap();
    let report = group(codes, options, &groups, edge).unwrap();
    (groups.labels(), report)
}

fn labels_of_pairs(rows: usize, pairs: &Shown) -> Vec<u32> {
    let groups = DisjointSet::new(rows).unwrap();
    pairs.iter().for_each(|pair| _ = groups.union(pair.0, pair.1));
    groups.labels()
}

#[test]
fn groups_and_pairs_equal_brute_force_on_fifty_thousand_codes() {
    let codes = corpus::<4>(50_000, 31, 1);
    let codes = Codes::of(&codes);
    // The oracle compares all pairs with the plain kernel.
    let groups = DisjointSet::new(50_000).unwrap();
    let mut count = 0_u64;
    for a in 0..50_000 {
        for b in a + 1..50_000 {
            if distance(&codes.codes[a], &codes.codes[b]) <= 31 {
                groups.union(a as u32, b as u32);
                count += 1;
            }
        }
    }
    let (got, report) = labels(&codes, 50_000, &Options::new(31), |_| true);
    assert_eq!(got, groups.labels());
    assert!(report.plan.exact && report.capped_pairs == 0);
    let (got, report) = listed(&codes, &Options { threads: 3, ..Options::new(31) });
    assert_eq!(got.len() as u64, count);
    assert_eq!(report.asked, count);
}

#[test]
fn sixty_four_bit_codes_are_searched_as_well() {
    let codes = corpus::<1>(3_000, 8, 5);
    let codes = Codes::of(&codes);
    let expected = brute(&codes, 8);
    assert_eq!(listed(&codes, &Options::new(8)).0, expected);
    assert_eq!(labels(&codes, 3_000, &Options::new(8), |_| true).0, labels_of_pairs(3_000, &expected));
}

#[test]
fn views_meet_full_codes_and_not_each_other() {
    let fulls = corpus::<4>(500, 31, 9);
    let mut codes = Vec::new();
    let (mut rows, mut roles) = (Vec::new(), Vec::new());
    for (row, full) in fulls.iter().enumerate() {
        for role in 0..4_u8 {
            codes.push(if role == 0 { *full } else { near(fulls[(mix(3, row as u64) % 500) as usize], 20 * role as usize, row as u64) });
            rows.push(row as u32);
            roles.push(role);
        }
    }
    let codes = Codes::of(&codes).with_rows(&rows).unwrap().with_roles(&roles).unwrap();
    let expected = brute(&codes, 31);
    assert!(expected.len() > 500);
    assert_eq!(listed(&codes, &Options::new(31)).0, expected);
    assert_eq!(labels(&codes, 500, &Options::new(31), |_| true).0, labels_of_pairs(500, &expected));
}

#[test]
fn sampled_tables_find_the_share_that_the_plan_states() {
    // Disjoint pairs at the threshold and at half of it.
    let mut codes = Vec::new();
    for i in 0..8_000_u64 {
        let code: [u64; 4] = random_code(11, i);
        codes.push(code);
        codes.push(near(code, if i % 2 == 0 { 31 } else { 16 }, i));
    }
    for recall in [0.5, 0.9] {
        let options = Options { method: Method::Sampled, recall, ..Options::new(31) };
        let (pairs, report) = listed(&Codes::of(&codes), &options);
        for (distance, slack) in [(31, 0.02), (16, 0.02)] {
            let found = pairs.iter().filter(|pair| pair.4 == distance).count() as f64 / 4_000.0;
            let stated = report.plan.recall[distance as usize].recall;
            // Tables that share no bit find a little more than the formula for independent tables says.
            assert!(found > stated - slack, "found {found} of the pairs at {distance}, stated {stated}");
        }
    }
}

#[test]
fn the_closure_decides_and_little_memory_changes_nothing() {
    let codes = corpus::<4>(30_000, 31, 21);
    let codes = Codes::of(&codes);
    let edge = |pair: &Pair| !mix(u64::from(pair.a.row), u64::from(pair.b.row)).is_multiple_of(4);
    for method in [Method::Auto, Method::Sampled] {
        let options = Options { method, threads: 1, ..Options::new(31) };
        let expected = labels(&codes, 30_000, &options, edge).0;
        for threads in [2, 5] {
            assert_eq!(labels(&codes, 30_000, &Options { threads, ..options.clone() }, edge).0, expected);
        }
        if method == Method::Sampled {
            let little = Options { memory_bytes: 60_000, ..options.clone() };
            assert_eq!(labels(&codes, 30_000, &little, edge).0, expected);
        }
    }
}

#[test]
fn a_crowd_of_nearly_identical_codes_is_one_group_without_all_pairs() {
    let logo: [u64; 4] = random_code(1, 1);
    let n = 60_000;
    let codes: Vec<[u64; 4]> = (0..n).map(|i| if i < n / 2 { logo } else { near(logo, (i % 12) as usize, i) }).collect();
    for method in [Method::Auto, Method::Sampled] {
        let (labels, report) = labels(&Codes::of(&codes), n as usize, &Options { method, ..Options::new(31) }, |_| true);
        assert!(labels.iter().all(|label| *label == 0));
        assert!(report.asked < 4 * n && report.capped_pairs == 0, "{report:?}");
        assert!(report.identical >= n / 2 - 1);
    }
}

#[test]
fn a_crowd_that_the_closure_refuses_ends_and_says_what_was_not_compared() {
    let logo: [u64; 4] = random_code(1, 1);
    let n = 40_000_u64;
    let codes: Vec<[u64; 4]> = (0..n).map(|i| near(logo, 3, i)).collect();
    let options = Options { method: Method::Sampled, recall: 0.5, ..Options::new(31) };
    let expected = labels(&Codes::of(&codes), n as usize, &options, |pair| (pair.a.row ^ pair.b.row) < 2).0;
    let threads = Options { threads: 1, ..options };
    assert_eq!(labels(&Codes::of(&codes), n as usize, &threads, |pair| (pair.a.row ^ pair.b.row) < 2).0, expected);
}

#[test]
fn identical_codes_with_other_pixels_stay_apart() {
    let code: [u64; 4] = random_code(1, 2);
    let codes = vec![code; 5_000];
    let parity = |pair: &Pair| pair.a.row % 3 == pair.b.row % 3;
    let (labels, report) = labels(&Codes::of(&codes), 5_000, &Options::new(31), parity);
    assert!(labels.iter().enumerate().all(|(row, label)| *label as usize == row % 3));
    assert!(report.identical > 4_900 && report.capped_pairs == 0);
}

#[test]
fn wrong_input_is_refused() {
    let codes = vec![[0_u64; 4]; 3];
    assert!(matches!(Codes::of(&codes).with_rows(&[1]), Err(HammingError::Length { codes: 3, what: "rows", got: 1 })));
    let groups = DisjointSet::new(2).unwrap();
    assert!(matches!(group(&Codes::of(&codes), &Options::new(31), &groups, |_| true), Err(HammingError::NoSuchRow { row: 2, .. })));
    assert!(matches!(plan::<4>(9, &Options { recall: 1.0, ..Options::new(31) }), Err(HammingError::Recall(_))));
    assert!(matches!(plan::<4>(1 << 20, &Options { memory_bytes: 1000, ..Options::new(31) }), Err(HammingError::TooLittleMemory { .. })));
    assert!(matches!(plan::<1>(100, &Options { method: Method::Sampled, ..Options::new(64) }), Err(HammingError::NoPlan { .. })));
    assert_eq!(group(&Codes::<4>::of(&[]), &Options::new(31), &groups, |_| true).unwrap().codes, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn groups_do_not_depend_on_order_sharding_or_threads(seed in any::<u64>(), n in 2_u64..400, limit in 0_u32..24, sampled in any::<bool>()) {
        // Clustered codes, so that groups, chains and repetitions are many.
        let fulls: Vec<[u64; 1]> = (0..n).map(|i| near(random_code(seed, i % (1 + n / 20)), (mix(seed, i) % 16) as usize, mix(i, seed))).collect();
        let rows: Vec<u32> = (0..n as u32).map(|i| i / 2).collect();
        let roles: Vec<u8> = (0..n).map(|i| (i % 2) as u8).collect();
        let edge = |pair: &Pair| !mix(u64::from(pair.a.row), u64::from(pair.b.row)).is_multiple_of(3);
        let method = if sampled { Method::Sampled } else { Method::Auto };
        let options = Options { method, threads: 1, seed, ..Options::new(limit) };
        let total = n.div_ceil(2) as usize;
        let codes = Codes::of(&fulls).with_rows(&rows).unwrap().with_roles(&roles).unwrap();
        let expected = labels(&codes, total, &options, edge).0;
        if !sampled {
            prop_assert_eq!(&labels(&codes, total, &options, |_| true).0, &labels_of_pairs(total, &brute(&codes, limit)));
            prop_assert_eq!(&listed(&codes, &options).0, &brute(&codes, limit));
        }
        let shuffled = order(seed ^ 1, n as usize);
        let codes: Vec<_> = shuffled.iter().map(|at| fulls[*at]).collect();
        let rows: Vec<_> = shuffled.iter().map(|at| rows[*at]).collect();
        let roles: Vec<_> = shuffled.iter().map(|at| roles[*at]).collect();
        let codes = Codes::of(&codes).with_rows(&rows).unwrap().with_roles(&roles).unwrap();
        prop_assert_eq!(labels(&codes, total, &Options { threads: 3, ..options }, edge).0, expected);
    }
}
