//! A run that is killed, at any moment and as often as one likes, goes on where it was and gives the same bytes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use trommel_tests::{Random, Scene, Trommel, all_files, fingerprint};

const STAGES: &str = r#"
[[stage]]
use   = "keep"
where = "words(text) > 1"

[[stage]]
use   = "dedupe"
by    = ["url"]

[[stage]]
use          = "fetch"
image_size   = 64
number_sample_per_shard = 12

[[stage]]
use   = "keep"
where = "status != 'success' or width * height >= 100"
"#;

/// What a run that nobody disturbs makes, file by file.
struct Undisturbed {
    scene: Scene,
    fingerprint: BTreeMap<String, String>,
    names: Vec<String>,
}

impl Undisturbed {
    fn new(pages: u64) -> Self {
        let scene = Scene::new(pages, STAGES);
        let names = all_files(&scene.output).into_keys().collect();
        Self { fingerprint: fingerprint(&scene.output), names, scene }
    }

    fn run(&self, output: &Path) -> Trommel {
        self.scene.run(output)
    }

    /// That a folder holds what the undisturbed run made: the dataset to the byte, and the same files in the ledger.
    #[track_caller]
    fn is_finished(&self, output: &Path, what: &str) {
        assert_eq!(fingerprint(output), self.fingerprint, "{what}");
        assert_eq!(all_files(output).into_keys().collect::<Vec<_>>(), self.names, "{what}");
    }
}

#[test]
fn a_run_that_is_killed_at_thirty_random_moments_gives_the_bytes_of_one_that_was_not() {
    let scene = Undisturbed::new(48);
    let mut random = Random(30);
    let mut took = scene.scene.took;
    let mut hits = 0;
    for attempt in 0..90 {
        if hits == 30 {
            break;
        }
        let output = scene.scene.path(&format!("killed-{attempt}"));
        // Every third run is killed once more while it goes on.
        for again in 0..if attempt % 3 == 0 { 2 } else { 1 } {
            let moment = took.mul_f64(random.unit());
            let mut child = scene.run(&output).start();
            // The one place where a test has to wait: what is shown is that the moment does not matter.
            std::thread::sleep(moment);
            match child.try_wait().unwrap() {
                None => hits += 1,
                // The run was faster than the first one.
                Some(_) if again == 0 => took = moment,
                Some(_) => {}
            }
            child.kill().unwrap();
            child.wait().unwrap();
        }
        scene.run(&output).ends_with(0);
        scene.is_finished(&output, &format!("attempt {attempt}"));
        std::fs::remove_dir_all(&output).unwrap();
    }
    assert!(hits >= 30, "only {hits} kills came before the end of their run");
}

#[test]
fn a_crash_between_any_two_steps_of_a_unit_costs_that_unit_only() {
    let scene = Undisturbed::new(12);
    for point in ["before-tar-commit", "between-tar-and-parquet", "before-marker"] {
        for count in [1, 2, 3] {
            let output = scene.scene.path(&format!("{point}-{count}"));
            let crashed = scene.run(&output).env("TROMMEL_FAILPOINT", &format!("{point}:{count}")).end();
            assert_eq!(crashed.code, None, "the failpoint `{point}:{count}` was not reached\n{}", crashed.err);
            scene.run(&output).ends_with(0);
            scene.is_finished(&output, &format!("{point}:{count}"));
        }
    }
}

#[test]
fn a_run_that_crashes_again_and_again_comes_to_its_end() {
    let scene = Undisturbed::new(12);
    let output = scene.scene.path("out");
    let mut crashes = 0;
    // Each crash comes one unit later: packing is one step however many units it cuts.
    while scene.run(&output).env("TROMMEL_FAILPOINT", &format!("before-marker:{}", crashes + 1)).end().code.is_none() {
        crashes += 1;
        assert!(crashes < 50, "no run gets any further");
    }
    assert!(crashes >= 2, "{crashes} crashes show nothing");
    scene.run(&output).ends_with(0);
    scene.is_finished(&output, "after many crashes");
}

#[test]
fn outputs_that_are_lost_or_torn_are_made_again() {
    let scene = Undisturbed::new(12);
    let output = scene.scene.path("out");
    scene.run(&output).ends_with(0);
    let shards: Vec<PathBuf> = all_files(&output).into_iter().filter(|(name, _)| name.ends_with(".tar")).map(|(_, path)| path).collect();
    std::fs::remove_file(&shards[0]).unwrap();
    let bytes = std::fs::read(&shards[1]).unwrap();
    std::fs::write(&shards[1], &bytes[..bytes.len() / 2]).unwrap();
    let report = scene.run(&output).report(0);
    assert_eq!(report["units_done"], 2, "{report}");
    scene.is_finished(&output, "after losing two shards");

    // A marker that was torn by a power cut counts as none.
    let marker = all_files(&output).into_iter().find(|(name, _)| name.starts_with("_trommel/done/3-fetch/")).unwrap().1;
    let text = std::fs::read(&marker).unwrap();
    std::fs::write(&marker, &text[..text.len() / 2]).unwrap();
    assert_eq!(scene.run(&output).report(0)["units_done"], 1);
    scene.is_finished(&output, "after losing a marker");
}
