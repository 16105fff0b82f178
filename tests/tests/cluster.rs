//! The same recipe on every engine gives the same bytes, whatever happens to the machines.
#![cfg(feature = "cluster")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use trommel_tests::{
    Cluster, FETCH, Plain, Random, Reply, Scene, Trommel, Web, all_files, calm, certificates, fingerprint, patient, picture, recipe, signal,
};

/// Plans of every shape that passes have.
const SHAPES: [(&str, &str); 4] = [
    ("one pass over units", ""),
    (
        "functions and two models in one pass",
        r#"
[[stage]]
use = "language"

[[stage]]
use   = "keep"
where = "words(text) > 2 and chars(text) > 5 and not has_pii(text)"
"#,
    ),
    (
        "a shuffle with an order",
        r#"
[[stage]]
use   = "dedupe"
by    = ["text"]
order = "chars(url) desc, uid"

[[stage]]
use   = "keep"
where = "lower(url) like '%http%'"
"#,
    ),
    (
        "shuffles, packing, fetching",
        r#"
[[stage]]
use   = "dedupe"
by    = ["url"]

[[stage]]
use          = "fetch"
image_size   = 64
number_sample_per_shard = 6

[[stage]]
use   = "keep"
where = "status != 'success' or width * height >= 100"
"#,
    ),
];

/// What two outputs must share: the dataset to the byte, and the same files in the ledger.
#[track_caller]
fn same(ours: &Path, theirs: &Path, what: &str) {
    let difference = |a: &Path, b: &Path| {
        let (a, b) = (fingerprint(a), fingerprint(b));
        a.into_iter().filter(|(name, digest)| b.get(name) != Some(digest)).map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!((difference(ours, theirs), difference(theirs, ours)), (vec![], vec![]), "{what}");
    let names = |folder: &Path| all_files(folder).into_keys().collect::<Vec<_>>();
    assert_eq!(names(ours), names(theirs), "{what}: the ledger");
}

#[test]
fn plans_of_every_shape_give_the_same_bytes_on_every_engine() {
    let cluster = Cluster::launch(3);
    let scenes = SHAPES
        .map(|(what, stages)| (what, if stages.contains("\"fetch\"") { Scene::new(24, stages) } else { Scene::of_candidates(24, stages) }));
    for (what, scene) in scenes.into_iter().chain([("the demo", Scene::of_demo(60))]) {
        for engine in ["standalone:3", cluster.address()] {
            let output = scene.path(&engine.replace([':', '/'], "-"));
            scene.run(&output).arg("--engine").arg(engine).ends_with(0);
            same(&output, &scene.output, &format!("{what} on {engine}"));
            // A second run finds everything done, on any engine.
            assert_eq!(scene.run(&output).report(0)["units_done"], 0, "{what} on {engine}");
        }
    }
}

#[test]
fn twenty_rounds_of_killed_executors_give_the_bytes_of_a_local_run() {
    let scene = Scene::of_demo(60);
    let mut cluster = Cluster::launch(3);
    let mut random = Random(6);
    let mut kills = 0;
    for round in 0..20 {
        let output = scene.path(&format!("round-{round}"));
        let mut child = scene.run(&output).arg("--engine").arg(cluster.address()).start();
        let moment = scene.took.mul_f64(random.unit());
        // The one place where a test has to wait: what is shown is that the moment does not matter.
        std::thread::sleep(moment);
        if child.try_wait().unwrap().is_none() {
            kills += 1;
        }
        cluster.kill_executor((random.unit() * 3.0) as usize);
        cluster.add_executor();
        let done = trommel_tests::Done::from(child.wait_with_output().unwrap());
        assert_eq!(done.code, Some(0), "round {round}: {}", done.err);
        same(&output, &scene.output, &format!("round {round}"));
        std::fs::remove_dir_all(&output).unwrap();
    }
    assert!(kills >= 10, "only {kills} kills came before the end of their run");
}

#[test]
fn work_goes_to_executors_that_take_it_and_to_no_others() {
    let scene = Scene::new(24, SHAPES[3].1);
    let output = scene.path("out");
    let mut cluster = Cluster::launch(0);
    cluster.add_executor_with(&["--takes", "fetch"]);
    let idle = scene.run(&output).arg("--engine").arg(cluster.address()).end();
    assert_eq!(idle.code, Some(1), "{}", idle.err);
    idle.says(&["no executor of this cluster takes `rest`", "--takes"]);
    cluster.add_executor_with(&["--takes", "rest"]);
    let done = scene.run(&output).arg("--engine").arg(cluster.address()).end();
    assert_eq!(done.code, Some(0), "{}", done.err);
    same(&output, &scene.output, "with two kinds of executors");
    // Without the one that fetches, the work that is left waits for it.
    cluster.kill_executor(0);
    let again = scene.path("again");
    let mut waiting = scene.run(&again).arg("--engine").arg(cluster.address()).start();
    let packed = || {
        again.is_dir() && all_files(&again).into_keys().any(|name| name.starts_with("_trommel/tables/") && name.contains("-fetch-units/"))
    };
    while !packed() {
        assert!(waiting.try_wait().unwrap().is_none(), "the run did not wait");
        std::thread::sleep(Duration::from_millis(20));
    }
    cluster.add_executor_with(&["--takes", "score,fetch"]);
    let done = trommel_tests::Done::from(waiting.wait_with_output().unwrap());
    assert_eq!(done.code, Some(0), "{}", done.err);
    same(&again, &scene.output, "after waiting for an executor that fetches");
    Trommel::new(["executor", "--takes", "gpu"]).ends_with(2).says(&["`gpu` is no kind of work"]);
}

#[test]
fn executors_drop_the_work_of_a_run_that_is_given_up() {
    const URLS: u64 = 400;
    let requests = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&requests);
    let server = Plain::serve(move |_, _| {
        seen.fetch_add(1, Ordering::SeqCst);
        // A server that takes its time: the whole list would keep an executor busy for many looks at the sign.
        std::thread::sleep(Duration::from_millis(100));
        Reply(200, picture(0))
    });
    let folder = tempfile::tempdir().unwrap();
    let (list, output) = (folder.path().join("list.jsonl"), folder.path().join("out"));
    let lines: String = (0..URLS).map(|number| format!("{{\"url\":\"{}\"}}\n", server.url(&format!("/{number}.jpg")))).collect();
    std::fs::write(&list, lines).unwrap();
    let cluster = Cluster::launch(1);
    let run = || {
        Trommel::new(["fetch", &list.display().to_string(), "-o", &output.display().to_string()])
            .args(FETCH)
            .arg("--per-host-concurrency=1")
            .arg("--engine")
            .arg(cluster.address())
    };
    let mut child = run().start();
    while requests.load(Ordering::SeqCst) == 0 {
        assert!(child.try_wait().unwrap().is_none(), "the run has ended before its first request");
        std::thread::sleep(Duration::from_millis(5));
    }
    signal(&child, "-INT");
    let done = trommel_tests::Done::from(child.wait_with_output().unwrap());
    assert_ne!(done.code, Some(0), "{}", done.err);
    let mut before = u64::MAX;
    while before != requests.load(Ordering::SeqCst) {
        before = requests.load(Ordering::SeqCst);
        // Long beside an answer's time, also on a machine that stands still for a moment.
        std::thread::sleep(Duration::from_secs(4));
    }
    assert!(before < URLS, "the executor went on to the end");
    // Nothing of it is in the way of the next.
    assert_eq!(run().report(0)["funnel"]["kept"], URLS);
    assert!(!all_files(&output).into_keys().any(|name| name.starts_with("_trommel/stop")), "the sign is still up");
}

#[test]
fn a_run_whose_scheduler_is_killed_says_so_and_another_engine_goes_on() {
    let scene = Scene::new(24, SHAPES[3].1);
    let mut cluster = Cluster::launch(1);
    let output = scene.path("out");
    // A crash of the only executor leaves the run waiting, so that the scheduler is surely killed in its middle.
    cluster.kill_executor(0);
    let child = scene.run(&output).arg("--engine").arg(cluster.address()).start();
    let begun = output.join("_trommel/units/0-extract");
    while !begun.is_dir() {
        std::thread::yield_now();
    }
    cluster.kill_scheduler();
    let done = trommel_tests::Done::from(child.wait_with_output().unwrap());
    assert_ne!(done.code, Some(0));
    done.says(&["scheduler", "run the same command again"]);
    scene.run(&output).ends_with(0);
    same(&output, &scene.output, "after losing the scheduler");
}

#[test]
fn an_executor_that_is_asked_to_stop_ends_well_and_its_work_goes_elsewhere() {
    let scene = Scene::new(36, SHAPES[3].1);
    let mut cluster = Cluster::launch(2);
    let output = scene.path("out");
    let child = scene.run(&output).arg("--engine").arg(cluster.address()).start();
    assert_eq!(cluster.stop_executor(0), Some(0));
    let done = trommel_tests::Done::from(child.wait_with_output().unwrap());
    assert_eq!(done.code, Some(0), "{}", done.err);
    same(&output, &scene.output, "after an executor was drained");
}

#[test]
fn an_executor_that_falls_silent_loses_its_work_and_does_no_harm_when_it_comes_back() {
    let scene = Scene::new(36, SHAPES[3].1);
    let mut cluster = Cluster::launch(2);
    let output = scene.path("out");
    let mut child = scene.run(&output).arg("--engine").arg(cluster.address()).start();
    // It has begun when the first work list is there.
    while !output.join("_trommel/units/0-extract").is_dir() {
        std::thread::yield_now();
    }
    cluster.freeze_executor(0);
    while child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(20));
    }
    let done = trommel_tests::Done::from(child.wait_with_output().unwrap());
    assert_eq!(done.code, Some(0), "{}", done.err);
    same(&output, &scene.output, "while it was silent");
    cluster.thaw_executor(0);
    // It finishes what it had in hand, or rolls it back, and then ends.
    assert_eq!(cluster.stop_executor(0), Some(0));
    assert_eq!(scene.run(&output).report(0)["units_done"], 0);
    same(&output, &scene.output, "after it came back");
}

#[test]
fn a_unit_that_cannot_be_read_fails_alone_on_a_cluster_too() {
    let server = Plain::serve(|_, _| Reply(200, picture(0)));
    let folder = tempfile::tempdir().unwrap();
    let (lists, output) = (folder.path().join("lists"), folder.path().join("out"));
    std::fs::create_dir_all(&lists).unwrap();
    let line = |name: &str| format!("{{\"url\":\"{}\"}}\n", server.url(&format!("/{name}.jpg")));
    for name in ["a", "b", "c"] {
        std::fs::write(lists.join(format!("{name}.jsonl")), line(name)).unwrap();
    }
    std::fs::write(lists.join("b.jsonl"), "{\"url\": \"http://127.0.0.1/\n{{{{").unwrap();
    let cluster = Cluster::launch(2);
    let run = || {
        Trommel::new(["fetch", &lists.display().to_string(), "-o", &output.display().to_string()])
            .args(FETCH)
            .arg("--engine")
            .arg(cluster.address())
    };
    let report = run().report(1);
    assert_eq!(report["failed_units"].as_array().map(Vec::len), Some(1), "{report}");
    assert!(report["failed_units"][0]["error"].as_str().is_some_and(|error| error.contains("b.jsonl")), "{report}");
    assert_eq!(report["funnel"]["kept"], 2, "{report}");
    std::fs::write(lists.join("b.jsonl"), line("b")).unwrap();
    assert_eq!(run().report(0)["funnel"]["kept"], 3);
    let errors = all_files(&output).into_keys().filter(|name| name.starts_with("_trommel/errors")).count();
    assert_eq!(errors, 0, "a failure outlived its cause");
}

#[test]
fn processes_with_certificates_of_one_authority_work_together_and_with_no_others() {
    // A shuffle, so that executors read from each other too.
    let scene = Scene::of_candidates(24, SHAPES[2].1);
    let ours = certificates(&scene.path("ours"));
    let cluster = Cluster::launch_with(2, 2, &ours);
    let output = scene.path("out");
    let call = |flags: &[String]| scene.run(&output).arg("--engine").arg(cluster.address()).args(flags).end();
    let without = call(&[]);
    assert_ne!(without.code, Some(0));
    without.says(&["scheduler"]);
    let other = call(&certificates(&scene.path("others")));
    assert_ne!(other.code, Some(0));
    other.says(&["certificate"]);
    let done = call(&ours);
    assert_eq!(done.code, Some(0), "{}", done.err);
    same(&output, &scene.output, "over TLS");
    let mut missing = ours.clone();
    missing[1] = scene.path("none.pem").display().to_string();
    call(&missing).says(&["none.pem"]);
}

#[test]
fn hosts_see_no_more_requests_at_once_than_one_process_would_make() {
    // Many small units, so that there are many lanes, over four executors.
    let stages = r#"
[[stage]]
use          = "fetch"
image_size   = 32
number_sample_per_shard = 5
"#;
    let web = Web::launch(calm(60));
    let folder = tempfile::tempdir().unwrap();
    let crawl = folder.path().join("crawl");
    web.write_wats(&crawl, 2);
    let (file, output) = (folder.path().join("job.toml"), folder.path().join("out"));
    let text =
        patient(&recipe("job", &crawl, &output, stages)).replace("per_host_delay = 0.0", "per_host_delay = 0.0\nper_host_concurrency = 1");
    std::fs::write(&file, text).unwrap();
    // An executor that is only slow must not be taken for a dead one: its hosts would then have two visitors.
    let cluster = Cluster::launch_patient(4, 60);
    Trommel::run(&file).arg("--engine").arg(cluster.address()).ends_with(0);
    let most = web.counters().most_at_once();
    assert_eq!(most, 1, "a host saw {most} requests at once");
}

#[test]
fn addresses_that_cannot_work_are_named() {
    let scene = Scene::of_candidates(4, "");
    let output = scene.path("out");
    let call = |engine: &str| scene.run(&output).arg("--engine").arg(engine).end();
    call("ballista://127.0.0.1:1").says(&["no scheduler answers at ballista://127.0.0.1:1"]);
    call("ballista://nowhere").says(&["HOST:PORT"]);
    call("spark://x").says(&["`local`, `standalone`, or `ballista://HOST:PORT`"]);
}
