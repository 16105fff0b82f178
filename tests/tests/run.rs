//! The main job over the miniature web: every row is accounted for, every pair ends as the web's own truth says, and
//! running again changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use trommel::miniweb::MiniWebConfig;
use trommel::miniweb::counters::Kind;
use trommel::miniweb::site::Policy;
use trommel::miniweb::truth::Fate;
use trommel_tests::{Trommel, Web, all_files, calm, fingerprint, fingerprint_of, recipe, sample_keys, tables, tar_members};

const FETCH_ALL: &str = r#"
[[stage]]
use = "fetch"
image_size = 64
number_sample_per_shard = 1000
"#;

const DEMO: &str = r#"
[[stage]]
use = "language"

[[stage]]
use   = "keep"
where = "words(text) > 2 and chars(text) > 5 and not is_boilerplate(text) and not has_pii(text)"

[[stage]]
use   = "dedupe"
by    = ["url"]
order = "chars(text) desc, uid"

[[stage]]
use          = "fetch"
image_size   = 64
resize_mode  = "keep_ratio_largest"
min_image_size   = 32
max_aspect_ratio = 3.0
number_sample_per_shard = 40

[[stage]]
use   = "keep"
where = "status != 'success' or width * height >= 2500"
"#;

/// How rows of a fate may end: `success`, or the error codes.
fn endings(fate: Fate) -> Vec<String> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    match fate {
        Fate::Ok | Fate::OkAfterRetry => words(&["success"]),
        // RFC 9309: a robots.txt that cannot be had disallows everything.
        Fate::RefusedRobots => words(&["opt_out_robots_txt", "robots_unreachable"]),
        Fate::RefusedSignal => words(&["opt_out_content_signal"]),
        Fate::RefusedTdm => words(&["opt_out_tdmrep_json"]),
        Fate::RefusedHeader => words(&["opt_out_x_robots_tag", "opt_out_tdm_reservation", "opt_out_content_usage"]),
        Fate::RefusedMeta => words(&["opt_out_meta_robots"]),
        // A redirect that says not where to is a broken redirect rather than a status.
        Fate::HttpStatus(302) => words(&["bad_redirect"]),
        Fate::HttpStatus(status) => vec![format!("http_{status}")],
        Fate::Blocked => words(&["blocked_address", "blocked_scheme"]),
        Fate::BadUrl => Vec::new(),
        // `.invalid` is refused before anybody is asked for it (RFC 6761).
        Fate::Unresolvable => words(&["dns_not_found", "blocked_address"]),
        Fate::TooManyRedirects => words(&["too_many_redirects", "redirect_loop"]),
        Fate::Timeout => words(&["header_timeout", "idle_timeout", "total_timeout", "too_slow", "robots_unreachable", "deferred_too_long"]),
        Fate::Broken => words(&["connection_closed", "connection_reset", "length_mismatch", "header_too_large", "protocol_error"]),
        Fate::TooLarge => words(&["too_many_pixels", "body_too_large", "decoded_too_large", "total_timeout"]),
        Fate::NotAnImage => words(&["html_instead_of_image", "empty_body", "corrupt", "unsupported_format", "truncated"]),
        Fate::TruncatedImage => words(&["truncated"]),
    }
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

#[test]
fn every_candidate_ends_as_the_webs_own_truth_says() {
    let config = MiniWebConfig { pages: 60, hostile: 0.25, refusing: 0.45, ..MiniWebConfig::default() };
    let web = Web::launch(config);
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out");
    web.write_wats(&folder.path().join("crawl"), 2);
    let file = folder.path().join("all.toml");
    write(&file, &recipe("all", &folder.path().join("crawl"), &output, FETCH_ALL));

    let report = Trommel::run(&file).report(0);
    assert_eq!(report["balances"], true);
    assert_eq!(report["failed_units"], serde_json::json!([]));

    let mut rows: BTreeMap<(String, String, String), Vec<String>> = BTreeMap::new();
    for table in tables(&output) {
        let columns = ["page_url", "url", "text", "status", "error_code"].map(|name| table.text(name));
        let [page, url, text, status, code] = columns;
        for row in 0..table.rows() {
            let ending = if status[row] == "success" { status[row].clone() } else { code[row].clone() };
            rows.entry((page[row].clone(), url[row].clone(), text[row].clone())).or_default().push(ending);
        }
    }
    let mut wrong = BTreeSet::new();
    let mut known = BTreeSet::new();
    let mut met: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for candidate in web.web().truth() {
        let Some(url) = candidate.url.filter(|url| url.starts_with("http")) else { continue };
        let fate = candidate.expected.fate;
        let allowed = endings(fate);
        // A WAT shows the `alt` of every image, and of some pictures what the page's metas say of them.
        let has_alt = candidate.in_wat && candidate.alt.as_ref().is_some_and(|alt| !alt.trim().is_empty());
        for text in BTreeSet::from([candidate.alt.clone(), candidate.text.clone()]).into_iter().flatten() {
            let key = (candidate.page_url.clone(), url.clone(), text);
            match rows.get(&key) {
                None if has_alt && candidate.alt.as_ref() == Some(&key.2) => {
                    wrong.insert(format!("{key:?} should be there, and end as {fate:?}"));
                }
                None => {}
                Some(ends) => {
                    for end in ends {
                        met.entry(format!("{fate:?}")).or_default().insert(end.clone());
                        if !allowed.contains(end) {
                            wrong.insert(format!("{key:?} ended as `{end}`, and should as {fate:?}"));
                        }
                    }
                }
            }
            known.insert(key);
        }
    }
    wrong.extend(rows.keys().filter(|key| !known.contains(*key)).map(|key| format!("{key:?} is on no page")));
    assert!(wrong.is_empty(), "{} rows are not as they should be; endings met: {met:#?}\n{wrong:#?}", wrong.len());
    assert!(met.len() >= 20, "the web has too few fates to show anything: {met:#?}");

    // Who says no before the first request gets none.
    for index in 0..web.web().hosts() {
        let policy = web.web().host(index).policy;
        let seen = web.counters().host(index);
        if matches!(policy, Policy::RobotsAll | Policy::RobotsBroken | Policy::ContentSignal | Policy::TdmFile) {
            assert_eq!(seen.visits, 0, "host {index} has {policy:?}");
        }
    }
    assert!(web.counters().of(Kind::Image) > 0);
    assert_eq!(web.counters().of(Kind::Page), 0, "extraction asks the network for nothing");
}

#[test]
fn the_demos_recipe_balances_and_its_shards_agree_with_each_other() {
    let web = Web::launch(MiniWebConfig { pages: 50, hostile: 0.1, ..MiniWebConfig::default() });
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out");
    web.write_wats(&folder.path().join("crawl"), 2);
    let file = folder.path().join("demo.toml");
    write(&file, &recipe("demo", &folder.path().join("crawl"), &output, DEMO));
    let report = Trommel::run(&file).report(0);

    let funnel = &report["funnel"];
    assert_eq!(report["balances"], true);
    let lost: u64 = funnel["stages"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|stage| stage["lost"].as_object().unwrap().values())
        .map(|n| n.as_u64().unwrap())
        .sum();
    assert_eq!(funnel["rows"].as_u64().unwrap(), funnel["kept"].as_u64().unwrap() + lost);
    let names: Vec<_> = funnel["stages"].as_array().unwrap().iter().map(|stage| stage["stage"].as_str().unwrap()).collect();
    assert_eq!(names, ["2.keep", "3.dedupe", "4.fetch", "5.keep"]);

    let members = tar_members(&output);
    let keys = sample_keys(&members);
    let sorted: BTreeSet<String> = keys.iter().cloned().collect();
    assert_eq!(keys, sorted.into_iter().collect::<Vec<_>>(), "members are adjacent and in key order");
    let mut successes = Vec::new();
    for table in tables(&output) {
        let (key, status) = (table.text("key"), table.text("status"));
        successes.extend(key.into_iter().zip(status).filter(|(_, status)| status == "success").map(|(key, _)| key));
    }
    assert_eq!(keys, successes);
    assert_eq!(keys.len() as u64, funnel["kept"].as_u64().unwrap());
    for key in &keys {
        let endings: Vec<&str> = members.iter().filter_map(|(name, _)| name.strip_prefix(key.as_str())?.strip_prefix('.')).collect();
        assert_eq!(endings, ["jpg", "json", "txt"], "{key}");
    }
    // What a filter took out is in the exclusion tables, with its stage.
    let excluded: usize = all_files(&output.join("excluded")).into_values().map(|path| trommel_tests::Table::read(&path).rows()).sum();
    let by_filters: u64 = funnel["stages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|stage| stage["stage"] != "4.fetch")
        .flat_map(|stage| stage["lost"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()))
        .sum();
    assert_eq!(excluded as u64, by_filters);

    let stats = Trommel::new(["stats"]).arg(&output).report(0);
    assert_eq!(&stats["funnel"], funnel);
    assert_eq!(Trommel::new(["status"]).arg(&output).report(0)["finished"], true);
    Trommel::new(["validate"]).arg(&output).ends_with(0);
    for name in ["00000.tar", "00000.parquet"] {
        Trommel::new(["validate"]).arg(output.join(name)).ends_with(0);
    }
}

#[test]
fn a_second_run_does_nothing_and_another_folder_gets_the_same_bytes() {
    let web = Web::launch(calm(40));
    let folder = tempfile::tempdir().unwrap();
    let crawl = folder.path().join("crawl");
    web.write_wats(&crawl, 2);
    let outputs = ["first", "second"].map(|name| folder.path().join(name));
    let files = ["first", "second"].map(|name| folder.path().join(format!("{name}.toml")));
    for (file, output) in files.iter().zip(&outputs) {
        write(file, &recipe("twice", &crawl, output, DEMO));
    }

    let report = Trommel::run(&files[0]).report(0);
    assert!(report["units_done"].as_u64().unwrap() > 5, "{report}");
    // The lock says which process had it, the sign of life when: all else stays.
    let lasting = || {
        let files = all_files(&outputs[0]).into_iter();
        fingerprint_of(files.filter(|(name, _)| name != "_trommel/lock" && !name.starts_with("_trommel/runs/")).collect())
    };
    let everything = lasting();
    let requests = web.counters().requests();
    // Not shown on a web with hostile hosts: there a visit lasts until the server notices that the visitor has left.
    assert!(web.counters().most_at_once() <= 2, "{:?}", web.counters().hosts());

    let again = Trommel::run(&files[0]).report(0);
    assert_eq!(again["units_done"], 0);
    assert_eq!(again["funnel"], report["funnel"]);
    assert_eq!(everything, lasting());
    assert_eq!(web.counters().requests(), requests, "a second run asks nobody");

    // One thread instead of all: the order of the work is another one, the bytes are not.
    Trommel::run(&files[1]).arg("--threads").arg("1").ends_with(0);
    assert_eq!(fingerprint(&outputs[0]), fingerprint(&outputs[1]));

    // A fresh start over what is there, too.
    Trommel::run(&files[0]).arg("--fresh").ends_with(0);
    assert_eq!(fingerprint(&outputs[0]), fingerprint(&outputs[1]));
}

#[test]
fn a_changed_recipe_redoes_what_it_changes_and_nothing_else() {
    let web = Web::launch(calm(24));
    let folder = tempfile::tempdir().unwrap();
    let crawl = folder.path().join("crawl");
    web.write_wats(&crawl, 2);
    let [output, other] = ["out", "other"].map(|name| folder.path().join(name));
    let file = folder.path().join("job.toml");
    write(&file, &recipe("job", &crawl, &output, DEMO));
    Trommel::run(&file).ends_with(0);

    let changed = DEMO.replace("image_size   = 64", "image_size   = 48");
    write(&file, &recipe("job", &crawl, &output, &changed));
    let report = Trommel::run(&file).report(0);
    assert!(report["units_done_before"].as_u64().unwrap() >= 5, "extraction and dedupe stand: {report}");
    assert!(report["units_done"].as_u64().unwrap() > 0, "{report}");
    write(&file, &recipe("job", &crawl, &other, &changed));
    Trommel::run(&file).ends_with(0);
    assert_eq!(fingerprint(&output), fingerprint(&other));
}

#[test]
fn explain_does_nothing_and_says_what_would_be_done() {
    let folder = tempfile::tempdir().unwrap();
    let web = Web::launch(calm(4));
    web.write_wats(&folder.path().join("crawl"), 1);
    let output = folder.path().join("out");
    let file = folder.path().join("job.toml");
    write(&file, &recipe("job", &folder.path().join("crawl"), &output, DEMO));
    let done = Trommel::run(&file).arg("--explain").ends_with(0);
    for word in ["0-extract", "3-dedupe", "4-fetch", "webdataset", "is_boilerplate"] {
        assert!(done.out.contains(word), "{word} is not in\n{}", done.out);
    }
    assert!(!output.exists() || all_files(&output).is_empty());
    assert_eq!(web.counters().requests(), 0);
}
