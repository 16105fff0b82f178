//! A web and what one run of a recipe has made of it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::{Trommel, Web, calm, recipe};

/// A calm web, a recipe over it, and the output of a run that nobody has disturbed.
pub struct Scene {
    _web: Web,
    /// Where everything lies; more may be put there.
    pub folder: tempfile::TempDir,
    /// The recipe's file.
    pub recipe: PathBuf,
    /// What the run has made.
    pub output: PathBuf,
    /// How long the run took.
    pub took: Duration,
}

impl Scene {
    /// Serves a web of so many pages and runs `stages` over it.
    pub fn new(pages: u64, stages: &str) -> Self {
        Self::ending(pages, stages, "webdataset")
    }

    /// As [`Scene::new`], for stages that fetch nothing: the candidates as tables.
    pub fn of_candidates(pages: u64, stages: &str) -> Self {
        Self::ending(pages, stages, "parquet")
    }

    /// As [`Scene::new`], with the stages of the demo's own recipe.
    pub fn of_demo(pages: u64) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let demo = folder.path().join("demo");
        Trommel::new(["demo", "--pages", "60", "-o", &demo.display().to_string()]).ends_with(0);
        let text = std::fs::read_to_string(demo.join("recipe.toml")).expect("the demo writes its recipe");
        let (first, last) = (text.find("[[stage]]"), text.rfind("[[stage]]"));
        let stages = &text[first.expect("it has stages")..last.expect("the last one writes")];
        Self::within(folder, pages, stages, "webdataset")
    }

    fn ending(pages: u64, stages: &str, format: &str) -> Self {
        Self::within(tempfile::tempdir().expect("a temporary folder can be made"), pages, stages, format)
    }

    fn within(folder: tempfile::TempDir, pages: u64, stages: &str, format: &str) -> Self {
        let web = Web::launch(calm(pages));
        let crawl = folder.path().join("crawl");
        web.write_wats(&crawl, 2);
        let (file, output) = (folder.path().join("job.toml"), folder.path().join("undisturbed"));
        std::fs::write(&file, recipe("job", &crawl, &output, stages).replace("\"webdataset\"", &format!("{format:?}")))
            .expect("a temporary folder can be written to");
        let started = Instant::now();
        Trommel::run(&file).ends_with(0);
        Self { _web: web, recipe: file, took: started.elapsed(), output, folder }
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The recipe once more, into another folder.
    pub fn run(&self, output: &Path) -> Trommel {
        Trommel::run(&self.recipe).arg("--output").arg(output)
    }

    /// `embed` over shards with the built-in model.
    pub fn embed(&self, shards: &Path, output: &Path) -> Trommel {
        Trommel::new(["embed", &shards.display().to_string(), "-o", &output.display().to_string(), "--model", "miniweb-clip"])
    }
}
