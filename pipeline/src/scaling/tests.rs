//! Plans with numbers that were worked out by hand.

use super::*;
use crate::scaling::politeness::{CrawlDelay, HostDistribution};

/// Round rates: every result below can be worked out in the head.
fn rates() -> Rates {
    let values = [
        (Item::ExtractWat, 100e6),
        (Item::LanguageCaptions, 100e3),
        (Item::KeepRows, 1e6),
        (Item::DedupeRows, 100e3),
        (Item::DedupeShuffleBytes, 50.0),
        (Item::FetchUrls, 10e3),
        (Item::FetchSmall, 500.0),
        (Item::FetchLarge, 250.0),
        (Item::EncodePixels, 100e6),
        (Item::HashPictures, 200.0),
        (Item::ScoreFlops, 100e9),
        (Item::SelectRows, 500e3),
        (Item::BalanceRows, 500e3),
        (Item::NearRows, 250e3),
        (Item::NearMemoryBytes, 60.0),
        (Item::ReshardBytes, 500e6),
        (Item::TableRowBytes, 100.0),
        (Item::ListRowBytes, 10.0),
        (Item::ShardRowBytes, 200.0),
        (Item::ExclusionRowBytes, 50.0),
        (Item::MarkerBytes, 1000.0),
    ];
    let of = |(item, value)| Measurement { item, value, source: Source::Measured("by hand".into()) };
    Rates::from_measurements(MeasuredOn { processor: "a machine".into(), cores: 2, ..MeasuredOn::default() }, values.map(of)).unwrap()
}

/// Many small hosts without pauses, so that machines set the pace.
fn assumptions(pairs: f64) -> Assumptions {
    Assumptions {
        pairs,
        wat_bytes: 100e6,
        wat_inflates: 10.0,
        wat_candidates: 100e3,
        picture_pixels: 640.0 * 480.0,
        picture_bytes: 100e3,
        stored_bytes: Some(20_000.0 - 2304.0),
        hosts: HostDistribution { hosts: 1_000_000, exponent: 0.0, shift: 0.0 },
        crawl_delays: Vec::new(),
        extra_requests: 0.0,
        answer_seconds: 1.0,
        ..Assumptions::default()
    }
}

fn close(ours: f64, hand: f64) {
    assert!((ours - hand).abs() <= 1e-6 * hand.abs().max(1e-12), "{ours} is not {hand}");
}

fn fetch() -> Stage {
    Stage::new("4.fetch", StageKind::Fetch(FetchStage { concurrency: 1000, policy_requests: 0, ..FetchStage::default() })).keeping(0.5)
}

#[test]
fn extraction_reads_files_and_writes_what_its_pass_leaves() {
    let stages = [
        Stage::new("source", StageKind::ExtractWat),
        Stage::new("1.language", StageKind::Language),
        Stage::new("2.keep", StageKind::Keep).keeping(0.25),
        Stage::new("3.dedupe", StageKind::Dedupe).keeping(0.2),
    ];
    // 50 million pairs left: 1 billion candidates from 10,000 files.
    let machines = Machines::parse("all=10x10c/8gbps/1.5").unwrap();
    let plan = plan(&stages, &assumptions(50e6), &rates(), &machines).unwrap();
    let [extract, language, keep, dedupe] = &plan.stages[..] else { panic!() };
    close(extract.rows_in, 1e9);
    close(extract.bytes_read, 1e12);
    close(extract.units, 10_000.0);
    // 10 TB inflated at 100 MB a core second.
    close(extract.cpu_hours, 1e5 / 3600.0);
    // What the pass leaves, 250 million rows of 100 B, and 10,000 markers of 1 kB.
    close(extract.bytes_written, 250e6 * 100.0 + 1e7);
    // A terabyte over ten networks of a gigabyte a second: 100 s; a hundred cores: 1,000 s.
    close(extract.limits.network, 100.0 / 3600.0);
    close(extract.limits.cpu, 1000.0 / 3600.0);
    assert_eq!(extract.bound, Bound::Cpu);
    close(language.cpu_hours, 1e4 / 3600.0);
    close(keep.cpu_hours, 1e3 / 3600.0);
    close(keep.metadata.tables, 750e6 * 50.0);
    close(dedupe.rows_out, 50e6);
    close(dedupe.shuffle_bytes, 250e6 * 50.0);
    close(dedupe.cpu_hours, 2500.0 / 3600.0);
    close(dedupe.metadata.lists, 200e6 * 10.0);
    assert_eq!((extract.pass, keep.pass, dedupe.pass), (0, 0, 1));
    // The first pass: 1,000 + 100 + 10 s of all cores; the second 25 s of them, and a network of
    // max(2 · 25 GB, 2 + 10 + 5 + .01 GB) + 12.5 GB = 62.5 GB over 10 GB/s.
    close(plan.pass_hours[0], 1110.0 / 3600.0);
    close(plan.pass_hours[1], 25.0 / 3600.0);
    close(plan.totals.cost.unwrap(), 1135.0 / 3600.0 * 10.0 * 1.5);
    close(plan.stages.iter().filter_map(|stage| stage.cost).sum(), plan.totals.cost.unwrap());
}

#[test]
fn fetching_takes_the_slowest_of_connections_network_and_cores() {
    let stages = [Stage::new("source", StageKind::ReadList), fetch()];
    let urls = 1e6;
    let on = |machines: &str| {
        let assumptions = Assumptions { pairs_at: PairsAt::Source, ..assumptions(urls) };
        plan(&stages, &assumptions, &rates(), &Machines::parse(machines).unwrap()).unwrap().stages[1].clone()
    };
    // 10,000 urls and 500 pictures a core second: 0.1 ms + 1 ms an url. 1,000 connections are 1,000 urls a second.
    let wide = on("all=1x16c");
    close(wide.cpu_hours, (100.0 + 1000.0) / 3600.0);
    assert_eq!(wide.bound, Bound::Connections);
    close(wide.limits.connections, 1000.0 / 3600.0);
    assert!((wide.wall_hours * 3600.0 / 1000.0 - 1.0).abs() < 0.03, "{}", wide.wall_hours * 3600.0);
    // One core: 1,100 s. A network of 0.2 Gbit/s: 50 GB and two readings of 100 MB, and 200 MB shuffled, at 25 MB/s.
    let narrow = on("all=1x1c");
    assert_eq!(narrow.bound, Bound::Cpu);
    assert!((narrow.wall_hours * 3600.0 / 1100.0 - 1.0).abs() < 0.03);
    let slow = on("all=1x16c/0.2gbps");
    close(slow.limits.network * 3600.0, (50e9 + 4e8) / 25e6);
    assert_eq!(slow.bound, Bound::Network);
    close(wide.bytes_downloaded, 50e9);
    close(wide.requests, 1e6);
    close(wide.rows_out, 500e3);
    // Samples of 20 kB, and a packed row and a row beside the shard for every url.
    let markers = wide.metadata.markers;
    close(wide.bytes_written, 10e9 + 1e6 * 300.0 + markers);
    // A hundred, and one that is not full for each of twelve lanes.
    assert!((100.0..=112.0).contains(&wide.units), "{}", wide.units);
}

#[test]
fn hosts_that_ask_for_pauses_bind_a_crawl() {
    let stages = [Stage::new("source", StageKind::ReadList), fetch()];
    let polite = Assumptions {
        hosts: HostDistribution { hosts: 100, exponent: 0.0, shift: 0.0 },
        crawl_delays: vec![CrawlDelay { share: 1.0, seconds: 10.0 }],
        pairs_at: PairsAt::Source,
        ..assumptions(100e3)
    };
    let plan = plan(&stages, &polite, &rates(), &Machines::parse("all=1x16c").unwrap()).unwrap();
    assert_eq!(plan.stages[1].bound, Bound::Politeness);
    let crawl = plan.crawl.as_ref().unwrap();
    assert!(crawl.left_out > 0 && plan.stages[1].rows_out < 50e3);
    close(plan.stages[1].rows_out, plan.stages[1].rows_in * 0.5 * crawl.done as f64 / crawl.urls as f64);
    assert!(plan.warnings.iter().any(|warning| warning.contains("politely")), "{:?}", plan.warnings);
}

#[test]
fn cards_count_their_own_hours_and_pictures_elsewhere_are_read_again() {
    let score = ScoreStage { picture_flops: 90e9, caption_flops: 10e9, stored_numbers: 1024 };
    let stages = [Stage::new("source", StageKind::ReadList), fetch(), Stage::new("5.score", StageKind::Score(score))];
    let made = |machines: &str| plan(&stages, &assumptions(1e6), &rates(), &Machines::parse(machines).unwrap()).unwrap();
    // 10^17 FLOP on cards of 1,000 TFLOP/s of which 16 % are reached: 625 card seconds.
    let apart = made("fetch=1x16c,score=2x4X1@1000tflops/32c,all=1x8c");
    let score = &apart.stages[2];
    close(score.gpu_hours, 625.0 / 3600.0);
    close(score.limits.gpu, 625.0 / 8.0 / 3600.0);
    close(score.metadata.vectors, 1e6 * 2048.0);
    close(score.bytes_read, 1e6 * 20_000.0);
    assert_eq!(score.pass, apart.stages[1].pass);
    // On cores of 100 GFLOP/s, and with fetching: a million core seconds, nothing read again.
    let together = made("all=1x16c");
    close(together.stages[2].cpu_hours, 1e6 / 3600.0);
    close(together.stages[2].bytes_read, 0.0);
}

#[test]
fn choosing_runs_on_one_machine_and_resharding_on_all() {
    let stages = [
        Stage::new("source", StageKind::ReadList),
        fetch(),
        Stage::new("5.near", StageKind::Near).keeping(0.8),
        Stage::new("6.keep", StageKind::Select).keeping(0.5),
        Stage::new("7.write", StageKind::Reshard),
    ];
    let machines = Machines::parse("all=10x10c/100gbps/64gib").unwrap();
    let plan = plan(&stages, &assumptions(1e9), &rates(), &machines).unwrap();
    let [_, fetch, near, select, reshard] = &plan.stages[..] else { panic!() };
    close(near.rows_in, 2.5e9);
    close(fetch.rows_out, 2.5e9);
    close(near.memory_bytes, 150e9);
    assert!(plan.warnings.iter().any(|warning| warning.contains("5.near") && warning.contains("150 GB")));
    close(near.limits.cpu, 2.5e9 / 250e3 / 10.0 / 3600.0);
    close(select.limits.cpu, 2e9 / 500e3 / 10.0 / 3600.0);
    close(select.metadata.tables, 1e9 * 50.0);
    // All 2.5 billion samples are read, one billion of 20 kB written at 500 MB a core second on a hundred cores.
    close(reshard.bytes_read, 2.5e9 * 20_200.0);
    close(reshard.limits.cpu, 1e9 * 20e3 / 500e6 / 100.0 / 3600.0);
    close(reshard.units, 100_000.0);
}

#[test]
fn what_is_missing_is_named() {
    let machines = Machines::parse("fetch=1x1c").unwrap();
    let stages = [Stage::new("source", StageKind::ReadList), Stage::new("1.keep", StageKind::Keep)];
    let fails =
        |stages: &[Stage], rates: &Rates, machines: &Machines| plan(stages, &assumptions(1e3), rates, machines).unwrap_err().to_string();
    assert!(fails(&stages, &rates(), &machines).contains("--keep 1.keep="));
    let known = [stages[0].clone(), stages[1].clone().keeping(0.5)];
    let error = fails(&known, &rates(), &machines);
    assert!(error.contains("`source`") && error.contains("extract=…"), "{error}");
    let few = Rates::from_measurements(MeasuredOn::default(), []).unwrap();
    assert!(fails(&known, &few, &Machines::parse("all=1x1c").unwrap()).contains("table_row_bytes"));
}

#[test]
fn a_plan_is_printed_and_told_as_json() {
    let stages = [Stage::new("source", StageKind::ExtractWat), Stage::new("3.dedupe", StageKind::Dedupe), fetch()];
    let plan = plan(&stages, &assumptions(1e6), &rates(), &Machines::parse("all=4x16c/0.5").unwrap()).unwrap();
    let text = plan.to_text();
    for part in ["stage", "4.fetch", "total", "shuffle B", "crawl:", "beside what was published", "a machine (2 cores)"] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    let json: serde_json::Value = serde_json::from_str(&plan.to_json()).unwrap();
    assert_eq!(json["stages"][2]["name"], "4.fetch");
    assert!(json["totals"]["cost"].as_f64().unwrap() > 0.0);
    assert_eq!(json["rates"]["rates"]["fetch_small"]["value"], 500.0);
}
