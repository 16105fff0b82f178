//! Endpoints that a fetcher has to survive: wrong statuses, endless redirects, lies about lengths, bombs, silence.

use super::truth::Fate;

/// One way for the address of an image to be bad. The `Fate` of each is in [`Hostile::fate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hostile {
    /// Status 404.
    NotFound,
    /// Status 410.
    Gone,
    /// Status 403.
    Forbidden,
    /// Status 429 with `Retry-After: 1`, on every request.
    TooManyRequests,
    /// Status 500.
    ServerError,
    /// Status 503 with `Retry-After: 1`, on every request.
    Unavailable,
    /// Status 429 with `Retry-After: 1` on the first request, the picture afterwards.
    BusyOnce,
    /// Status 503 on the first request, the picture afterwards.
    FlakyOnce,
    /// Status 301 to the picture.
    RedirectOnce,
    /// Three redirects (302, 307, 308), then the picture.
    RedirectChain,
    /// A redirect to a second address, which redirects back.
    RedirectLoop,
    /// A redirect to `http://10.0.0.1/`.
    RedirectPrivate,
    /// A redirect to the metadata service of a cloud, `http://169.254.169.254/`.
    RedirectMetadata,
    /// A redirect to `file:///etc/passwd`.
    RedirectFile,
    /// Status 302 without a `Location`.
    RedirectNowhere,
    /// A page that says "not found" with status 200 and `image/jpeg`.
    HtmlInstead,
    /// Status 200 and nothing.
    ZeroBytes,
    /// The first bytes of a JPEG, then noise.
    Corrupt,
    /// The first half of a JPEG, with the right length.
    Truncated,
    /// A PNG of a kilobyte that claims 60 000 × 60 000 pixels.
    PixelBomb,
    /// 64 MiB of zeros behind `Content-Encoding: gzip`, sent as 64 KiB whatever the client accepts.
    GzipBomb,
    /// Bytes at full speed without a length and without an end (cut at 1 GiB).
    Endless,
    /// One byte each 100 ms.
    Drip,
    /// The request is read and never answered.
    Stall,
    /// Half the picture, then silence.
    StallHalfway,
    /// The whole host never answers, its robots.txt included.
    StallingHost,
    /// A `Content-Length` that is larger than what comes before the connection is closed.
    LengthTooLong,
    /// A `Content-Length` that is half of what comes; the rest stands in the way of the next response.
    LengthTooShort,
    /// The connection is closed in place of an answer.
    HangUp,
    /// Two thousand response headers.
    HeaderFlood,
    /// A good picture called `text/plain`.
    WrongType,
    /// A good picture with an `X-Robots-Tag` that opts out, in one of several spellings.
    OptedOut,
    /// A good picture with an `X-Robots-Tag` that speaks to some other robot only.
    OptedOutForOthers,
    /// The page links to an address in `10.0.0.0/8`.
    LinkPrivate,
    /// The page links to the metadata service of a cloud.
    LinkMetadata,
    /// The page links to a file.
    LinkFile,
    /// The page holds something that is no web address.
    LinkMalformed,
    /// The page links to a host in `.invalid`, which resolves nowhere (RFC 6761).
    LinkUnresolvable,
}

impl Hostile {
    /// All kinds, in the order in which a web walks through them.
    pub const ALL: [Self; 38] = [
        Self::NotFound,
        Self::RedirectOnce,
        Self::HtmlInstead,
        Self::LinkPrivate,
        Self::Truncated,
        Self::ServerError,
        Self::RedirectLoop,
        Self::OptedOut,
        Self::ZeroBytes,
        Self::LinkMalformed,
        Self::Corrupt,
        Self::BusyOnce,
        Self::RedirectPrivate,
        Self::Gone,
        Self::WrongType,
        Self::LengthTooLong,
        Self::Forbidden,
        Self::RedirectChain,
        Self::PixelBomb,
        Self::LinkUnresolvable,
        Self::FlakyOnce,
        Self::TooManyRequests,
        Self::GzipBomb,
        Self::RedirectMetadata,
        Self::OptedOutForOthers,
        Self::Unavailable,
        Self::HangUp,
        Self::LinkFile,
        Self::RedirectFile,
        Self::LengthTooShort,
        Self::Endless,
        Self::RedirectNowhere,
        Self::LinkMetadata,
        Self::HeaderFlood,
        Self::Stall,
        Self::Drip,
        Self::StallHalfway,
        Self::StallingHost,
    ];

    /// What a careful fetcher makes of it.
    pub fn fate(self) -> Fate {
        match self {
            Self::NotFound => Fate::HttpStatus(404),
            Self::Gone => Fate::HttpStatus(410),
            Self::Forbidden => Fate::HttpStatus(403),
            Self::TooManyRequests => Fate::HttpStatus(429),
            Self::ServerError => Fate::HttpStatus(500),
            Self::Unavailable => Fate::HttpStatus(503),
            Self::RedirectNowhere => Fate::HttpStatus(302),
            Self::BusyOnce | Self::FlakyOnce => Fate::OkAfterRetry,
            Self::RedirectOnce | Self::RedirectChain | Self::WrongType | Self::OptedOutForOthers => Fate::Ok,
            Self::RedirectLoop => Fate::TooManyRedirects,
            Self::RedirectPrivate | Self::RedirectMetadata | Self::RedirectFile => Fate::Blocked,
            Self::LinkPrivate | Self::LinkMetadata | Self::LinkFile => Fate::Blocked,
            Self::HtmlInstead | Self::ZeroBytes | Self::Corrupt => Fate::NotAnImage,
            Self::Truncated | Self::LengthTooShort => Fate::TruncatedImage,
            Self::PixelBomb | Self::GzipBomb | Self::Endless => Fate::TooLarge,
            Self::Drip | Self::Stall | Self::StallHalfway | Self::StallingHost => Fate::Timeout,
            Self::LengthTooLong | Self::HangUp | Self::HeaderFlood => Fate::Broken,
            Self::OptedOut => Fate::RefusedHeader,
            Self::LinkMalformed => Fate::BadUrl,
            Self::LinkUnresolvable => Fate::Unresolvable,
        }
    }

    /// What the page has in place of an address on the miniature web, for the kinds that are wrong in the link itself.
    pub(crate) fn link(self, n: u64) -> Option<String> {
        Some(match self {
            Self::LinkPrivate => format!("http://10.{}.0.1/img/{n}.jpg", n % 256),
            Self::LinkMetadata => format!("http://169.254.169.254/latest/meta-data/{n}.jpg"),
            Self::LinkFile => format!("file:///etc/passwd?{n}.jpg"),
            Self::LinkUnresolvable => format!("http://h{n}.nowhere.invalid/img/{n}.jpg"),
            Self::LinkMalformed => match n % 5 {
                0 => "http://".to_owned(),
                1 => format!("http://[::1/{n}.jpg"),
                2 => format!("http://two words/{n}.jpg"),
                3 => format!("http://miniweb.test:99999/{n}.jpg"),
                _ => format!("javascript:void({n})"),
            },
            _ => return None,
        })
    }

    /// The `X-Robots-Tag` of the kinds that send one.
    pub(crate) fn robots_tag(self, n: u64) -> Option<&'static str> {
        const OUT: [&str; 6] = [
            "noai",
            "NOAI",
            "noimageai",
            "noai, max-snippet:20",
            "max-image-preview:none, noai",
            "unavailable_after: 25 Jun 2030 15:00:00 PST, noai",
        ];
        match self {
            Self::OptedOut => Some(OUT[(n % OUT.len() as u64) as usize]),
            Self::OptedOutForOthers => Some("someotherbot: noai"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_in_the_walk_once() {
        let mut all = Hostile::ALL.to_vec();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), Hostile::ALL.len());
    }

    #[test]
    fn malformed_links_are_refused_by_a_url_parser_or_are_not_http() {
        let page = url::Url::parse("http://h000.miniweb.test/pages/1.html").unwrap();
        for n in 0..10 {
            let raw = Hostile::LinkMalformed.link(n).unwrap();
            assert!(page.join(&raw).map_or(true, |url| url.scheme() != "http"), "{raw}");
        }
    }
}
