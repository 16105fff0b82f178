//! Fetching from a miniature web that this process serves, and what is done with what was fetched.

use std::path::{Path, PathBuf};

use super::{Calibrator, Item, Measured, data, rate, seconds, text, words};
use crate::miniweb::bench_pool::Side;
use crate::miniweb::site::DOMAIN;
use crate::miniweb::{MiniWeb, MiniWebConfig};

/// Pictures that are fetched.
const PICTURES: u64 = 2000;
/// Urls that bring none.
const URLS: u64 = 40_000;
/// Hosts that both lie on.
const HOSTS: u64 = 64;
/// Rows of a unit: several units, so that their ends count too.
const UNIT: &str = "500";

/// What is asked for.
#[derive(Debug, Clone, Copy)]
enum Ask {
    Nothing,
    Pictures(Side),
}

impl Calibrator {
    pub(super) fn web(&mut self, item: Item) -> Measured {
        match item {
            Item::FetchUrls => {
                let value = self.fetch(None, Ask::Nothing, URLS)?;
                Ok(Some((value, format!("`fetch` of {URLS} urls on {HOSTS} hosts of loopback that answer 404"))))
            }
            Item::FetchSmall | Item::FetchLarge => {
                let (keep, side) = match item {
                    Item::FetchSmall => (Some("shards"), Side::Small),
                    _ => (None, Side::Large),
                };
                let value = self.fetch(keep, Ask::Pictures(side), PICTURES)?;
                let size = side.pixels();
                Ok(Some((value, format!("`fetch` of {PICTURES} JPEGs of {size} x {} pixels from loopback, 256 px", size * 3 / 4))))
            }
            Item::HashPictures => {
                let shards = self.shards()?;
                let few = self.kept.get("one").map(|folder| folder.join("out")).ok_or("the shard of one picture was not kept")?;
                let call = |inputs: &Path| {
                    let inputs = text(inputs);
                    move |out: &Path| vec!["hash".to_owned(), inputs.clone(), "-o".to_owned(), text(out)]
                };
                let starting = self.starting("hash", &call(&few))?;
                let spent = self.spend(None, &call(&shards))?;
                let value = rate(PICTURES as f64 - 1.0, seconds(&spent), starting)?;
                Ok(Some((value, format!("`hash` of {PICTURES} pictures of 256 px, decoding included, all kinds"))))
            }
            Item::ShardRowBytes => {
                self.shards()?;
                let bytes = self.row_bytes("shards", "out", false)?;
                Ok(Some((bytes, format!("tables beside shards of {UNIT} fetched pictures, over their rows"))))
            }
            _ => {
                let markers = data::files(&self.shards()?.join("_trommel").join("done"), ".json");
                if markers.is_empty() {
                    return Err("the run left no markers".to_owned());
                }
                let mean = data::bytes(&markers) / markers.len() as f64;
                Ok(Some((mean, format!("the {} markers of a `fetch` of {PICTURES} pictures in units of {UNIT}", markers.len()))))
            }
        }
    }

    /// The output of fetching the small pictures.
    fn shards(&mut self) -> Result<PathBuf, String> {
        if !self.kept.contains_key("shards") {
            self.web(Item::FetchSmall)?;
        }
        self.kept.get("shards").map(|folder| folder.join("out")).ok_or_else(|| "the shards were not kept".to_owned())
    }

    /// Urls, or pictures, of a core second.
    fn fetch(&mut self, keep: Option<&'static str>, ask: Ask, count: u64) -> Result<f64, String> {
        let port = self.serve()?;
        let captions = self.captions().to_vec();
        let (few, many) = (self.path("few.tsv"), self.path("many.tsv"));
        let name = |row: u64| match ask {
            Ask::Nothing => format!("nothing/{row}.jpg"),
            Ask::Pictures(side) => format!("bench/{}/{row}.jpg", side.pixels()),
        };
        let list = |path: &Path, rows: u64| {
            let mut text = String::from("url\tcaption\n");
            for (row, caption) in (0..rows).zip(captions.iter().cycle()) {
                let caption = caption.replace(['\t', '\n', '\r', '"'], " ");
                text.push_str(&format!("http://h{:03}.{DOMAIN}:{port}/{}\t{caption}\n", row % HOSTS, name(row)));
            }
            std::fs::write(path, text).map_err(|e| format!("`{}`: {e}", path.display()))
        };
        list(&few, 1)?;
        list(&many, count)?;
        let call = |inputs: &Path| {
            let inputs = text(inputs);
            move |out: &Path| {
                let mut call = words(&["fetch", &inputs, "-o", &text(out), "--caption-col", "caption", "--image-size", "256"]);
                call.extend(words(&["--contact", "https://example.org/bot", "--allow-net", "127.0.0.0/8", "--net", "ports="]));
                call.extend(words(&["--net", &format!("resolve=*.{DOMAIN}=127.0.0.1"), "--net", "per_host_delay=0"]));
                call.extend(words(&["--per-host-concurrency", "8"]));
                if keep.is_some() {
                    call.extend(words(&["--number-sample-per-shard", UNIT]));
                }
                call
            }
        };
        // Pictures are painted when they are asked for first: not while it is measured, though it is another process that paints.
        let starting = match ask {
            Ask::Nothing => self.starting("fetch nothing", &call(&few))?,
            Ask::Pictures(_) => {
                let spent = self.spend(Some("one"), &call(&few))?;
                seconds(&spent)
            }
        };
        let spent = self.spend(keep, &call(&many))?;
        if let (Some(name), Ask::Pictures(_)) = (keep, ask) {
            let kept = self.kept.get(name).map(|folder| folder.join("out")).unwrap_or_default();
            let tables: Vec<PathBuf> = data::files(&kept, ".tar");
            if tables.is_empty() {
                return Err("nothing was fetched: the miniature web is not reached on loopback".to_owned());
            }
        }
        rate(count as f64 - 1.0, seconds(&spent), starting)
    }

    /// Serves the miniature web, once, and gives its port.
    fn serve(&mut self) -> Result<u16, String> {
        if self.server.is_none() {
            let config = MiniWebConfig { pages: HOSTS * 8, hostile: 0.0, refusing: 0.0, slow: 0.0, ..MiniWebConfig::default() };
            let server = self.runtime.block_on(MiniWeb::launch(config));
            self.server = Some(server.map_err(|e| format!("the miniature web cannot be served on loopback: {e}"))?);
        }
        Ok(self.server.as_ref().map_or(0, |server| server.addr().port()))
    }
}
