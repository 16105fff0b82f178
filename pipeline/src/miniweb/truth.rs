//! What should become of every image of a miniature web.

use super::caption::CaptionKind;
use super::format::Look;
use super::page::Markup;
use super::words::Lang;
use super::world::Scene;

/// How the fetch of one candidate ends when the fetcher does all that it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fate {
    /// The picture arrives and can be decoded.
    Ok,
    /// The picture arrives on the second request; without retries it ends with status 429 or 503.
    OkAfterRetry,
    /// robots.txt disallows the path, or could not be had (status 500).
    RefusedRobots,
    /// robots.txt allows the path but carries `Content-Signal: ai-train=no`.
    RefusedSignal,
    /// `/.well-known/tdmrep.json` reserves the rights.
    RefusedTdm,
    /// The image's own response opts out: `X-Robots-Tag`, `tdm-reservation: 1` or `Content-Usage: train-ai=n`.
    RefusedHeader,
    /// The page opts out with `<meta name="robots" content="noai, noimageai">`. This goes before every other fate but
    /// [`Fate::BadUrl`].
    RefusedMeta,
    /// The last answer is this status.
    HttpStatus(u16),
    /// The address, or one that it redirects to, must never be asked: private, link-local or not http.
    Blocked,
    /// What the page holds is no http address.
    BadUrl,
    /// The host name does not exist.
    Unresolvable,
    /// The redirects do not end.
    TooManyRedirects,
    /// No whole answer within any sensible time.
    Timeout,
    /// The connection breaks, or the answer breaks HTTP.
    Broken,
    /// More bytes or pixels than any limit should allow. A client that never inflates `Content-Encoding: gzip` sees
    /// [`Fate::NotAnImage`] for [`Hostile::GzipBomb`](super::hostile::Hostile::GzipBomb).
    TooLarge,
    /// The bytes are no image that can be decoded: HTML, nothing, noise, SVG.
    NotAnImage,
    /// The first part of a JPEG. A lenient decoder returns a picture with a gray rest, a strict one fails.
    TruncatedImage,
}

impl Fate {
    /// Whether a picture comes of it without any doubt.
    pub fn is_ok(self) -> bool {
        matches!(self, Self::Ok | Self::OkAfterRetry)
    }

    /// Whether the image must not be asked for, or must be dropped, because its owner said so.
    pub fn is_refused(self) -> bool {
        matches!(self, Self::RefusedRobots | Self::RefusedSignal | Self::RefusedTdm | Self::RefusedHeader | Self::RefusedMeta)
    }
}

/// How a candidate relates to the candidates before it, in page order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Repeat {
    /// New.
    First,
    /// The address stood on the web before.
    SameUrl,
    /// A new address for the very bytes that an earlier address has.
    SameBytes,
    /// A new address for an earlier picture in another size or format: a near duplicate.
    SamePicture,
}

/// What is known about one candidate.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    /// How the fetch should end.
    pub fate: Fate,
    /// What kind of text stands with the picture.
    pub caption: CaptionKind,
    /// Whether the text says what the picture shows.
    pub caption_matches: bool,
    /// The language of the text, where it is in one.
    pub lang: Option<Lang>,
    /// Whether the web had it before.
    pub repeat: Repeat,
    /// What the picture shows; none for logos, pixels and addresses without a picture.
    pub scene: Option<Scene>,
    /// Format and upright size of the file; none where `scene` is none.
    pub look: Option<Look>,
}

/// One image with its text on one page: what an extractor should find.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The number of the page, from 0.
    pub page: u64,
    /// The address of the page.
    pub page_url: String,
    /// The link as it stands in the page.
    pub raw: String,
    /// The link as a browser resolves it, without surrounding spaces; none where it resolves to nothing on the web.
    pub url: Option<String>,
    /// The `alt` that the WAT and a plain reading of `<img>` show; none where the attribute is absent.
    pub alt: Option<String>,
    /// The text that belongs to the image, wherever the markup puts it: alt, title, figcaption, og:image:alt or JSON-LD.
    pub text: Option<String>,
    /// How the page shows the image.
    pub markup: Markup,
    /// Whether the WAT has this link as `IMG@/src`.
    pub in_wat: bool,
    /// Whether an extractor that knows lazy loading finds it in the HTML; only the stand-ins of lazy images are not.
    pub in_html: bool,
    /// What should become of it.
    pub expected: Expected,
}
