//! Runs that share a job, as a job array starts them.

use std::path::Path;
use std::process::Child;

use trommel_tests::{Done, FETCH, Plain, Random, Reply, Scene, Trommel, Web, calm, fingerprint, patient, picture, recipe};

/// A shuffle, packing, fetching, choosing, writing.
const STAGES: &str = r#"
[[stage]]
use   = "dedupe"
by    = ["url"]

[[stage]]
use          = "fetch"
image_size   = 64
number_sample_per_shard = 4

[[stage]]
use   = "score"
model = "miniweb-clip"

[[stage]]
use = "keep"
top = 0.6
by  = "miniweb_clip"
"#;

fn part(scene: &Scene, output: &Path, part: &str) -> Trommel {
    scene.run(output).arg("--part").arg(part)
}

fn end(child: Child) -> Done {
    Done::from(child.wait_with_output().expect("a child ends"))
}

#[test]
fn parts_that_run_beside_each_other_give_the_bytes_of_a_whole_run() {
    let scene = Scene::new(36, STAGES);
    for of in [1, 3] {
        let output = scene.path(&format!("of-{of}"));
        let runs: Vec<Child> = (0..of).map(|index| part(&scene, &output, &format!("{index}/{of}")).start()).collect();
        for done in runs.into_iter().map(end) {
            assert_eq!(done.code, Some(0), "{}", done.err);
        }
        assert_eq!(fingerprint(&output), fingerprint(&scene.output), "{of} parts");
        // A whole run finds nothing left to do.
        assert_eq!(scene.run(&output).report(0)["units_done"], 0);
    }
}

#[test]
fn a_part_that_is_killed_is_waited_for_and_goes_on() {
    let scene = Scene::new(36, STAGES);
    let mut random = Random(3);
    let mut kills = 0;
    for round in 0..6 {
        let output = scene.path(&format!("round-{round}"));
        let mut runs: Vec<Child> = (0..3).map(|index| part(&scene, &output, &format!("{index}/3")).start()).collect();
        // The one place where a test has to wait: what is shown is that the moment does not matter.
        std::thread::sleep(scene.took.mul_f64(random.unit()));
        let mut victim = runs.remove(round % 3);
        kills += usize::from(victim.try_wait().unwrap().is_none());
        victim.kill().unwrap();
        victim.wait().unwrap();
        runs.push(part(&scene, &output, &format!("{}/3", round % 3)).start());
        for done in runs.into_iter().map(end) {
            assert_eq!(done.code, Some(0), "round {round}: {}", done.err);
        }
        assert_eq!(fingerprint(&output), fingerprint(&scene.output), "round {round}");
    }
    assert!(kills >= 3, "only {kills} kills came before the end of their part");
}

#[test]
fn a_part_that_is_missing_is_named_and_nobody_waits_for_ever() {
    let scene = Scene::new(24, STAGES);
    let output = scene.path("out");
    let alone = part(&scene, &output, "0/2").arg("--part-patience").arg("1").end();
    assert_eq!(alone.code, Some(1), "{}", alone.err);
    alone.says(&["part 1/2", "no sign of life"]);
    // Later, and together, they come to the end.
    let runs = [part(&scene, &output, "0/2").start(), part(&scene, &output, "1/2").start()];
    for done in runs.into_iter().map(end) {
        assert_eq!(done.code, Some(0), "{}", done.err);
    }
    assert_eq!(fingerprint(&output), fingerprint(&scene.output));
}

#[test]
fn a_unit_that_cannot_be_read_is_reported_by_every_part() {
    let server = Plain::serve(|_, _| Reply(200, picture(0)));
    let folder = tempfile::tempdir().unwrap();
    let (lists, output) = (folder.path().join("lists"), folder.path().join("out"));
    std::fs::create_dir_all(&lists).unwrap();
    for name in ["a", "b", "d"] {
        std::fs::write(lists.join(format!("{name}.jsonl")), format!("{{\"url\":\"{}\"}}\n", server.url(&format!("/{name}.jpg")))).unwrap();
    }
    std::fs::write(lists.join("c.jsonl"), "{\"url\": \"http://127.0.0.1/\n{{{{").unwrap();
    let run = |index: usize| {
        Trommel::new(["fetch", &lists.display().to_string(), "-o", &output.display().to_string()])
            .args(FETCH)
            .arg("--part")
            .arg(format!("{index}/2"))
    };
    for done in [run(0).start(), run(1).start()].map(end) {
        assert_eq!(done.code, Some(1), "{}", done.err);
        assert_eq!(done.err.matches("failed:").count(), 1, "{}", done.err);
    }
    let status = Trommel::new(["status", &output.display().to_string()]).report(0);
    assert_eq!(status["failed_units"].as_array().map(Vec::len), Some(1), "{status}");
    assert_eq!(status["runs"].as_array().map(Vec::len), Some(2), "{status}");
}

#[test]
fn hosts_see_no_more_requests_at_once_than_a_whole_run_would_make() {
    let stages = "[[stage]]\nuse = \"fetch\"\nimage_size = 32\nnumber_sample_per_shard = 4\n";
    let web = Web::launch(calm(60));
    let folder = tempfile::tempdir().unwrap();
    let (crawl, output) = (folder.path().join("crawl"), folder.path().join("out"));
    web.write_wats(&crawl, 2);
    let file = folder.path().join("job.toml");
    let text =
        patient(&recipe("job", &crawl, &output, stages)).replace("per_host_delay = 0.0", "per_host_delay = 0.0\nper_host_concurrency = 1");
    std::fs::write(&file, text).unwrap();
    let runs: Vec<Child> = (0..3).map(|index| Trommel::run(&file).arg("--part").arg(format!("{index}/3")).start()).collect();
    for done in runs.into_iter().map(end) {
        assert_eq!(done.code, Some(0), "{}", done.err);
    }
    assert_eq!(web.counters().most_at_once(), 1);
}

#[test]
fn parts_that_do_not_exist_are_refused() {
    let scene = Scene::of_candidates(4, "");
    let output = scene.path("out");
    for wrong in ["2/2", "1", "x/y"] {
        let done = part(&scene, &output, wrong).end();
        assert_eq!(done.code, Some(2), "{wrong}");
        done.says(&["INDEX/COUNT"]);
    }
    part(&scene, &output, "0/1").arg("--fresh").ends_with(2).says(&["--fresh"]);
}
