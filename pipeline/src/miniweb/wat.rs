//! The web as WAT files: a JSON record for each record of the WARC, in the form that Common Crawl's `ia-web-commons` gives it.
//!
//! As there, an image is `IMG@/src` with `alt` and `title` alone: no srcset, no lazy loading, no `og:image` among the links.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::MiniWeb;
use super::digest::warc_digest;
use super::error::MiniWebError;
use super::page::Page;
use super::warc::{Members, Part, Record, date};

impl MiniWeb {
    /// Writes the whole web into one WAT file. Names and offsets in it are those of the file that
    /// [`MiniWeb::write_warcs`] writes for one file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_wat(&self, path: &Path) -> Result<(), MiniWebError> {
        self.parts(1).iter().try_for_each(|part| self.write_wat_part(part, path))
    }

    /// Writes the web into `files` WAT files (at least one) in `dir`, and returns their paths. Names and offsets in them are
    /// those of the files that [`MiniWeb::write_warcs`] writes for as many.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write_wats(&self, dir: &Path, files: u64) -> Result<Vec<PathBuf>, MiniWebError> {
        let write = |part: &Part| {
            let path = dir.join(&part.wat_name);
            self.write_wat_part(part, &path).map(|()| path)
        };
        self.parts(files).iter().map(write).collect()
    }

    fn write_wat_part(&self, part: &Part, path: &Path) -> Result<(), MiniWebError> {
        let start = part.pages.start;
        let mut out = Members::create(path)?;
        let block = "Software-Info: miniweb\r\n";
        out.write(
            &Record::new(self.record_id("wat warcinfo", start), date(start), "warcinfo", "application/warc-fields", block.into())
                .with("WARC-Filename", part.wat_name.clone()),
        )?;
        let mut container = Container { name: &part.warc_name, offset: 0 };

        let info = self.warcinfo(part);
        let payload = json!({
            "Actual-Content-Type": "application/warc-fields",
            "Actual-Content-Length": info.block.len().to_string(),
            "WARC-Info-Metadata": { "isPartOf": "MINIWEB", "software": "miniweb" },
        });
        out.write(&self.metadata("wat info", start, &info, &part.warc_name, container.describe(&info, payload)))?;

        for index in part.pages.clone() {
            let page = self.page(index);
            let [request, response] = self.page_records(index);
            let payload = json!({
                "Actual-Content-Type": "application/http; msgtype=request",
                "HTTP-Request-Metadata": {
                    "Request-Message": { "Method": "GET", "Path": format!("/pages/{index}.html"), "Version": "HTTP/1.1" },
                },
            });
            out.write(&self.metadata("wat request", index, &request, &page.url, container.describe(&request, payload)))?;
            let payload = json!({
                "Actual-Content-Type": "application/http; msgtype=response",
                "HTTP-Response-Metadata": response_metadata(&page, &response),
            });
            out.write(&self.metadata("wat response", index, &response, &page.url, container.describe(&response, payload)))?;
        }
        out.finish()
    }

    fn metadata(&self, kind: &str, n: u64, about: &Record, target: &str, body: Value) -> Record {
        Record::new(self.record_id(kind, n), date(n), "metadata", "application/json", body.to_string().into_bytes())
            .with("WARC-Target-URI", target)
            .with("WARC-Refers-To", about.id())
    }
}

/// The WARC file that a WAT speaks of, and how far it has been walked.
struct Container<'a> {
    name: &'a str,
    offset: u64,
}

impl Container<'_> {
    fn describe(&mut self, record: &Record, payload: Value) -> Value {
        let member = record.to_member();
        let offset = self.offset;
        self.offset += member.len() as u64;
        // A gzip member ends with the CRC and the length of what it holds (RFC 1952); the CRC stands in a WAT as a signed number.
        let crc = member.last_chunk::<8>().map_or(0, |[a, b, c, d, ..]| i32::from_le_bytes([*a, *b, *c, *d]));
        let header: Map<String, Value> =
            record.fields.iter().map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str()))).collect();
        json!({
            "Container": {
                "Filename": self.name,
                "Compressed": true,
                "Offset": offset.to_string(),
                "Gzip-Metadata": {
                    "Deflate-Length": member.len().to_string(),
                    "Header-Length": "10",
                    "Footer-Length": "8",
                    "Inflated-CRC": crc.to_string(),
                    "Inflated-Length": record.to_bytes().len().to_string(),
                },
            },
            "Envelope": {
                "Format": "WARC",
                "WARC-Header-Length": record.header().len().to_string(),
                "Actual-Content-Length": record.block.len().to_string(),
                "WARC-Header-Metadata": header,
                "Block-Digest": warc_digest(&record.block),
                "Payload-Metadata": payload,
            },
        })
    }
}

fn response_metadata(page: &Page, response: &Record) -> Value {
    let document = page.to_document();
    let headers: Map<String, Value> =
        document.headers.iter().map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str()))).collect();
    json!({
        "Response-Message": { "Version": "HTTP/1.1", "Status": "200", "Reason": "OK" },
        "Headers": headers,
        "Headers-Length": (response.block.len() - document.html.len()).to_string(),
        "Entity-Length": document.html.len().to_string(),
        "Entity-Digest": response.field("WARC-Payload-Digest"),
        "Entity-Trailing-Slop-Length": "0",
        "HTML-Metadata": html_metadata(page),
    })
}

fn html_metadata(page: &Page) -> Value {
    let mut head = Map::new();
    let lang = json!({ "name": "HTML@/lang", "content": page.lang.code() });
    let metas = page.metas().into_iter().map(|(key, name, content)| json!({ key: name, "content": content }));
    head.insert("Metas".to_owned(), [lang].into_iter().chain(metas).collect());
    head.insert("Title".to_owned(), page.title.as_str().into());
    if let Some(base) = &page.base {
        head.insert("Base".to_owned(), base.as_str().into());
    }
    let images = page.images.iter().filter(|image| image.markup.is_in_wat()).map(|image| {
        let mut link = json!({ "path": "IMG@/src", "url": image.raw });
        if let Some(alt) = image.alt() {
            link["alt"] = alt.into();
        }
        if let Some(title) = image.title() {
            link["title"] = title.into();
        }
        link
    });
    let anchors = page.anchors.iter().map(|(url, text)| json!({ "path": "A@/href", "url": url, "text": text }));
    json!({ "Head": head, "Links": images.chain(anchors).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::super::MiniWebConfig;
    use super::*;
    use std::io::Read;

    #[test]
    fn a_wat_shows_the_images_of_the_truth_and_points_into_the_warc() {
        let web = MiniWeb::new(MiniWebConfig { pages: 40, refusing: 0.3, ..MiniWebConfig::default() });
        let dir = tempfile::tempdir().unwrap();
        let wats = web.write_wats(dir.path(), 3).unwrap();
        web.write_warcs(dir.path(), 3, false).unwrap();
        let mut found = Vec::new();
        for path in wats {
            let mut text = String::new();
            flate2::read::MultiGzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
            assert!(text.starts_with("WARC/1.0\r\nWARC-Type: warcinfo\r\n"));
            for line in text.lines().filter(|line| line.starts_with("{\"Container\"")) {
                let record: Value = serde_json::from_str(line).unwrap();
                let warc = std::fs::read(dir.path().join(record["Container"]["Filename"].as_str().unwrap())).unwrap();
                let offset: usize = record["Container"]["Offset"].as_str().unwrap().parse().unwrap();
                let mut member = String::new();
                let mut decoder = flate2::read::GzDecoder::new(&warc[offset..]);
                // Pages in old encodings are not UTF-8, so only the header is looked at.
                let mut bytes = Vec::new();
                decoder.read_to_end(&mut bytes).unwrap();
                member.push_str(&String::from_utf8_lossy(&bytes));
                let envelope = &record["Envelope"];
                let id = envelope["WARC-Header-Metadata"]["WARC-Record-ID"].as_str().unwrap();
                assert!(member.contains(&format!("WARC-Record-ID: {id}\r\n")));
                let links = &envelope["Payload-Metadata"]["HTTP-Response-Metadata"]["HTML-Metadata"]["Links"];
                for link in links.as_array().into_iter().flatten().filter(|link| link["path"] == "IMG@/src") {
                    let alt = link.get("alt").map(|alt| alt.as_str().unwrap().to_owned());
                    found.push((link["url"].as_str().unwrap().to_owned(), alt));
                }
            }
        }
        let truth = web.truth().into_iter().filter(|candidate| candidate.in_wat);
        assert_eq!(found, truth.map(|candidate| (candidate.raw, candidate.alt)).collect::<Vec<_>>());
    }

    #[test]
    fn equal_webs_have_equal_wats() {
        let write = |name: &str| {
            let web = MiniWeb::new(MiniWebConfig { pages: 20, seed: 5, ..MiniWebConfig::default() });
            let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
            web.write_wat(&path).unwrap();
            let bytes = std::fs::read(&path).unwrap();
            std::fs::remove_file(path).unwrap();
            bytes
        };
        assert_eq!(write("miniweb-a"), write("miniweb-b"));
    }
}
