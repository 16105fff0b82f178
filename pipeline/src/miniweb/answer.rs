//! What the web answers to a path on a host, right or wrong, before a byte of it is sent.

use std::io::Write;
use std::sync::LazyLock;

use bytes::Bytes;
use flate2::{Compression, GzBuilder};

use super::MiniWeb;
use super::bench_pool::Side;
use super::candidates::LOGO_LOOK;
use super::counters::Kind;
use super::draw::Draw;
use super::format::{encode, pixel_bomb};
use super::hostile::Hostile;
use super::page::{BLANK, LOGO, PIXEL};
use super::site::{Host, Policy};
use super::slot::Slot;
use super::world::Scene;

/// How an answer is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As HTTP says.
    Plain,
    /// With this `Content-Length`, whatever the body is; then the connection is closed.
    LengthOf(usize),
    /// Nothing is sent, and the connection stays open.
    Silence,
    /// The header and half of the body, then silence.
    HalfThenSilence,
    /// The header, then a byte of the body at a time.
    Drip,
    /// The header without a length, then bytes without an end.
    Endless,
    /// The connection is closed at once.
    HangUp,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
    pub(crate) manner: Manner,
}

impl Answer {
    pub(crate) fn new(status: u16, media_type: &str, body: impl Into<Bytes>) -> Self {
        let headers = vec![("Content-Type", media_type.to_owned())];
        Self { status, headers, body: body.into(), manner: Manner::Plain }
    }

    pub(crate) fn text(status: u16, body: &'static str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", body)
    }

    fn not_found() -> Self {
        Self::text(404, "not found\n")
    }

    fn redirect(status: u16, to: String) -> Self {
        Self::text(status, "elsewhere\n").with("Location", to)
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn sent(self, manner: Manner) -> Self {
        Self { manner, ..self }
    }
}

/// What a request is for, found without making any bytes.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    Robots,
    Tdm,
    Page(u64),
    Slot(Box<Slot>),
    /// The place that a redirect leads to in the end.
    Final(Box<Slot>),
    /// So many more redirects are to come; 0 leads back to the start.
    Hop(u32, Box<Slot>),
    Asset(&'static str),
    Bench(Side, u64),
    Nothing,
}

impl Target {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Robots => Kind::Robots,
            Self::Tdm => Kind::Tdm,
            Self::Page(_) => Kind::Page,
            Self::Slot(slot) => slot.hostile.map_or(Kind::Image, Kind::Hostile),
            Self::Final(_) | Self::Hop(..) => Kind::Hop,
            Self::Asset(_) => Kind::Asset,
            Self::Bench(..) => Kind::Bench,
            Self::Nothing => Kind::Unknown,
        }
    }
}

/// 64 MiB of zeros, deflated to some 64 KiB.
static GZIP_BOMB: LazyLock<Bytes> = LazyLock::new(|| {
    let mut encoder = GzBuilder::new().write(Vec::new(), Compression::new(6));
    let zeros = vec![0u8; 1 << 20];
    // Writing into a vector cannot fail.
    (0..64).for_each(|_| drop(encoder.write_all(&zeros)));
    encoder.finish().unwrap_or_default().into()
});

impl MiniWeb {
    /// Finds what `path` on the host number `host` is.
    pub(crate) fn target(&self, host: u64, path: &str) -> Target {
        let number = || self.slot_number(path).map(|n| Box::new(self.slot(n))).filter(|slot| slot.host.index == host);
        match path {
            "/robots.txt" => return Target::Robots,
            "/.well-known/tdmrep.json" => return Target::Tdm,
            LOGO => return Target::Asset(LOGO),
            PIXEL => return Target::Asset(PIXEL),
            BLANK => return Target::Asset(BLANK),
            _ => {}
        }
        if let Some(rest) = path.strip_prefix("/bench/") {
            let side = rest.split_once('/').and_then(|(side, name)| {
                let k = name.split('?').next()?.strip_suffix(".jpg")?.parse().ok()?;
                Some((Side::of_pixels(side)?, k))
            });
            return side.map_or(Target::Nothing, |(side, k)| Target::Bench(side, k));
        }
        if let Some(name) = path.strip_prefix("/pages/") {
            let index = name.split('?').next().and_then(|name| name.strip_suffix(".html")?.parse().ok());
            let index = index.filter(|index| *index < self.config.pages && self.page_host(*index).index == host);
            return index.map_or(Target::Nothing, Target::Page);
        }
        if path.starts_with("/final/") {
            return number().map_or(Target::Nothing, Target::Final);
        }
        if let Some(rest) = path.strip_prefix("/hop/") {
            let left = rest.split('/').next().and_then(|left| left.parse().ok());
            return match (left, number()) {
                (Some(left @ 0..=9), Some(slot)) => Target::Hop(left, slot),
                _ => Target::Nothing,
            };
        }
        self.slot_at(host, path).map_or(Target::Nothing, |slot| Target::Slot(Box::new(slot)))
    }

    /// The answer to the request number `attempt` (from 0) for `target` on `host`. May paint, which takes some ten
    /// milliseconds.
    pub(crate) fn answer(&self, host: Host, target: &Target, attempt: u32) -> Answer {
        if host.policy == Policy::Stalling {
            return Answer::text(200, "").sent(Manner::Silence);
        }
        match target {
            Target::Robots => {
                let (status, body) = host.policy.robots(host.index);
                Answer::text(status, body)
            }
            Target::Tdm if host.policy == Policy::TdmFile => {
                let rule = "[{\"location\": \"/*\", \"tdm-reservation\": 1}]\n";
                Answer::new(200, "application/json", rule)
            }
            Target::Tdm | Target::Nothing => Answer::not_found(),
            Target::Page(index) => {
                let page = self.page(*index).to_document();
                // The length is written by the server, as for every answer.
                let headers = page.headers.into_iter().filter(|(name, _)| *name != "Content-Length").collect();
                Answer { status: 200, headers, body: page.html.into(), manner: Manner::Plain }
            }
            Target::Asset(path) => opted(host, self.asset_answer(host, path)),
            Target::Bench(side, k) => Answer::new(200, "image/jpeg", self.bench.get(*side, *k)),
            Target::Final(slot) => self.good(slot),
            Target::Hop(0, slot) => Answer::redirect(302, slot.path.clone()),
            Target::Hop(1, slot) => Answer::redirect(308, format!("/final/{}.jpg", slot.number)),
            Target::Hop(left, slot) => {
                let url = format!("{}/hop/{}/{}.jpg", self.origin(host), left - 1, slot.number);
                Answer::redirect(307, url)
            }
            Target::Slot(slot) => match slot.hostile {
                None => opted(host, self.good(slot)),
                Some(hostile) => self.bad(slot, hostile, attempt),
            },
        }
    }

    fn good(&self, slot: &Slot) -> Answer {
        match self.file(slot) {
            Some(body) => Answer::new(200, slot.look.format.media_type(), body),
            None => Answer::text(500, "cannot paint\n"),
        }
    }

    /// The file of a slot, from the cache or painted.
    fn file(&self, slot: &Slot) -> Option<Bytes> {
        // A repeated picture has the bytes of the first, and shares its place in the cache.
        let key = match slot.earlier {
            Some((super::truth::Repeat::SameBytes | super::truth::Repeat::SameUrl, origin)) => origin,
            _ => slot.number,
        };
        if let Some(file) = self.cache.get(key) {
            return Some(file);
        }
        let file = Bytes::from(self.picture(slot).ok()?);
        self.cache.put(key, file.clone());
        Some(file)
    }

    /// The answer, if it can be had without painting.
    pub(crate) fn ready(&self, host: Host, target: &Target) -> Option<Answer> {
        match target {
            Target::Bench(side, k) if host.policy != Policy::Stalling => Some(Answer::new(200, "image/jpeg", self.bench.ready(*side, *k)?)),
            Target::Slot(slot) if slot.hostile.is_none() && slot.earlier.is_none() => {
                let file = self.cache.get(slot.number)?;
                Some(opted(host, Answer::new(200, slot.look.format.media_type(), file)))
            }
            Target::Robots | Target::Tdm | Target::Nothing => Some(self.answer(host, target, 0)),
            _ => None,
        }
    }

    fn asset_answer(&self, host: Host, path: &str) -> Answer {
        if path == LOGO {
            let scene = Scene::nth(self.config.seed ^ 0x1060, host.index);
            return encode(&scene, &LOGO_LOOK).map_or_else(|_| Answer::not_found(), |logo| Answer::new(200, "image/png", logo));
        }
        /// GIF89a, one transparent pixel: the smallest picture there is, and a tracker's favourite.
        const DOT: &[u8] = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x01D\0;";
        Answer::new(200, "image/gif", DOT)
    }

    fn bad(&self, slot: &Slot, hostile: Hostile, attempt: u32) -> Answer {
        let n = slot.number;
        let hop = |left: u32| format!("/hop/{left}/{n}.jpg");
        let full = || self.file(slot).unwrap_or_default();
        let good = || Answer::new(200, "image/jpeg", full());
        match hostile {
            Hostile::NotFound => Answer::not_found(),
            Hostile::Gone => Answer::text(410, "gone\n"),
            Hostile::Forbidden => Answer::text(403, "forbidden\n"),
            Hostile::TooManyRequests => Answer::text(429, "slow down\n").with("Retry-After", "1"),
            Hostile::ServerError => Answer::text(500, "out of order\n"),
            Hostile::Unavailable => Answer::text(503, "busy\n").with("Retry-After", "1"),
            Hostile::BusyOnce if attempt == 0 => Answer::text(429, "slow down\n").with("Retry-After", "1"),
            Hostile::FlakyOnce if attempt == 0 => Answer::text(503, "busy\n"),
            Hostile::RedirectOnce => Answer::redirect(301, format!("/final/{n}.jpg")),
            Hostile::RedirectChain => Answer::redirect(302, hop(2)),
            Hostile::RedirectLoop => Answer::redirect(302, hop(0)),
            Hostile::RedirectPrivate => Answer::redirect(302, format!("http://10.0.0.1/{n}.jpg")),
            Hostile::RedirectMetadata => Answer::redirect(302, "http://169.254.169.254/latest/meta-data/".to_owned()),
            Hostile::RedirectFile => Answer::redirect(302, "file:///etc/passwd".to_owned()),
            Hostile::RedirectNowhere => Answer::text(302, "nowhere\n"),
            Hostile::HtmlInstead => {
                let html = "<!DOCTYPE html><html><body><h1>This picture was not found</h1></body></html>\n";
                Answer::new(200, "image/jpeg", html)
            }
            Hostile::ZeroBytes => Answer::new(200, "image/jpeg", Bytes::new()),
            Hostile::Corrupt => {
                let mut noise = Draw::new(self.config.seed, "corrupt", n);
                let head = full().slice(..full().len().min(20));
                let rest = (0..500).flat_map(|_| noise.next().to_le_bytes());
                Answer::new(200, "image/jpeg", head.iter().copied().chain(rest).collect::<Vec<u8>>())
            }
            Hostile::Truncated => {
                let full = full();
                Answer::new(200, "image/jpeg", full.slice(..full.len() / 2))
            }
            Hostile::PixelBomb => Answer::new(200, "image/png", pixel_bomb()),
            Hostile::GzipBomb => Answer::new(200, "image/jpeg", GZIP_BOMB.clone()).with("Content-Encoding", "gzip"),
            Hostile::Endless => good().sent(Manner::Endless),
            Hostile::Drip => good().sent(Manner::Drip),
            Hostile::Stall | Hostile::StallingHost => good().sent(Manner::Silence),
            Hostile::StallHalfway => good().sent(Manner::HalfThenSilence),
            Hostile::LengthTooLong => {
                let answer = good();
                let length = answer.body.len() + 1000;
                answer.sent(Manner::LengthOf(length))
            }
            Hostile::LengthTooShort => {
                let answer = good();
                let length = answer.body.len() / 2;
                answer.sent(Manner::LengthOf(length))
            }
            Hostile::HangUp => good().sent(Manner::HangUp),
            Hostile::HeaderFlood => (0..2000).fold(good(), |answer, k| answer.with("X-Flood", k.to_string())),
            Hostile::WrongType => Answer::new(200, "text/plain", full()),
            Hostile::OptedOut | Hostile::OptedOutForOthers => good().with("X-Robots-Tag", hostile.robots_tag(n).unwrap_or_default()),
            Hostile::BusyOnce
            | Hostile::FlakyOnce
            | Hostile::LinkPrivate
            | Hostile::LinkMetadata
            | Hostile::LinkFile
            | Hostile::LinkMalformed
            | Hostile::LinkUnresolvable => good(),
        }
    }
}

/// The answer with the header by which its host opts out.
fn opted(host: Host, answer: Answer) -> Answer {
    match host.policy.header() {
        Some((name, value)) => answer.with(name, value),
        None => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gzip_bomb_is_a_thousand_times_what_it_weighs() {
        assert!(GZIP_BOMB.len() < 100_000, "{}", GZIP_BOMB.len());
        let mut reader = flate2::read::GzDecoder::new(&GZIP_BOMB[..]);
        assert_eq!(std::io::copy(&mut reader, &mut std::io::sink()).unwrap(), 64 << 20);
    }
}
