//! The miniature web, served by the test, and recipes over it.

use std::path::{Path, PathBuf};

use trommel::miniweb::counters::Counters;
use trommel::miniweb::server::Server;
use trommel::miniweb::{MiniWeb, MiniWebConfig, site};

/// A miniature web on loopback, for as long as this lives.
pub struct Web {
    server: Option<Server>,
    runtime: tokio::runtime::Runtime,
}

impl Web {
    /// Serves a web on a free port.
    pub fn launch(config: MiniWebConfig) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime starts");
        let server = runtime.block_on(MiniWeb::launch(config)).expect("loopback has a free port");
        Self { server: Some(server), runtime }
    }

    fn server(&self) -> &Server {
        self.server.as_ref().expect("the server is taken only when the web is dropped")
    }

    /// The web.
    pub fn web(&self) -> &MiniWeb {
        self.server().web()
    }

    /// What the server saw.
    pub fn counters(&self) -> &Counters {
        self.server().counters()
    }

    /// Writes the web's WAT files into a folder.
    pub fn write_wats(&self, folder: &Path, files: u64) -> Vec<PathBuf> {
        std::fs::create_dir_all(folder).expect("a folder in a temporary folder can be made");
        self.web().write_wats(folder, files).expect("a temporary folder can be written to")
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.shutdown());
        }
    }
}

/// A web in which nothing depends on time: no hostile addresses, no slow hosts, some that refuse.
pub fn calm(pages: u64) -> MiniWebConfig {
    MiniWebConfig { pages, hostile: 0.0, slow: 0.0, refusing: 0.3, images_per_page: 4, ..MiniWebConfig::default() }
}

/// A recipe over WAT files of a miniature web: the whole of the demo's, with `stages` between the extraction and
/// `write`.
pub fn recipe(name: &str, crawl: &Path, output: &Path, stages: &str) -> String {
    format!(
        r#"[job]
name    = "{name}"
output  = {output:?}
contact = "https://example.org/bot"

[source]
wat = [{wat:?}]

[network]
allow_net      = ["127.0.0.0/8"]
resolve        = ["*.{domain}=127.0.0.1"]
total_timeout  = 3.0
header_timeout = 2.0
idle_timeout   = 1.0
per_host_delay = 0.0
retry_budget   = 1.0

{stages}

[[stage]]
use    = "write"
format = "webdataset"
"#,
        output = output.display().to_string(),
        wat = crawl.join("*.wat.gz").display().to_string(),
        domain = site::DOMAIN,
    )
}

/// A recipe whose requests are not given up: the server notices only later that a visitor has left, and counts both.
pub fn patient(recipe: &str) -> String {
    recipe
        .replace("_timeout = 2.0", "_timeout = 60.0")
        .replace("_timeout   = 1.0", "_timeout   = 60.0")
        .replace("_timeout  = 3.0", "_timeout  = 60.0")
}
