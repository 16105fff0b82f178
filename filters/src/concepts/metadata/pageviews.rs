//! Titles by page views.

use std::collections::HashMap;
use std::io::BufRead;

use super::super::Error;
use super::wiki::next_line;

/// Which lines of the hourly dumps count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewLimits {
    /// The domain code of the project: `en` is the English Wikipedia on its desktop site.
    pub domain: String,
    /// An hour in which a title has fewer views does not count. MetaCLIP: 50.
    pub hourly: u64,
}

impl ViewLimits {
    /// MetaCLIP's: at least 50 views in the hour.
    pub fn of(domain: impl Into<String>) -> Self {
        Self { domain: domain.into(), hourly: 50 }
    }
}

/// Views of titles, summed over hourly dumps.
///
/// MetaCLIP takes the 24 hours of some 26 dates from 2018 to 2022 (version 2: 37 to 40), counts a title's hour only where it has at
/// least 50 views and the title has no `:` (which namespaces have), and keeps titles with a sum of at least 70. Underscores become
/// spaces. What is held is bounded by the titles that had such an hour.
#[derive(Clone, Debug)]
pub struct PageViews {
    limits: ViewLimits,
    views: HashMap<Box<str>, u64>,
}

impl PageViews {
    /// Nothing read yet.
    pub fn new(limits: ViewLimits) -> Self {
        Self { limits, views: HashMap::new() }
    }

    /// Reads one hourly dump, lines of `domain title views bytes` (Wikimedia's `pageviews-*` files, unpacked). Lines of other
    /// domains, lines that are not UTF-8 and lines without a number of views are passed over: such files have some.
    ///
    /// # Errors
    /// [`Error::Stream`] where the reader fails or a line is longer than 64 MiB.
    pub fn read(&mut self, mut reader: impl BufRead) -> Result<(), Error> {
        let mut line = Vec::new();
        while next_line(&mut reader, &mut line).map_err(|source| Error::Stream { what: "page views", source })? {
            if let Ok(line) = std::str::from_utf8(&line) {
                self.line(line);
            }
        }
        Ok(())
    }

    fn line(&mut self, line: &str) {
        let mut fields = line.split(' ');
        if fields.next() != Some(&self.limits.domain) {
            return;
        }
        let (Some(title), Some(Ok(views))) = (fields.next(), fields.next().map(str::parse::<u64>)) else {
            return;
        };
        if views < self.limits.hourly || title.contains(':') {
            return;
        }
        let title = title.replace('_', " ");
        let sum = self.views.entry(title.into()).or_default();
        *sum = sum.saturating_add(views);
    }

    /// Titles and their views, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.views.iter().map(|(title, views)| (&**title, *views))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_busy_hours_of_articles_count() {
        let mut views = PageViews::new(ViewLimits::of("en"));
        let hour = b"de Hund 900 0\nen Dog 50 0\nen Cat 49 0\nen New_York_City 51 7\nen File:Dog 99 0\nen.m Dog 99 0\nen \xff 99 0\nen Dog x 0\nen\n\n";
        views.read(hour.as_slice()).unwrap();
        views.read(b"en Dog 60 0".as_slice()).unwrap();
        let mut found: Vec<_> = views.iter().collect();
        found.sort_unstable();
        assert_eq!(found, [("Dog", 110), ("New York City", 51)]);
    }
}
