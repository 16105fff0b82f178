use std::collections::BTreeMap;

use proptest::prelude::*;

use super::make::{Folder, number, picture, uid};
use crate::reshard::{GroupBy, Keys, Order, ReshardOptions, Sizes};

fn options(order: Order, size: u64) -> ReshardOptions {
    ReshardOptions { order, sizes: Sizes::Exact(size), threads: 2, ..ReshardOptions::default() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_output_is_the_subset_as_often_as_it_says(
        shards in prop::collection::vec(prop::collection::vec(0_u128..60, 0..12), 1..5),
        subset in prop::collection::btree_map(0_u128..70, 1_u32..4, 0..40),
        size in 1_u64..9,
        with_table: bool,
        order in prop::sample::select(vec![Order::Input, Order::Shuffled { seed: 1 }]),
        keys in prop::sample::select(vec![Keys::Kept, Keys::UidAndCopy, Keys::Fresh]),
    ) {
        let folder = Folder::new();
        let inputs: Vec<_> = shards.iter().enumerate().map(|(at, numbers)| folder.shard(&at.to_string(), numbers, with_table)).collect();
        let uids: Vec<_> = subset.iter().map(|(&number, &copies)| (uid(number), copies)).collect();
        let (plan, written) = folder.run("out", &inputs, Some(&uids), ReshardOptions { keys, ..options(order.clone(), size) }).unwrap();
        prop_assert!(plan.failures().is_empty(), "{:?}", plan.failures());
        let read = folder.samples("out", &plan);

        // As often as the subset says, whatever is there, and nothing else.
        let mut found = BTreeMap::new();
        for sample in read.iter().flatten() {
            *found.entry(number(sample)).or_insert(0) += 1;
            prop_assert_eq!(sample.member("jpg").unwrap(), picture(number(sample)));
            prop_assert_eq!(sample.member("txt").unwrap(), format!("caption {}", number(sample)).into_bytes());
            prop_assert_eq!(sample.members.len(), 3);
        }
        let there: std::collections::BTreeSet<u128> = shards.iter().flatten().copied().collect();
        let mut expected = subset.clone();
        expected.retain(|number, _| there.contains(number));
        prop_assert_eq!(found, expected.clone());

        // Exact sizes, unique keys, and counts that add up.
        let sizes: Vec<usize> = read.iter().map(Vec::len).collect();
        prop_assert!(sizes.iter().rev().skip(1).all(|&found| found as u64 == size), "{:?}", sizes);
        for (shard, samples) in read.iter().enumerate() {
            let keys: std::collections::BTreeSet<&str> = samples.iter().map(|sample| sample.key.as_str()).collect();
            prop_assert_eq!(keys.len(), samples.len());
            prop_assert_eq!(written[shard].rows, samples.len() as u64);
            let rows = folder.rows(&format!("out/{}.parquet", plan.name(shard)));
            let column = |name: &str| arrow::array::AsArray::as_string::<i32>(rows.column_by_name(name).unwrap()).clone();
            prop_assert!(column("key").iter().flatten().eq(samples.iter().map(|sample| sample.key.as_str())));
            prop_assert!(column("uid").iter().flatten().map(str::to_owned).eq(samples.iter().map(|sample| uid(number(sample)).to_string())));
        }
        let counts = plan.counts();
        prop_assert_eq!(counts.samples, counts.selected + counts.not_in_subset + counts.duplicate_uid);
        prop_assert_eq!(counts.copies, expected.values().map(|&copies| u64::from(copies)).sum::<u64>());
        prop_assert_eq!(counts.missing_uids as usize, subset.len() - expected.len());

        // Input order: copies side by side, samples in the order of the inputs, the first of each uid.
        if order == Order::Input {
            let mut seen = std::collections::BTreeSet::new();
            let in_order: Vec<u128> = shards.iter().flatten().copied().filter(|number| seen.insert(*number)).collect();
            let wanted: Vec<u128> =
                in_order.iter().flat_map(|number| std::iter::repeat_n(*number, subset.get(number).copied().unwrap_or(0) as usize)).collect();
            prop_assert_eq!(read.iter().flatten().map(number).collect::<Vec<_>>(), wanted);
        }

        // Written again, first shard first: the same bytes.
        let before = folder.files("out");
        let again = folder.storage("out");
        super::make::run(async {
            for (shard, before) in written.iter().enumerate() {
                assert_eq!(&plan.write_shard(shard, &again).await.unwrap(), before);
            }
        });
        prop_assert_eq!(folder.files("out"), before);
    }

    #[test]
    fn a_shuffle_does_not_see_how_the_input_was_sharded(numbers in prop::collection::btree_set(0_u128..500, 1..40), at in 0_usize..40, seed: u64) {
        let folder = Folder::new();
        let numbers: Vec<u128> = numbers.into_iter().collect();
        let (first, second) = numbers.split_at(at.min(numbers.len() - 1));
        let mut turned = second.to_vec();
        turned.reverse();
        let one = [folder.shard("whole", &numbers, false)];
        let two = [folder.shard("b", &turned, false), folder.shard("a", first, true)];
        let order = |out: &str, inputs: &[_]| {
            let (plan, _) = folder.run(out, inputs, None, options(Order::Shuffled { seed }, 7)).unwrap();
            folder.samples(out, &plan).iter().map(|shard| shard.iter().map(number).collect::<Vec<_>>()).collect::<Vec<_>>()
        };
        prop_assert_eq!(order("one", &one), order("two", &two));
    }
}

#[test]
fn seeds_give_different_orders() {
    let folder = Folder::new();
    let input = [folder.shard("a", &(0..50).collect::<Vec<_>>(), false)];
    let order = |seed| {
        let (plan, _) = folder.run("out", &input, None, options(Order::Shuffled { seed }, 100)).unwrap();
        folder.samples("out", &plan)[0].iter().map(number).collect::<Vec<_>>()
    };
    assert_ne!(order(0), order(1));
    assert_eq!(order(1), order(1));
}

#[test]
fn groups_follow_each_other() {
    let folder = Folder::new();
    let inputs = [folder.shard("a", &(0..20).collect::<Vec<_>>(), true), folder.shard("b", &(20..40).collect::<Vec<_>>(), true)];
    // Widths are 100 + number % 5 * 100, heights 200.
    for by in [
        GroupBy::Column("width".into()),
        GroupBy::Aspect(vec![0.5, 1.0, 1.5, 2.0, 2.5]),
        GroupBy::Column("text".into()),
        GroupBy::NaflexLength { patch: 16, patches: 256 },
    ] {
        let order = Order::Grouped { by: by.clone(), seed: 3 };
        let (plan, _) = folder.run("out", &inputs, None, options(order, 8)).unwrap();
        let read = folder.samples("out", &plan);
        let numbers: Vec<u128> = read.iter().flatten().map(number).collect();
        assert_eq!(numbers.len(), 40);
        if !matches!(by, GroupBy::Column(ref name) if name == "text") && !matches!(by, GroupBy::NaflexLength { .. }) {
            let groups: Vec<u128> = numbers.iter().map(|number| number % 5).collect();
            assert!(groups.is_sorted(), "{by:?}: {groups:?}");
            assert!(!numbers[..8].is_sorted(), "a group is shuffled");
        }
    }
    let order = Order::Grouped { by: GroupBy::Column("widht".into()), seed: 3 };
    let (plan, _) = folder.run("out", &inputs, None, options(order, 8)).unwrap();
    assert!(plan.failures()[0].1.to_string().contains("no column `widht` to group by; the nearest is `width`"), "{:?}", plan.failures());
}

#[test]
fn a_uid_that_stands_in_two_shards_is_written_as_often_as_the_subset_says() {
    let folder = Folder::new();
    let inputs = [folder.shard("a", &[1, 2], false), folder.shard("b", &[2, 3], false)];
    let (plan, _) = folder.run("out", &inputs, Some(&[(uid(2), 3), (uid(9), 1)]), options(Order::Input, 10)).unwrap();
    let counts = plan.counts();
    assert_eq!((counts.samples, counts.selected, counts.copies), (4, 1, 3));
    assert_eq!((counts.not_in_subset, counts.duplicate_uid, counts.missing_uids), (2, 1, 1));
    // Without a subset every sample is written, and none collides.
    let (plan, _) = folder.run("all", &inputs, None, ReshardOptions { keys: Keys::UidAndCopy, ..options(Order::Input, 10) }).unwrap();
    let keys: Vec<String> = folder.samples("all", &plan)[0].iter().map(|sample| sample.key.clone()).collect();
    assert_eq!(keys, [format!("{}-0", uid(1)), format!("{}-0", uid(2)), format!("{}-1", uid(2)), format!("{}-0", uid(3))]);
}

#[test]
fn shards_may_be_equal_or_limited_in_bytes() {
    let folder = Folder::new();
    let input = [folder.shard("a", &(0..10).collect::<Vec<_>>(), false)];
    let sizes = |options: ReshardOptions| {
        let (plan, _) = folder.run("out", &input, None, options).unwrap();
        (0..plan.shards()).map(|shard| plan.rows(shard)).collect::<Vec<_>>()
    };
    assert_eq!(sizes(ReshardOptions { sizes: Sizes::Equal(4), ..ReshardOptions::default() }), [4, 3, 3]);
    let limited = sizes(ReshardOptions { max_bytes: Some(6000), ..options(Order::Input, 4) });
    assert!(limited.iter().sum::<u64>() == 10 && limited.len() > 3, "{limited:?}");
    let both = ReshardOptions { sizes: Sizes::Equal(4), max_bytes: Some(1), ..ReshardOptions::default() };
    assert!(folder.run("out", &input, None, both).is_err());
}
