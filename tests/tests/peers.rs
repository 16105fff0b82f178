//! Runs the checks of `tests/peers`: ours against the programs that it replaces, and against the readers that training code
//! uses. What a check needs and this machine lacks is said loudly, and the check is skipped; `make peers` installs the peers.
#![allow(clippy::print_stderr, reason = "a skipped check has to be seen")]

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::process::Command;

use trommel::crawl::extract::generate::{GenerateWat, generate_wat};

/// A check's exit code when something that it needs is missing.
const SKIPPED: i32 = 77;

fn root() -> PathBuf {
    // Tests run in the folder of their crate; the path baked in by the compiler may be that of another checkout.
    std::path::absolute("..").expect("the working folder is there")
}

/// The program, where a build of the whole workspace puts it.
fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    let folder = test.ancestors().nth(2).expect("a test lies two folders below the build's");
    folder.join(format!("trommel{}", std::env::consts::EXE_SUFFIX))
}

/// A check that looks at what the program does.
fn check<S: AsRef<OsStr>>(script: &str, arguments: impl IntoIterator<Item = S>) {
    let binary = binary();
    assert!(binary.is_file(), "the program is not built: `cargo build --release --workspace` puts it at {}", binary.display());
    let arguments: Vec<_> = arguments.into_iter().map(|argument| argument.as_ref().to_owned()).collect();
    check_bare(script, [OsString::from("--binary"), binary.into_os_string()].into_iter().chain(arguments));
}

/// A check that looks at what is there already.
fn check_bare<S: AsRef<OsStr>>(script: &str, arguments: impl IntoIterator<Item = S>) {
    let mut command = Command::new("python3");
    command.arg(root().join("tests/peers").join(script)).args(arguments);
    let done = match command.output() {
        Ok(done) => done,
        Err(error) => {
            eprintln!("SKIPPED: {script}: python3 does not start: {error}");
            return;
        }
    };
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    // Parts that were skipped inside a check are said there.
    for line in err.lines().filter(|line| line.contains("SKIPPED")) {
        eprintln!("{line}");
    }
    if done.status.code() != Some(SKIPPED) {
        assert!(done.status.success(), "{script} ended with {}\n{out}\n{err}", done.status);
        eprintln!("{script}:\n{out}");
    }
}

#[test]
fn extraction_gives_the_rows_of_cc2dataset_in_its_order() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let wat = folder.path().join("generated.wat.gz");
    let raw_bytes = if std::env::var_os("TROMMEL_FULL").is_some() { 100_000_000 } else { 20_000_000 };
    let mut file = BufWriter::new(File::create(&wat).expect("a file in it"));
    generate_wat(&mut file, GenerateWat { raw_bytes, seed: 1, broken: false, gzip: true }).expect("it can be written");
    drop(file);
    check("cc2dataset_rows.py", [OsStr::new("--wat"), wat.as_os_str()]);
}

#[test]
fn fetching_gives_img2datasets_sizes_successes_and_layout() {
    check::<&str>("img2dataset_outputs.py", []);
}

#[test]
fn real_archives_become_shards_that_training_code_reads() {
    check::<&str>("real_input.py", []);
}

#[test]
fn webdataset_pyarrow_duckdb_and_tar_see_the_same_samples() {
    check::<&str>("readers.py", []);
}

#[test]
fn datacomps_filters_select_the_same_uids_from_our_metadata() {
    check::<&str>("datacomp_filter.py", []);
}

#[test]
fn every_baseline_of_datacomp_selects_the_uids_of_its_rules() {
    let rows = if std::env::var_os("TROMMEL_FULL").is_some() { "200000" } else { "20000" };
    check("datacomp_baselines.py", ["--rows", rows]);
}

#[test]
fn hashes_near_copies_and_indexes_are_those_of_their_own_programs() {
    check::<&str>("near_check.py", []);
}

#[test]
fn the_demos_card_is_valid_for_mlcroissant() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let made =
        Command::new(binary()).args(["demo", "--quiet", "--pages", "60", "-o"]).arg(folder.path()).output().expect("the program starts");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let card = folder.path().join("dataset/croissant.json");
    check_bare("card_check.py", [OsStr::new("--card"), card.as_os_str()]);
}
