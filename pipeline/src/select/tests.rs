//! Selections over generated metadata.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float32Array, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;
use datafusion::prelude::SessionContext;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;
use tokio_util::sync::CancellationToken;
use trommel_shards::storage::Storage;
use trommel_shards::subset::{Subset, Uid128};

use super::spec::{Cap, Join, Kind, Languages, M4, M4Attribute, M4Label, Repeat, Sample, SelectStage, Top};
use super::*;

/// A row of the generated metadata.
#[derive(Debug, Clone)]
struct Row {
    uid: u128,
    url: String,
    text: String,
    lang: &'static str,
    score: Option<f32>,
    width: i64,
}

/// Rows with a bias: captions of women are nurses more often.
fn rows(count: u64) -> Vec<Row> {
    let draw = |row: u64, k: u64| trommel_filters::balance::Draw::new(7, "rows").uniform(u128::from(row), k);
    let row = |row: u64| {
        let woman = draw(row, 0) < 0.3;
        let nurse = draw(row, 1) < if woman { 0.4 } else { 0.1 };
        let who = if woman { "woman" } else { "man" };
        let what = if nurse { "a nurse" } else { "a person" };
        Row {
            uid: u128::from_be_bytes(trommel_filters::uid_bytes(&format!("https://h{}.example.org/{row}.jpg", row % 50), who)),
            url: format!("https://h{}.example.org/{row}.jpg", row % 50),
            text: format!("{who} {what} at work {row}"),
            lang: ["en", "en", "en", "de", "sw"][(draw(row, 2) * 5.0) as usize],
            // Some ties, some nulls, some NaN.
            score: match row % 23 {
                0 => None,
                1 => Some(f32::NAN),
                _ => Some((draw(row, 3) * 100.0).floor() as f32 / 100.0),
            },
            width: 100 + (draw(row, 4) * 400.0) as i64,
        }
    };
    (0..count).map(row).collect()
}

fn batch(rows: &[Row]) -> RecordBatch {
    let text = |of: &dyn Fn(&Row) -> String| -> ArrayRef { Arc::new(StringArray::from_iter_values(rows.iter().map(of))) };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("uid", text(&|row| format!("{:032x}", row.uid))),
        ("url", text(&|row| row.url.clone())),
        ("text", text(&|row| row.text.clone())),
        ("lang", text(&|row| row.lang.to_owned())),
        ("score", Arc::new(Float32Array::from_iter(rows.iter().map(|row| row.score)))),
        ("width", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.width)))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn write(folder: &Path, rows: &[Row], files: usize, group: usize) {
    std::fs::create_dir_all(folder).unwrap();
    for (number, rows) in rows.chunks(rows.len().div_ceil(files)).enumerate() {
        let file = std::fs::File::create(folder.join(format!("{number:05}.parquet"))).unwrap();
        let batch = batch(rows);
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(group)).build();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }
}

struct World {
    folder: tempfile::TempDir,
    rows: Vec<Row>,
}

/// What a selection gave.
struct Got {
    selected: Selected,
    /// Uid to copies.
    subset: BTreeMap<u128, u32>,
    /// Uid to stage and reason.
    excluded: BTreeMap<u128, (String, String)>,
    npy: Vec<u8>,
}

fn session() -> SessionContext {
    let services = crate::services::Services::new(
        Storage::in_memory(Arc::default(), "check"),
        Arc::default(),
        std::env::temp_dir(),
        1,
        CancellationToken::new(),
    );
    let settings = crate::plan::SessionSettings { partitions: 1, memory_bytes: 64 << 20, spill_folder: std::env::temp_dir() };
    crate::plan::session(&settings, Arc::new(services)).unwrap()
}

impl World {
    fn new(count: u64) -> Self {
        let world = Self { folder: tempfile::tempdir().unwrap(), rows: rows(count) };
        write(&world.folder.path().join("meta"), &world.rows, 3, 700);
        world
    }

    async fn try_select(&self, meta: &str, kinds: Vec<Kind>, threads: usize) -> Result<Got, SelectError> {
        let stages = kinds.into_iter().enumerate().map(|(at, kind)| SelectStage { name: format!("{}.stage", at + 1), kind }).collect();
        let output = self.folder.path().join(format!("out-{meta}-{threads}"));
        let storage = Storage::open(&output.display().to_string()).unwrap();
        let inputs = Inputs::find(&[self.folder.path().join(meta).display().to_string()]).await?;
        let options = SelectOptions {
            groups: None,
            storage: storage.clone(),
            subset: "subset.npy".into(),
            format: SubsetFormat::Npy,
            exclusions: Some("subset.excluded".into()),
            diversity: true,
            warn_factor: 2.0,
            allow_empty: false,
            present: None,
            threads,
            spill_folder: None,
            cancel: CancellationToken::new(),
        };
        let selected = select(&Selection { seed: 3, stages }, &session(), &inputs, &options).await?;
        let opened = Subset::open(&storage.uri_of("subset.npy")).unwrap();
        let mut subset = BTreeMap::new();
        for uid in opened.uids() {
            *subset.entry(uid.0).or_default() += 1;
        }
        let mut excluded = BTreeMap::new();
        for entry in storage.list("subset.excluded").await.unwrap() {
            let file = std::fs::File::open(output.join(&entry.name)).unwrap();
            for batch in ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap() {
                let batch = batch.unwrap();
                let text = |name: &str| batch.column_by_name(name).unwrap().as_string::<i32>().clone();
                let (uids, stages, reasons) = (text("uid"), text("stage"), text("reason"));
                for row in 0..batch.num_rows() {
                    let uid = Uid128::parse(uids.value(row)).unwrap().0;
                    let before = excluded.insert(uid, (stages.value(row).to_owned(), reasons.value(row).to_owned()));
                    assert!(before.is_none(), "a row is taken out once");
                }
            }
        }
        let npy = std::fs::read(output.join("subset.npy")).unwrap();
        Ok(Got { selected, subset, excluded, npy })
    }

    async fn select(&self, kinds: Vec<Kind>) -> Got {
        let got = self.try_select("meta", kinds, 2).await.unwrap();
        let all: BTreeSet<u128> = self.rows.iter().map(|row| row.uid).collect();
        let kept: BTreeSet<u128> = got.subset.keys().copied().collect();
        let gone: BTreeSet<u128> = got.excluded.keys().copied().collect();
        assert!(
            kept.is_disjoint(&gone) && kept.union(&gone).copied().collect::<BTreeSet<_>>() == all,
            "subset and exclusions are a partition"
        );
        assert!(got.selected.funnel.balances());
        got
    }

    fn uids(&self, keep: impl Fn(&Row) -> bool) -> BTreeSet<u128> {
        self.rows.iter().filter(|row| keep(row)).map(|row| row.uid).collect()
    }
}

fn kept(got: &Got) -> BTreeSet<u128> {
    got.subset.keys().copied().collect()
}

fn top(fraction: f64) -> Top {
    Top { by: "score".into(), fraction: Some(fraction), count: None, lowest: false, of_pool: false, keep_nulls: false, per: Vec::new() }
}

fn conditions(list: &[&str]) -> Kind {
    Kind::Where { conditions: list.iter().map(ToString::to_string).collect() }
}

/// DataComp's threshold: the value at rank ⌊n · fraction⌋ of the descending sort.
fn threshold(values: impl Iterator<Item = f32>, n: usize, fraction: f64) -> f32 {
    let mut values: Vec<f32> = values.collect();
    values.sort_by(|a, b| b.total_cmp(a));
    values[(n as f64 * fraction) as usize]
}

fn number(row: &Row) -> Option<f32> {
    row.score.filter(|score| !score.is_nan())
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_keep_what_they_say_and_name_the_first_that_fails() {
    let world = World::new(5000);
    let got = world.select(vec![conditions(&["lang in ('en', 'de')", "width >= 200", "words(text) > 3"])]).await;
    assert_eq!(kept(&got), world.uids(|row| row.lang != "sw" && row.width >= 200));
    let row = world.rows.iter().find(|row| row.lang == "sw" && row.width < 200).unwrap();
    assert_eq!(got.excluded[&row.uid], ("1.stage".into(), "lang in ('en', 'de')".into()));
    // Who is lost is told: no Swahili passes.
    let table = got.selected.pass_rates.iter().find(|table| table.dimension == Dimension::Language).unwrap();
    let sw = table.groups.iter().find(|group| group.group == "sw").unwrap();
    assert_eq!((sw.kept, sw.rows), (0, world.rows.iter().filter(|row| row.lang == "sw").count() as u64));
    assert!(got.selected.warnings.iter().any(|warning| warning.contains("language sw")), "{:?}", got.selected.warnings);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_top_of_the_pool_is_datacomps_with_its_ties() {
    let world = World::new(5000);
    for fraction in [0.0001, 0.1, 0.3, 0.777] {
        let got = world.select(vec![Kind::Top(top(fraction))]).await;
        let threshold = threshold(world.rows.iter().filter_map(number), world.rows.len(), fraction);
        assert_eq!(kept(&got), world.uids(|row| number(row).is_some_and(|score| score >= threshold)), "{fraction}");
        assert_eq!(got.selected.findings[0].found["threshold"], f64::from(threshold));
    }
    let all = world.select(vec![Kind::Top(top(1.0))]).await;
    assert_eq!(kept(&all), world.uids(|row| number(row).is_some()), "everything with a score");
    let nulls = world.select(vec![Kind::Top(Top { keep_nulls: true, ..top(0.1) })]).await;
    assert!(world.rows.iter().filter(|row| number(row).is_none()).all(|row| nulls.subset.contains_key(&row.uid)));
    // A cut after a cut: of what is left, or of the pool.
    let first = conditions(&["lang = 'en'"]);
    let english: Vec<&Row> = world.rows.iter().filter(|row| row.lang == "en").collect();
    for (of_pool, n) in [(false, english.len()), (true, world.rows.len())] {
        let got = world.select(vec![first.clone(), Kind::Top(Top { of_pool, ..top(0.2) })]).await;
        let threshold = threshold(english.iter().filter_map(|row| number(row)), n, 0.2);
        assert_eq!(kept(&got), world.uids(|row| row.lang == "en" && number(row).is_some_and(|score| score >= threshold)));
    }
    let lowest = world.select(vec![Kind::Top(Top { fraction: None, count: Some(1), lowest: true, ..top(0.0) })]).await;
    let least = world.rows.iter().filter_map(number).fold(f32::INFINITY, f32::min);
    assert_eq!(kept(&lowest), world.uids(|row| number(row) == Some(least)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_top_of_each_group_is_that_of_the_group_alone() {
    let world = World::new(5000);
    let got = world.select(vec![Kind::Top(Top { per: vec!["lang".into()], ..top(0.25) })]).await;
    let mut expected = BTreeSet::new();
    for lang in ["en", "de", "sw"] {
        let group: Vec<&Row> = world.rows.iter().filter(|row| row.lang == lang).collect();
        let threshold = threshold(group.iter().filter_map(|row| number(row)), group.len(), 0.25);
        expected.extend(world.uids(|row| row.lang == lang && number(row).is_some_and(|score| score >= threshold)));
    }
    assert_eq!(kept(&got), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cap_keeps_the_best_of_each_group_or_draws() {
    let world = World::new(5000);
    let by_host = Cap { by: vec!["split_part(url, '/', 3)".into()], most: 7, order: Some("score".into()), lowest: false };
    let got = world.select(vec![Kind::Cap(by_host.clone())]).await;
    let host = |row: &Row| row.url.split('/').nth(2).unwrap().to_owned();
    let mut hosts: BTreeMap<String, Vec<f32>> = BTreeMap::new();
    for row in world.rows.iter().filter(|row| got.subset.contains_key(&row.uid)) {
        hosts.entry(host(row)).or_default().push(number(row).unwrap());
    }
    assert!(hosts.len() == 50 && hosts.values().all(|scores| scores.len() == 7));
    for row in world.rows.iter().filter(|row| !got.subset.contains_key(&row.uid)) {
        let least = hosts[&host(row)].iter().copied().fold(f32::INFINITY, f32::min);
        assert!(number(row).is_none_or(|score| score <= least), "nobody better is out");
    }
    let drawn = |most| world.select(vec![Kind::Cap(Cap { most, order: None, ..by_host.clone() })]);
    let (few, many) = (drawn(3).await, drawn(9).await);
    assert_eq!((few.subset.len(), many.subset.len()), (150, 450));
    assert!(kept(&few).is_subset(&kept(&many)), "a larger cap gives a superset");
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_nest_and_are_exact() {
    let world = World::new(5000);
    let sample =
        |fraction, count, weight: Option<&str>, repeat| Kind::Sample(Sample { fraction, count, weight: weight.map(str::to_owned), repeat });
    let (few, many) =
        (world.select(vec![sample(Some(0.1), None, None, None)]).await, world.select(vec![sample(Some(0.2), None, None, None)]).await);
    assert!(kept(&few).is_subset(&kept(&many)));
    assert!((400..600).contains(&few.subset.len()) && (850..1150).contains(&many.subset.len()));
    let (exact, larger) =
        (world.select(vec![sample(None, Some(123), None, None)]).await, world.select(vec![sample(None, Some(456), None, None)]).await);
    assert_eq!((exact.subset.len(), larger.subset.len()), (123, 456));
    assert!(kept(&exact).is_subset(&kept(&larger)));
    // Rows of weight 9 come nine times as often as rows of weight 1, others never.
    let weight = "case when lang = 'de' then 9 when lang = 'en' then 1 else 0 end";
    let weighted = world.select(vec![sample(None, Some(300), Some(weight), None)]).await;
    let count = |lang: &str| world.rows.iter().filter(|row| row.lang == lang && weighted.subset.contains_key(&row.uid)).count();
    assert_eq!((count("de") + count("en"), count("sw")), (300, 0));
    assert!(count("de") > 2 * count("en"), "{} {}", count("de"), count("en"));
    for repeat in [Repeat::SoftCap { alpha: 0.15, round: 50 }, Repeat::HardCap { most: 4 }] {
        let drawn = world.select(vec![sample(None, Some(8000), Some("score * 5"), Some(repeat))]).await;
        assert_eq!(drawn.selected.copies, 8000, "{repeat:?}");
        assert_eq!(drawn.subset.values().sum::<u32>(), 8000);
        if let Repeat::HardCap { most } = repeat {
            assert!(drawn.subset.values().all(|&times| times <= most));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn m4_meets_its_targets_on_what_is_drawn() {
    let world = World::new(40_000);
    let m4 = M4 {
        attributes: vec![M4Attribute { name: "woman".into(), sql: Some("text like 'woman%'".into()), target: 0.45 }],
        labels: vec![M4Label { name: "nurse".into(), sql: Some("text like '%nurse%'".into()) }],
        lexicon: None,
        utility: None,
        target_rate: 0.4,
        epsilon_r: 0.005,
        epsilon_d: 0.001,
        most: 1.0,
        enforcement: 100.0,
        strict: true,
    };
    let got = world.select(vec![Kind::M4(m4.clone())]).await;
    let fit = &got.selected.findings[0].found["fit"];
    assert_eq!(fit["status"], "feasible", "{fit}");
    assert!(fit["association_bias_before"].as_f64().unwrap() > 0.2 && fit["association_bias_after"].as_f64().unwrap() < 0.01, "{fit}");
    // The draw itself, within what chance allows for 16,000 rows.
    let rows: Vec<&Row> = world.rows.iter().filter(|row| got.subset.contains_key(&row.uid)).collect();
    let share = |of: &dyn Fn(&Row) -> bool, among: &[&Row]| among.iter().filter(|row| of(row)).count() as f64 / among.len() as f64;
    let (woman, nurse) = (|row: &Row| row.text.starts_with("woman"), |row: &Row| row.text.contains("nurse"));
    let (women, men): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| woman(row));
    assert!((share(&woman, &rows) - 0.45).abs() < 0.015, "{}", share(&woman, &rows));
    assert!((share(&nurse, &women) - share(&nurse, &men)).abs() < 0.02);
    assert!((rows.len() as f64 / 40_000.0 - 0.4).abs() < 0.01);
    // More than there is cannot be had: said, and refused where it must be met.
    let impossible = M4 { target_rate: 0.95, strict: false, ..m4.clone() };
    let got = world.select(vec![Kind::M4(impossible.clone())]).await;
    assert_eq!(got.selected.findings[0].found["fit"]["status"], "infeasible");
    let strict = world.try_select("meta", vec![Kind::M4(M4 { strict: true, ..impossible })], 1).await;
    assert!(matches!(strict, Err(SelectError::Stage { message, .. }) if message.contains("woman")));
    let constant = M4 { attributes: vec![M4Attribute { name: "any".into(), sql: Some("width > 0".into()), target: 0.5 }], ..m4 };
    assert!(
        matches!(world.try_select("meta", vec![Kind::M4(constant)], 1).await, Err(SelectError::Stage { message, .. }) if message.contains("any"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn languages_get_their_shares() {
    let world = World::new(20_000);
    let shares = BTreeMap::from([("sw".to_owned(), 0.4)]);
    let got = world.select(vec![Kind::Languages(Languages { column: "lang".into(), shares })]).await;
    let copies = |lang: &str| -> u32 { world.rows.iter().filter(|row| row.lang == lang).filter_map(|row| got.subset.get(&row.uid)).sum() };
    let all: u32 = got.subset.values().sum();
    assert!((f64::from(copies("sw")) / f64::from(all) - 0.4).abs() < 0.02);
    assert!((f64::from(all) / 20_000.0 - 1.0).abs() < 0.02, "the size stays what it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_uids_are_joined() {
    let world = World::new(2000);
    let list = |name: &str, keep: &dyn Fn(usize) -> bool| {
        let path = world.folder.path().join(name);
        let uids: Vec<String> =
            world.rows.iter().enumerate().filter(|(at, _)| keep(*at)).map(|(_, row)| format!("{:032x}", row.uid)).collect();
        std::fs::write(&path, uids.join("\n") + "\n").unwrap();
        path.display().to_string()
    };
    let files = vec![list("two.txt", &|at| at % 2 == 0), list("three.txt", &|at| at % 3 == 0)];
    for (join, expected) in [(Join::All, 334), (Join::Any, 1333), (Join::None, 667)] {
        let got = world.select(vec![Kind::Subset { files: files.clone(), join }]).await;
        assert_eq!(got.subset.len(), expected, "{join:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_order_nor_sharding_nor_threads_change_a_byte() {
    let world = World::new(6000);
    let mut turned = world.rows.clone();
    turned.reverse();
    write(&world.folder.path().join("turned"), &turned, 7, 300);
    let kinds = || {
        vec![
            conditions(&["width >= 120"]),
            Kind::Top(top(0.8)),
            Kind::Cap(Cap { by: vec!["split_part(url, '/', 3)".into()], most: 60, order: Some("score".into()), lowest: false }),
            Kind::Sample(Sample { fraction: Some(0.9), count: None, weight: None, repeat: None }),
            Kind::Languages(Languages { column: "lang".into(), shares: BTreeMap::from([("sw".to_owned(), 0.4)]) }),
        ]
    };
    let first = world.try_select("meta", kinds(), 1).await.unwrap();
    for (meta, threads) in [("meta", 3), ("turned", 1), ("turned", 2)] {
        let other = world.try_select(meta, kinds(), threads).await.unwrap();
        assert_eq!(first.npy, other.npy, "{meta} on {threads} threads");
        assert_eq!(first.excluded, other.excluded);
        assert_eq!(first.selected.funnel, other.selected.funnel);
        assert_eq!(first.selected.findings, other.selected.findings);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_named() {
    let world = World::new(50);
    let said = |kind: Kind| {
        let world = &world;
        async move { world.try_select("meta", vec![kind], 1).await.err().map(|e| e.to_string()).unwrap_or_default() }
    };
    assert!(said(conditions(&["wdith > 3"])).await.contains("did you mean `width`"), "{}", said(conditions(&["wdith > 3"])).await);
    assert!(said(conditions(&["width + 3"])).await.contains("no condition"));
    assert!(said(Kind::Top(Top { by: "scroe".into(), ..top(0.1) })).await.contains("did you mean `score`"));
    assert!(said(Kind::Top(top(1.5))).await.contains("between 0 and 1"));
    assert!(said(conditions(&["width > 100000"])).await.contains("nothing is left of 50 rows"));
    assert!(said(Kind::Top(Top { by: "text".into(), ..top(0.5) })).await.contains("`text` is no number: it gives Utf8"));
    // A uid that is none, with its row.
    let mut wrong = batch(&world.rows);
    let mut columns = wrong.columns().to_vec();
    columns[0] = Arc::new(StringArray::from_iter_values(world.rows.iter().enumerate().map(|(at, row)| match at {
        7 => "not-a-uid".to_owned(),
        _ => format!("{:032x}", row.uid),
    })));
    wrong = RecordBatch::try_new(wrong.schema(), columns).unwrap();
    let folder = world.folder.path().join("wrong");
    std::fs::create_dir(&folder).unwrap();
    let file = std::fs::File::create(folder.join("0.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, wrong.schema(), None).unwrap();
    writer.write(&wrong).unwrap();
    writer.close().unwrap();
    let error = world.try_select("wrong", vec![conditions(&["width > 0"])], 1).await.err().unwrap().to_string();
    assert!(error.contains("row 7") && error.contains("not-a-uid"), "{error}");
    std::fs::write(folder.join("1.parquet"), b"PAR1 but no more").unwrap();
    assert!(world.try_select("wrong", vec![], 1).await.err().unwrap().to_string().contains("1.parquet"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_share_a_uid_are_told() {
    let mut world = World::new(500);
    let twice = world.rows[3].clone();
    world.rows.push(twice);
    write(&world.folder.path().join("twice"), &world.rows, 2, 100);
    let got = world.try_select("twice", vec![conditions(&["width > 0"])], 2).await.unwrap();
    assert_eq!(got.selected.duplicate_uids, 1);
    assert!(got.selected.warnings[0].contains("1 kept rows"));
}

/// Writes vectors beside each file of the metadata: 40 directions, two rows in five a near copy of the first of their direction.
fn write_vectors(folder: &Path, key: &str) {
    use trommel_shards::vectors::{NpyWriter, Precision, Rows};
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "parquet") {
            continue;
        }
        let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(&path).unwrap()).unwrap().build().unwrap();
        let storage = Storage::open(&folder.join("vectors").display().to_string()).unwrap();
        let name = format!("{}.{key}.npy", path.file_stem().unwrap().to_string_lossy());
        let mut writer = NpyWriter::create(&storage, &name, 8, Precision::F16).unwrap();
        for batch in reader {
            let batch = batch.unwrap();
            for uid in batch.column_by_name("uid").unwrap().as_string::<i32>().iter() {
                let uid = Uid128::parse(uid.unwrap()).unwrap().0;
                writer.append(Rows::new(&vector_of(uid), 8, None).unwrap()).unwrap();
            }
        }
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(writer.finish())).unwrap();
    }
}

/// Whether a row is a near copy, and its direction.
fn group_of(uid: u128) -> (bool, u64) {
    let draw = trommel_filters::balance::Draw::new(11, "vectors").row(uid);
    (draw.uniform(0) < 0.4, draw.bits(1) % 40)
}

fn vector_of(uid: u128) -> Vec<f32> {
    let (copy, direction) = group_of(uid);
    let row = trommel_filters::balance::Draw::new(11, "noise").row(uid);
    let axis = trommel_filters::balance::Draw::new(11, "axis").row(u128::from(direction));
    let noise = if copy { 0.001 } else { 0.6 };
    let value = |at: u64| (axis.gumbel(at) + noise * row.gumbel(at)) as f32;
    let raw: Vec<f32> = (0..8).map(value).collect();
    let length = raw.iter().map(|value| value * value).sum::<f32>().sqrt();
    raw.iter().map(|value| value / length).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn clusters_of_vectors_decide_and_neither_order_nor_sharding_matters() {
    use super::spec::{ClusterRule, Clusters};
    let world = World::new(3000);
    let mut turned = world.rows.clone();
    turned.reverse();
    write(&world.folder.path().join("turned"), &turned, 5, 200);
    for folder in ["meta", "turned"] {
        write_vectors(&world.folder.path().join(folder), "l14_img");
    }
    let by = |levels: Vec<usize>, rule| Kind::Clusters(Clusters { vectors: "l14_img".into(), levels, iterations: 10, rule });
    let semdedup = by(vec![20], ClusterRule::Semdedup { epsilon: 0.001 });
    let got = world.select(vec![semdedup.clone()]).await;
    // Of the near copies of a direction, which are all in one cluster, hardly more than one is left; the others stay.
    let copies = world.uids(|row| group_of(row.uid).0);
    let left = copies.iter().filter(|uid| got.subset.contains_key(*uid)).count();
    assert!(copies.len() > 1000 && left < 120, "{left} of {} copies are left", copies.len());
    let others = world.uids(|row| !group_of(row.uid).0);
    let lost = others.iter().filter(|uid| !got.subset.contains_key(*uid)).count();
    assert!(lost * 10 < others.len(), "{lost} of {} others are lost", others.len());
    let density = world.select(vec![by(vec![20], ClusterRule::Density { keep: 700 })]).await;
    assert_eq!(density.subset.len(), 700);
    let prototypes = world.select(vec![by(vec![20], ClusterRule::Prototypes { fraction: 0.3, easiest: false })]).await;
    assert_eq!(prototypes.subset.len(), 900);
    let hierarchy = by(vec![60, 10], ClusterRule::Hierarchy { target: 600, most: 1 });
    let drawn = world.select(vec![hierarchy.clone()]).await;
    assert_eq!(drawn.subset.len(), 600);
    for kind in [semdedup, hierarchy] {
        let (first, other) =
            (world.try_select("meta", vec![kind.clone()], 1).await.unwrap(), world.try_select("turned", vec![kind], 2).await.unwrap());
        assert_eq!(first.npy, other.npy);
    }
    // Vectors that do not line up are an error with both counts.
    let short = world.folder.path().join("short");
    write(&short, &world.rows[..500], 1, 100);
    write_vectors(&short, "l14_img");
    write(&short, &world.rows[..400], 1, 100);
    let error = world.try_select("short", vec![by(vec![5], ClusterRule::Density { keep: 10 })], 1).await.err().unwrap().to_string();
    assert!(error.contains("500 vectors") && error.contains("400 rows"), "{error}");
}
