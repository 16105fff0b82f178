//! Made-up WAT files of any size, for tests and benches: relative, protocol-relative, `data:` and malformed links, links
//! relative to a `base`, references, many scripts, and (when asked for) broken records.

use std::io::{self, Write};

use libdeflater::{CompressionLvl, Compressor};

/// What to generate.
#[derive(Debug, Clone, Copy)]
pub struct GenerateWat {
    /// Stops after the record that reaches this many bytes before compression.
    pub raw_bytes: u64,
    /// Equal seeds give equal files.
    pub seed: u64,
    /// Adds records that are not JSON, not WAT, have half characters, NaN or missing keys: about one in fifty.
    pub broken: bool,
    /// One gzip member for each record; otherwise the file is not compressed.
    pub gzip: bool,
}

/// Writes a WAT. Returns the number of bytes before compression and the offsets of the records in the file.
///
/// # Errors
/// Those of `out`.
pub fn generate_wat(out: &mut impl Write, what: GenerateWat) -> io::Result<(u64, Vec<u64>)> {
    let mut writer =
        Records { out, compressor: Compressor::new(CompressionLvl::default()), gzip: what.gzip, raw: 0, at: 0, offsets: Vec::new() };
    let mut random = Random(what.seed);
    writer.record("warcinfo", "", "application/warc-fields", b"software: generated\r\nformat: WARC File Format 1.0\r\n")?;
    let mut page = 0u64;
    while writer.raw < what.raw_bytes {
        page += 1;
        let host = random.below(5000);
        let url = match random.below(40) {
            0 => format!("http://пример{host}.example/стр/{page}"),
            1 => format!("https://Host{host}.Example:8443/a/../b;p=1/{page}?q=1#f"),
            _ => format!("https://www.host{host}.example/{}/{}-{page}.html", random.word(), random.word()),
        };
        writer.record("metadata", &url, "application/json", request(&url, page).as_bytes())?;
        let json = if what.broken && random.below(50) == 0 { broken(&mut random, &url, page) } else { response(&mut random, &url, page) };
        writer.record("metadata", &url, "application/json", json.as_bytes())?;
        writer.record("metadata", &url, "application/json", facts(&url, page).as_bytes())?;
    }
    Ok((writer.raw, writer.offsets))
}

struct Records<'o, W: Write> {
    out: &'o mut W,
    compressor: Compressor,
    gzip: bool,
    raw: u64,
    at: u64,
    offsets: Vec<u64>,
}

impl<W: Write> Records<'_, W> {
    fn record(&mut self, kind: &str, url: &str, content_type: &str, block: &[u8]) -> io::Result<()> {
        let target = if url.is_empty() { String::new() } else { format!("WARC-Target-URI: {url}\r\n") };
        let mut record = format!(
            "WARC/1.0\r\nWARC-Type: {kind}\r\n{target}WARC-Date: 2024-05-18T01:58:10Z\r\nWARC-Record-ID: <urn:uuid:00000000-0000-4000-8000-{:012x}>\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
            self.raw & 0xffff_ffff_ffff,
            block.len()
        )
        .into_bytes();
        record.extend_from_slice(block);
        record.extend_from_slice(b"\r\n\r\n");
        self.raw += record.len() as u64;
        self.offsets.push(self.at);
        if !self.gzip {
            self.at += record.len() as u64;
            return self.out.write_all(&record);
        }
        let mut member = vec![0; self.compressor.gzip_compress_bound(record.len())];
        let length = self.compressor.gzip_compress(&record, &mut member).map_err(|error| io::Error::other(error.to_string()))?;
        self.at += length as u64;
        self.out.write_all(&member[..length])
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len() as u64) as usize]
    }

    fn word(&mut self) -> &'static str {
        self.pick(&WORDS)
    }

    fn text(&mut self, most: u64) -> String {
        let words = 1 + self.below(most);
        (0..words).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }
}

static WORDS: [&str; 48] = [
    "garden",
    "river",
    "photo",
    "of",
    "the",
    "old",
    "bridge",
    "product",
    "sale",
    "blue",
    "shirt",
    "news",
    "house",
    "view",
    "with",
    "mountain",
    "logo",
    "icon",
    "banner",
    "header",
    "train",
    "station",
    "market",
    "summer",
    "kitchen",
    "street",
    "portrait",
    "winter",
    "дом",
    "река",
    "фотография",
    "東京",
    "写真",
    "東京都",
    "Straße",
    "für",
    "über",
    "café",
    "été",
    "niño",
    "صورة",
    "बगीचा",
    "사진",
    "🎉",
    "&amp;",
    "&quot;x&quot;",
    "AT&T",
    "l’été",
];

/// A JSON string, slashes after `<` escaped as org.json does.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    let mut previous = ' ';
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '/' if previous == '<' => out.push_str("\\/"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", c as u32)),
            '\u{2028}' => out.push_str("\\u2028"),
            '🎉' => out.push_str("\\ud83c\\udf89"),
            c => out.push(c),
        }
        previous = c;
    }
    out.push('"');
    out
}

fn picture_url(random: &mut Random, page: u64) -> String {
    let n = random.next() & 0xff_ffff;
    let word = random.word();
    let ascii = random.below(1000);
    match random.below(24) {
        0..=7 => format!("https://cdn{}.example.com/images/{ascii}/{n:x}.jpg", n % 40),
        8..=11 => format!("/wp-content/uploads/2023/{:02}/{n:x}-{ascii}.png", n % 12 + 1),
        12 => format!("//static.example.net/{n:x}/{ascii}.webp?w=640&amp;h=480"),
        13 => format!("images/{n:x}.gif"),
        14 => format!("../img/{word}/{n:x}.jpg"),
        15 => format!("./{n:x}.jpg?v={page}#top"),
        16 => "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7".to_owned(),
        17 => format!("http://{word}.example.org/{word} {n:x}.jpg"),
        18 => format!("?image={n:x};x=1"),
        19 => format!("  https://cdn.example.com/{n:x}.jpg "),
        20 => random
            .pick(&[
                "http://[bad/x.jpg",
                "//[::1]/x.jpg",
                "http:x.jpg",
                "HTTP://UPPER.example/X.JPG",
                "javascript:void(0)",
                "",
                "#",
                "a//b///c.jpg",
                "/a/./b/../c.jpg;p",
                "//a／b.example/x",
                "x\ty\n.jpg",
                "file:///x.jpg",
                "C:\\x.jpg",
            ])
            .to_owned(),
        _ => format!("https://img.host{}.example/{n:x}/{:x}.jpeg", n % 900, random.next()),
    }
}

fn file_url(random: &mut Random) -> String {
    let n = random.next() & 0xffff;
    let end = random.pick(&["mp3", "mp4", "pdf", "PDF", "docx", "webm", "ogg", "md", "txt?x=1", "mp4#t=1", "m4v", "flac", "pages"]);
    match random.below(3) {
        0 => format!("https://files.example.com/{n:x}.{end}"),
        1 => format!("/download/{n:x}.{end}"),
        _ => format!("media/{n:x}.{end}"),
    }
}

fn link(random: &mut Random, page: u64, out: &mut String) {
    match random.below(100) {
        0..=17 => {
            let url = quoted(&picture_url(random, page));
            let alt = match random.below(10) {
                0..=2 => String::new(),
                3 => "\"alt\":\"\",".to_owned(),
                4 => "\"alt\":\"  \",".to_owned(),
                _ => format!("\"alt\":{},", quoted(&random.text(12))),
            };
            let title = if random.below(6) == 0 { format!("\"title\":{},", quoted(&random.text(6))) } else { String::new() };
            if random.below(2) == 0 {
                out.push_str(&format!("{{{alt}{title}\"path\":\"IMG@/src\",\"url\":{url}}}"));
            } else {
                out.push_str(&format!("{{\"path\":\"IMG@/src\",{title}{alt}\"url\":{url}}}"));
            }
        }
        18..=20 => {
            let text = if random.below(3) == 0 { String::new() } else { format!(",\"text\":{}", quoted(&random.text(5))) };
            out.push_str(&format!("{{\"path\":\"A@/href\",\"url\":{}{text}}}", quoted(&file_url(random))));
        }
        21 => out.push_str(&format!("{{\"path\":\"SCRIPT@/src\",\"url\":\"/js/{:x}.js\"}}", random.next() & 0xffff)),
        22 => out.push_str("{\"path\":\"FORM@/action\",\"method\":\"post\",\"url\":\"/search\"}"),
        _ => {
            let url = format!("/{}/{:x}/{}", random.word(), random.next() & 0xffff_ffff, random.word());
            out.push_str(&format!("{{\"path\":\"A@/href\",\"url\":{},\"text\":{}}}", quoted(&url), quoted(&random.text(7))));
        }
    }
}

fn response(random: &mut Random, url: &str, page: u64) -> String {
    let mut links = String::new();
    let count = match random.below(10) {
        0 => 0,
        1 => random.below(600),
        _ => random.below(160),
    };
    for at in 0..count {
        if at > 0 {
            links.push(',');
        }
        link(random, page, &mut links);
    }
    let base = match random.below(12) {
        0 => ",\"Base\":\"/other/place/\"".to_owned(),
        1 => ",\"Base\":\"https://base.example/x/y?z\"".to_owned(),
        2 => ",\"Base\":\"//[\"".to_owned(),
        _ => String::new(),
    };
    let robots = if random.below(20) == 0 { ",{\"name\":\"robots\",\"content\":\"noai, NoImageAI\"}" } else { "" };
    let head = format!(
        "\"Head\":{{\"Title\":{}{base},\"Metas\":[{{\"name\":\"HTML@/lang\",\"content\":\"en\"}},{{\"property\":\"og:image\",\"content\":\"https://cdn.example.com/og/{page}.jpg\"}}{robots}],\"Link\":[{{\"path\":\"LINK@/href\",\"url\":\"/style.css\",\"rel\":\"stylesheet\"}}]}}",
        quoted(&random.text(8))
    );
    let links = format!("\"Links\":[{links}]");
    let html = if random.below(2) == 0 { format!("{head},{links}") } else { format!("{links},{head}") };
    let html = if random.below(15) == 0 { String::new() } else { format!(",\"HTML-Metadata\":{{{html}}}") };
    let envelope = format!(
        "\"Envelope\":{{\"Format\":\"WARC\",\"WARC-Header-Length\":\"584\",\"WARC-Header-Metadata\":{{\"WARC-Type\":\"response\",\"WARC-Date\":\"2024-05-18T01:58:10Z\",\"Content-Length\":\"11436\",\"WARC-Target-URI\":{},\"Content-Type\":\"application/http; msgtype=response\"}},\"Payload-Metadata\":{{\"Trailing-Slop-Length\":\"4\",\"Actual-Content-Type\":\"application/http; msgtype=response\",\"HTTP-Response-Metadata\":{{\"Headers\":{{\"Content-Type\":\"text/html; charset=UTF-8\",\"Server\":\"nginx\"}},\"Headers-Length\":\"234\",\"Response-Message\":{{\"Status\":\"200\",\"Version\":\"HTTP/1.1\",\"Reason\":\"OK\"}}{html}}}}}}}",
        quoted(url)
    );
    let container = container(page);
    if random.below(2) == 0 { format!("{{{envelope},{container}}}") } else { format!("{{{container},{envelope}}}") }
}

fn container(page: u64) -> String {
    format!(
        "\"Container\":{{\"Compressed\":true,\"Gzip-Metadata\":{{\"Header-Length\":\"10\"}},\"Offset\":\"{}\",\"Filename\":\"CC-MAIN-20240518-00000.warc.gz\"}}",
        page * 1000
    )
}

fn request(url: &str, page: u64) -> String {
    format!(
        "{{{},\"Envelope\":{{\"Format\":\"WARC\",\"WARC-Header-Metadata\":{{\"WARC-Type\":\"request\",\"WARC-Target-URI\":{}}},\"Payload-Metadata\":{{\"HTTP-Request-Metadata\":{{\"Headers\":{{\"User-Agent\":\"CCBot/2.0\"}},\"Request-Message\":{{\"Method\":\"GET\"}}}}}}}}}}",
        container(page),
        quoted(url)
    )
}

fn facts(url: &str, page: u64) -> String {
    format!(
        "{{{},\"Envelope\":{{\"WARC-Header-Metadata\":{{\"WARC-Type\":\"metadata\",\"WARC-Target-URI\":{}}},\"Payload-Metadata\":{{\"WARC-Metadata-Metadata\":{{\"Metadata-Records\":[{{\"Name\":\"fetchTimeMs\",\"Value\":\"100\"}}]}}}}}}}}",
        container(page),
        quoted(url)
    )
}

fn broken(random: &mut Random, url: &str, page: u64) -> String {
    let whole = response(random, url, page);
    match random.below(8) {
        0 => whole[..whole.floor_char_boundary(whole.len() / 2)].to_owned(),
        1 => whole.replacen("\"Format\":\"WARC\"", "\"Format\":NaN", 1),
        2 => whole.replacen("\"Format\":\"WARC\"", "\"Format\":\"\\ud800\"", 1),
        3 => whole.replacen("Filename", "Other", 1),
        4 => format!("{{\"deep\":{}{},{}", "[".repeat(3000), "]".repeat(3000), &whole[1..]),
        5 => whole.replacen("\"Links\":[", "\"Links\":[null,", 1),
        6 => whole.replacen("\"Links\":[", "\"Links\":null,\"Other\":[", 1),
        _ => "not json".to_owned(),
    }
}
