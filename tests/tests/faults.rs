//! What goes wrong around a run: the disk, the user, another run, the input. Each gets a clear word and its exit code,
//! and nothing is lost.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use trommel_tests::{Done, FETCH, Gate, Plain, Reply, Trommel, Web, calm, data_files, fingerprint, picture, recipe, tables};

const STAGES: &str = r#"
[[stage]]
use = "fetch"
image_size = 64
number_sample_per_shard = 40
"#;

fn crawl(pages: u64) -> (Web, tempfile::TempDir, PathBuf) {
    let web = Web::launch(calm(pages));
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let crawl = folder.path().join("crawl");
    web.write_wats(&crawl, 2);
    let file = folder.path().join("job.toml");
    std::fs::write(&file, recipe("job", &crawl, &folder.path().join("out"), STAGES)).expect("a temporary folder can be written to");
    (web, folder, file)
}

/// `trommel fetch` of a list, polite to nobody but its own server.
fn fetch(list: &Path, output: &Path) -> Trommel {
    Trommel::new(["fetch"]).arg(list).arg("-o").arg(output).args(FETCH)
}

/// A list of urls of a server, one picture each.
fn list(folder: &Path, server: &Plain, count: u64) -> PathBuf {
    let path = folder.join("urls.txt");
    let text: String = (0..count).map(|n| format!("{}\n", server.url(&format!("/{n}.jpg")))).collect();
    std::fs::write(&path, text).expect("a temporary folder can be written to");
    path
}

#[test]
fn a_disk_that_refuses_large_files_ends_in_one_and_space_mends_it() {
    let (_web, folder, file) = crawl(16);
    let [output, other] = ["out", "other"].map(|name| folder.path().join(name));
    // A write beyond the limit fails as one on a full disk does, when the signal is ignored.
    let done = Trommel::run(&file).in_shell("trap '' XFSZ; ulimit -f 16; exec \"$@\"").ends_with(1);
    done.says(&["File too large"]);
    assert!(data_files(&output).keys().all(|name| !name.ends_with(".tar")), "no shard is there in part");
    Trommel::run(&file).ends_with(0);
    Trommel::run(&file).arg("-o").arg(&other).ends_with(0);
    assert_eq!(fingerprint(&output), fingerprint(&other));
}

/// How a shell gets a mount of its own here, if it can.
fn namespace(scratch: &Path) -> Option<&'static str> {
    ["unshare --user --map-root-user --mount", "unshare --mount"].into_iter().find(|how| {
        let script = format!("{how} mount -t tmpfs -o size=64k tmpfs '{}'", scratch.display());
        Command::new("sh").args(["-c", &script]).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    })
}

#[test]
fn a_full_disk_ends_the_run_with_one_and_a_word_and_space_mends_it() {
    let (_web, folder, file) = crawl(16);
    let [small, saved, other] = ["small", "saved", "other"].map(|name| folder.path().join(name));
    std::fs::create_dir_all(&small).unwrap();
    std::fs::create_dir_all(&saved).unwrap();
    let Some(how) = namespace(&small) else {
        eprintln!("SKIPPED: no file system of a limited size can be mounted here");
        return;
    };
    let script = format!(
        "exec {how} sh -c 'small=$1; saved=$2; shift 2
         mount -t tmpfs -o size=120k tmpfs \"$small\" || exit 70
         \"$@\"; first=$?
         mount -o remount,size=64m \"$small\" || exit 71
         \"$@\" || exit 72
         cp -a \"$small/.\" \"$saved\" && exit $first' sh '{}' '{}' \"$@\"",
        small.display(),
        saved.display()
    );
    let done = Trommel::run(&file).arg("-o").arg(&small).in_shell(&script).ends_with(1);
    done.says(&["No space left on device"]);
    Trommel::run(&file).arg("-o").arg(&other).ends_with(0);
    assert_eq!(fingerprint(&saved), fingerprint(&other));
}

#[test]
fn a_second_run_on_a_folder_is_refused_and_told_who_holds_it() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::default();
    let (held, image) = (gate.clone(), picture(0));
    let server = Plain::serve(move |_, _| {
        held.pass();
        Reply(200, image.clone())
    });
    let (list, output) = (list(folder.path(), &server, 2), folder.path().join("out"));
    let first = fetch(&list, &output).start();
    gate.reached(1);
    fetch(&list, &output).ends_with(2).says(&["another run is writing to", &format!("process {}", first.id())]);
    assert_eq!(Trommel::new(["status"]).arg(&output).report(0)["running"], true);
    gate.open();
    let done: Done = first.wait_with_output().unwrap().into();
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert_eq!(Trommel::new(["status"]).arg(&output).report(0)["running"], false);
    fetch(&list, &output).ends_with(0);
}

/// A run is interrupted while its second shard is in hand, and goes on afterwards.
fn interrupted_by(signal: &str) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let gate = Gate::default();
    let (held, images) = (gate.clone(), [picture(0), picture(1)]);
    let server = Plain::serve(move |path, _| {
        let number: usize = path.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(0);
        if number >= 4 {
            held.pass();
        }
        Reply(200, images[number % 2].clone())
    });
    let list = list(folder.path(), &server, 8);
    let [output, other] = ["out", "other"].map(|name| folder.path().join(name));
    let call = |output: &Path| fetch(&list, output).arg("--number-sample-per-shard=4").arg("--units-at-once=1");
    let child = call(&output).start();
    gate.reached(1);
    let kill = Command::new("sh").args(["-c", &format!("kill -{signal} {}", child.id())]).status().expect("a shell starts");
    assert!(kill.success());
    let done: Done = child.wait_with_output().expect("the program ends").into();
    assert_eq!(done.code, Some(130), "{}", done.err);
    done.says(&["interrupted", "run the same command again to go on"]);
    let names: Vec<String> = data_files(&output).into_keys().collect();
    assert!(names.contains(&"00000.tar".to_owned()) && !names.iter().any(|name| name.starts_with("00001")), "{names:?}");
    gate.open();
    let report = call(&output).report(0);
    assert_eq!(report["units_done"], 1, "{report}");
    call(&other).ends_with(0);
    assert_eq!(fingerprint(&output), fingerprint(&other));
}

#[test]
fn an_interrupt_rolls_back_the_unit_in_hand_and_the_next_run_gives_the_same_bytes() {
    interrupted_by("INT");
}

#[test]
fn a_request_to_terminate_is_an_interrupt() {
    interrupted_by("TERM");
}

#[test]
fn a_folder_with_something_else_in_it_is_refused_and_left_alone() {
    let (_web, folder, file) = crawl(2);
    let output = folder.path().join("out");
    std::fs::create_dir_all(&output).unwrap();
    std::fs::write(output.join("thesis.tex"), "years of work").unwrap();
    for arguments in [&[][..], &["--fresh"]] {
        let call = arguments.iter().fold(Trommel::run(&file), |call, argument| call.arg(argument));
        call.ends_with(2).says(&["holds no output of ours", "thesis.tex"]);
    }
    assert_eq!(data_files(&output).into_keys().collect::<Vec<_>>(), ["thesis.tex"]);

    std::fs::remove_file(output.join("thesis.tex")).unwrap();
    Trommel::run(&file).ends_with(0);
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("\"job\"", "\"another\"")).unwrap();
    let before = fingerprint(&output);
    Trommel::run(&file).ends_with(2).says(&["holds the output of another job", "`job`", "`another`", "--fresh"]);
    assert_eq!(fingerprint(&output), before);
    Trommel::run(&file).arg("--fresh").ends_with(0);
}

#[test]
fn mistakes_in_a_recipe_are_named_with_their_line_and_the_nearest_word() {
    let (_web, folder, file) = crawl(2);
    let good = std::fs::read_to_string(&file).unwrap();
    let keep = |predicate: &str| good.replacen("[[stage]]", &format!("[[stage]]\nuse = \"keep\"\nwhere = \"{predicate}\"\n\n[[stage]]"), 1);
    let line = |text: &str, word: &str| text.lines().position(|line| line.contains(word)).unwrap() + 1;
    let cases: Vec<(String, &str, Vec<&str>)> = vec![
        (good.replace("image_size", "imge_size"), "imge_size", vec!["unknown key `imge_size`", "did you mean `image_size`?"]),
        (good.replace("\"fetch\"", "\"fetsh\""), "fetsh", vec!["no stage `fetsh`", "did you mean `fetch`?"]),
        (
            good.replace("total_timeout", "totl_timeout"),
            "totl_timeout",
            vec!["unknown key `totl_timeout`", "did you mean `total_timeout`?"],
        ),
        (keep("words(txt) > 2"), "words(txt)", vec!["txt", "text"]),
        (keep("wrds(text) > 2"), "wrds(text)", vec!["wrds", "words"]),
        (keep("words(text) >"), "words(text) >", vec!["words(text) >"]),
        (good.replace("[job]", "[job]\nversion = 9"), "version", vec!["version 9", "version 1"]),
        (good.replace("*.wat.gz", "*.nothing"), "nothing", vec!["matches no file"]),
        (
            good.replace("[[stage]]\nuse = \"fetch\"", "[[stage]]\nuse = \"dedupe\"\nby = [\"ulr\"]\n\n[[stage]]\nuse = \"fetch\""),
            "ulr",
            vec!["`ulr`", "did you mean `url`?"],
        ),
        (good.replace("image_size = 64", "image_size = \"big\""), "big", vec!["big"]),
        (good.replace("[network]", "[netwrk]"), "[netwrk]", vec!["netwrk", "did you mean `network`?"]),
    ];
    for (text, word, says) in cases {
        std::fs::write(&file, &text).unwrap();
        let place = format!("job.toml:{}:", line(&text, word));
        for call in [Trommel::run(&file), Trommel::new(["validate"]).arg(&file)] {
            call.ends_with(2).says(&[&place]).says(&says);
        }
    }
    std::fs::write(&file, good.replace("contact", "# contact")).unwrap();
    Trommel::run(&file).ends_with(2).says(&["fetching needs a contact"]);
    assert!(!folder.path().join("out").exists() || data_files(&folder.path().join("out")).is_empty());
}

#[test]
fn mistakes_on_the_command_line_are_named_with_the_nearest_word() {
    let folder = tempfile::tempdir().unwrap();
    let (list, output) = (folder.path().join("urls.csv"), folder.path().join("out"));
    std::fs::write(&list, "link,alt\nhttp://127.0.0.1:9/a.jpg,a picture\n").unwrap();
    let call = || Trommel::new(["fetch"]).arg(&list).arg("-o").arg(&output);
    call().ends_with(2).says(&["urls.csv", "no column `url`", "link"]);
    call().arg("--url-col=link").ends_with(2).says(&["fetching needs a contact"]);
    let call = || call().arg("--contact=https://example.org/bot");
    call().arg("--url-col=lnk").ends_with(2).says(&["no column `lnk`", "did you mean `link`?"]);
    call().arg("--url-col=link").arg("--caption-col=ald").ends_with(2).says(&["no column `ald`", "`alt`"]);
    call().arg("--url-col=link").arg("--image-sise=3").ends_with(2).says(&["--image-sise", "--image-size"]);
    call().arg("--url-col=link").arg("--net=backof_max=3").ends_with(2).says(&["backof_max", "did you mean `backoff_max`?"]);
    call().arg("--url-col=link").arg("--resize-mode=squash").ends_with(2).says(&["squash", "border"]);
    call().arg("--url-col=link").arg("--allow-net=here").ends_with(2).says(&["here"]);
    Trommel::new(["fecth"]).ends_with(2).says(&["fecth", "fetch"]);
    Trommel::new(["run"]).arg(folder.path().join("none.toml")).ends_with(2).says(&["none.toml"]);
    Trommel::new(["stats"]).arg(folder.path().join("none")).ends_with(2).says(&["none"]);
    Trommel::new(["extract"]).arg(&list).arg("-o").arg(&output).arg("--types=pictures").ends_with(2).says(&["pictures", "image"]);
    assert!(!output.exists() || data_files(&output).is_empty());
}

#[test]
fn input_that_is_not_there_or_empty_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out");
    for ending in ["txt", "csv", "json", "jsonl", "parquet"] {
        let list = folder.path().join(format!("empty.{ending}"));
        std::fs::write(&list, "").unwrap();
        fetch(&list, &output).ends_with(2).says(&[&format!("empty.{ending}"), "empty"]);
    }
    fetch(&folder.path().join("none*.csv"), &output).ends_with(2).says(&["none*.csv", "matches no file"]);
    let list = folder.path().join("list.xyz");
    std::fs::write(&list, "http://127.0.0.1:9/a.jpg\n").unwrap();
    fetch(&list, &output).ends_with(2).says(&["list.xyz", "format"]);
    let wat = folder.path().join("empty.wat.gz");
    std::fs::write(&wat, "").unwrap();
    Trommel::new(["extract"]).arg(&wat).arg("-o").arg(&output).ends_with(1).says(&["empty"]);
}

#[test]
fn one_damaged_record_costs_that_record_only() {
    let web = Web::launch(calm(12));
    let folder = tempfile::tempdir().unwrap();
    let path = web.write_wats(folder.path(), 1).remove(0);
    let [good, bad] = ["good", "bad"].map(|name| folder.path().join(name));
    let extract = |output: &Path| Trommel::new(["extract"]).arg(&path).arg("-o").arg(output).report(0);
    let whole = extract(&good);

    // Common Crawl's files have one gzip member per record: one of the largest, a page's, is damaged.
    let mut bytes = std::fs::read(&path).unwrap();
    let mut starts: Vec<usize> = (0..bytes.len() - 3).filter(|&at| bytes[at..at + 4] == [0x1f, 0x8b, 8, 0]).collect();
    starts.push(bytes.len());
    let largest = starts.windows(2).max_by_key(|pair| pair[1] - pair[0]).unwrap().to_vec();
    let middle = (largest[0] + largest[1]) / 2;
    bytes[middle..middle + 16].fill(0x55);
    std::fs::write(&path, &bytes).unwrap();
    let damaged = extract(&bad);

    let rows = |report: &serde_json::Value| report["funnel"]["rows"].as_u64().unwrap();
    let pages = |folder: &Path| tables(folder).iter().flat_map(|table| table.text("page_url")).collect::<std::collections::BTreeSet<_>>();
    assert!(rows(&damaged) < rows(&whole));
    assert_eq!(pages(&good).difference(&pages(&bad)).count(), 1, "one page is lost");
    let own = Trommel::new(["stats"]).arg(&bad).report(0)["passes"][0]["own"].clone();
    assert!(own["broken_records"].as_u64().unwrap() >= 1, "the loss is counted: {own}");
}

#[test]
fn an_unreadable_file_fails_alone_and_a_second_run_retries_only_it() {
    let folder = tempfile::tempdir().unwrap();
    let image = picture(0);
    let server = Plain::serve(move |_, _| Reply(200, image.clone()));
    let lists = folder.path().join("lists");
    std::fs::create_dir_all(&lists).unwrap();
    for name in ["a", "b", "d"] {
        std::fs::write(lists.join(format!("{name}.jsonl")), format!("{{\"url\":\"{}\"}}\n", server.url(&format!("/{name}.jpg")))).unwrap();
    }
    let broken = lists.join("c.jsonl");
    std::fs::write(&broken, "{\"url\": \"http://127.0.0.1/\n{{{{").unwrap();
    let output = folder.path().join("out");
    let report = fetch(&lists, &output).report(1);
    assert_eq!(report["failed_units"].as_array().unwrap().len(), 1, "{report}");
    assert!(report["failed_units"][0]["error"].as_str().unwrap().contains("c.jsonl"), "{report}");
    assert_eq!(report["funnel"]["kept"], 3, "{report}");
    let again = fetch(&lists, &output).report(1);
    assert_eq!((&again["failed_units"], &again["units_done"]), (&report["failed_units"], &serde_json::json!(0)), "{again}");
    assert_eq!(["/a.jpg", "/b.jpg", "/d.jpg"].map(|path| server.asked(path)), [1; 3]);

    std::fs::write(&broken, format!("{{\"url\":\"{}\"}}\n", server.url("/c.jpg"))).unwrap();
    let mended = fetch(&lists, &output).report(0);
    assert_eq!(mended["funnel"]["kept"], 4, "{mended}");
    let statuses: Vec<String> = tables(&output).iter().flat_map(|table| table.text("status")).collect();
    assert_eq!(statuses, ["success"; 4]);
}
