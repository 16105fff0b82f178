//! The web as lists of links: tab-separated `url` and `caption`, the names that img2dataset uses.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use super::MiniWeb;
use super::bench_pool::{POOL, Side};
use super::error::MiniWebError;
use super::page::Markup;
use super::site::DOMAIN;

impl MiniWeb {
    /// Writes the first `n` images that an extractor finds in the pages, with their texts: the header `url<TAB>caption`, then
    /// a line for each. Links that are no address are left out, and so are logos and pixels. Returns how many there are: fewer
    /// than `n` if the web ends before.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_urls(&self, path: &Path, n: u64) -> Result<u64, MiniWebError> {
        let lines = (0..self.config.pages).flat_map(|index| self.page(index).images).filter_map(|image| {
            let wanted = image.slot.is_some() && image.markup != Markup::LazyStandIn;
            Some((image.url.filter(|_| wanted)?, image.caption.text.unwrap_or_default()))
        });
        write_lines(path, lines.take(usize::try_from(n).unwrap_or(usize::MAX)))
    }

    /// Writes `n` addresses of the bench pool at `side`, spread in turn over the first `hosts` hosts (at least one). The caption
    /// is the number of the line.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_bench_urls(&self, path: &Path, n: u64, side: Side, hosts: u64) -> Result<u64, MiniWebError> {
        let hosts = hosts.clamp(1, self.hosts());
        let port = self.config.port;
        let line = |k: u64| {
            let url = format!("http://h{:03}.{DOMAIN}:{port}/bench/{}/{k}.jpg", k % hosts, side.pixels());
            (url, format!("picture {k} of the bench, one of {POOL}"))
        };
        write_lines(path, (0..n).map(line))
    }
}

fn write_lines(path: &Path, lines: impl Iterator<Item = (String, String)>) -> Result<u64, MiniWebError> {
    let write = || {
        let mut out = BufWriter::new(File::create(path)?);
        out.write_all(b"url\tcaption\n")?;
        let mut count = 0;
        for (url, caption) in lines {
            writeln!(out, "{url}\t{caption}")?;
            count += 1;
        }
        out.flush().map(|()| count)
    };
    write().map_err(|source| MiniWebError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::super::MiniWebConfig;
    use super::*;

    #[test]
    fn a_list_has_as_many_lines_as_asked_for_and_no_more_than_there_are() {
        let web = MiniWeb::new(MiniWebConfig { pages: 10, hostile: 0.0, ..MiniWebConfig::default() });
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("urls.tsv");
        assert_eq!(web.write_urls(&path, 25).unwrap(), 25);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 26);
        assert!(text.starts_with("url\tcaption\nhttp://h"));
        assert!(text.lines().all(|line| line.split('\t').count() == 2));
        assert_eq!(web.write_urls(&path, 1_000).unwrap(), 60);
    }

    #[test]
    fn a_bench_list_walks_over_its_hosts() {
        let web = MiniWeb::new(MiniWebConfig { port: 81, ..MiniWebConfig::default() });
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("urls.tsv");
        assert_eq!(web.write_bench_urls(&path, 5, Side::Small, 3).unwrap(), 5);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("http://h001.miniweb.test:81/bench/640/4.jpg"), "{text}");
    }
}
