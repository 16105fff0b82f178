//! Pictures that a page names for cards on other sites: Open Graph and Twitter.

use crate::crawl::extract::TextSource;
use crate::crawl::extract::emit::{Emitter, Rights};

/// Most pictures of this kind on one page.
const MOST: usize = 64;

/// Collects `meta` elements in document order: an `og:image:alt` belongs to the `og:image` before it.
#[derive(Debug, Default)]
pub(crate) struct Social {
    pictures: Vec<(String, String)>,
    twitter: Option<String>,
    twitter_alt: String,
}

impl Social {
    /// One `meta`, by its `property` or `name`.
    pub(crate) fn meta(&mut self, name: &str, content: &str) {
        let Some((vocabulary, rest)) = name.trim().split_once(':') else {
            return;
        };
        if vocabulary.eq_ignore_ascii_case("og") {
            match rest.to_ascii_lowercase().as_str() {
                "image" | "image:url" | "image:secure_url" => {
                    // `og:image:url` says again what `og:image` says; the secure form is the same picture.
                    let again =
                        !rest.eq_ignore_ascii_case("image") && self.pictures.last().is_some_and(|(url, _)| same_but_scheme(url, content));
                    if !again && self.pictures.len() < MOST && !self.pictures.iter().any(|(url, _)| url == content) {
                        self.pictures.push((content.to_owned(), String::new()));
                    }
                }
                "image:alt" => {
                    if let Some((_, alt)) = self.pictures.last_mut()
                        && alt.is_empty()
                    {
                        alt.push_str(content);
                    }
                }
                _ => {}
            }
        } else if vocabulary.eq_ignore_ascii_case("twitter") {
            match rest.to_ascii_lowercase().as_str() {
                "image" | "image:src" if self.twitter.is_none() => self.twitter = Some(content.to_owned()),
                "image:alt" if self.twitter_alt.is_empty() => self.twitter_alt.push_str(content),
                _ => {}
            }
        }
    }

    /// Gives what was collected.
    pub(crate) fn give(&self, emitter: &mut Emitter<'_>) {
        for (url, alt) in &self.pictures {
            emitter.picture(url, &[(TextSource::Og, alt)], Rights::default());
        }
        if let Some(url) = &self.twitter
            && !(self.twitter_alt.is_empty() && self.pictures.iter().any(|(other, _)| same_but_scheme(other, url)))
        {
            emitter.picture(url, &[(TextSource::Og, &self.twitter_alt)], Rights::default());
        }
    }
}

fn same_but_scheme(a: &str, b: &str) -> bool {
    fn bare(url: &str) -> &str {
        url.split_once(':').map_or(url, |(_, rest)| rest)
    }
    bare(a) == bare(b)
}
