//! How hard a store is asked.

use std::time::Duration;

use super::{Settings, StorageError};

/// Bounds on what this process does to one store. [`Limits::default`] holds for object stores; `data.commoncrawl.org`
/// gets [`Limits::common_crawl`]. Each field can be set in the environment, for all stores alike.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// Connections at a time, open bodies included. `TROMMEL_STORE_CONNECTIONS`, 64.
    pub connections: usize,
    /// Times that a request is made again. `TROMMEL_STORE_RETRIES`, 10.
    pub retries: u32,
    /// From the first try of a request to its last. Signatures of S3 are good for 15 minutes. `TROMMEL_STORE_RETRY_SECONDS`,
    /// 180.
    pub retry_time: Duration,
    /// Shortest pause before a request is made again; 100 ms.
    pub first_pause: Duration,
    /// Longest pause, unless the store asks for a longer one; 15 s.
    pub longest_pause: Duration,
    /// How long a store may be silent: before its answer begins, and inside a body. Uploads get a second more per 64 KiB.
    /// `TROMMEL_STORE_TIMEOUT_SECONDS`, 60.
    pub timeout: Duration,
    /// Bytes of one part of a multipart upload; at most 10 000 parts make an object on S3. `TROMMEL_STORE_PART_MIB`, 8.
    pub part_bytes: usize,
    /// Parts of one object under way at a time, each held in memory. `TROMMEL_STORE_PARTS`, 4.
    pub parts_in_flight: usize,
    /// Least time between two requests while a store complains; zero for none.
    pub spacing: Duration,
    /// Times that a request is made again after a 403, which some public servers give to whom they find too fast. Zero
    /// takes a 403 for what it says.
    pub forbidden_retries: u32,
    /// Pause after such a 403, doubled each time.
    pub forbidden_pause: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            retries: 10,
            retry_time: Duration::from_secs(180),
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(15),
            timeout: Duration::from_secs(60),
            part_bytes: 8 << 20,
            parts_in_flight: 4,
            spacing: Duration::ZERO,
            forbidden_retries: 0,
            forbidden_pause: Duration::ZERO,
        }
    }
}

impl Limits {
    /// What Common Crawl asks of its readers: ten connections (as its own downloader), and once it complains, one request
    /// a second at most until it answers again. A 403 is its answer to those who are too fast; it is asked again three
    /// times, and then left alone.
    pub fn common_crawl() -> Self {
        Self {
            connections: 10,
            retries: 20,
            retry_time: Duration::from_secs(900),
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(60),
            spacing: Duration::from_secs(1),
            forbidden_retries: 3,
            forbidden_pause: Duration::from_secs(10),
            ..Self::default()
        }
    }

    /// The limits for a host, with what the environment says of them.
    pub(super) fn read(settings: &Settings, host: &str) -> Result<Self, StorageError> {
        let mut limits = if is_common_crawl(host) { Self::common_crawl() } else { Self::default() };
        let number = |name: &str, least: u64, most: u64| -> Result<Option<u64>, StorageError> {
            let Some(text) = settings.get(name) else { return Ok(None) };
            match text.parse::<u64>() {
                Ok(value) if (least..=most).contains(&value) => Ok(Some(value)),
                _ => Err(StorageError::settings(name, format!("`{text}` is no whole number from {least} to {most}"))),
            }
        };
        if let Some(value) = number("TROMMEL_STORE_CONNECTIONS", 1, 10_000)? {
            limits.connections = value as usize;
        }
        if let Some(value) = number("TROMMEL_STORE_RETRIES", 0, 1000)? {
            limits.retries = value as u32;
        }
        if let Some(value) = number("TROMMEL_STORE_RETRY_SECONDS", 0, 86_400)? {
            limits.retry_time = Duration::from_secs(value);
        }
        if let Some(value) = number("TROMMEL_STORE_TIMEOUT_SECONDS", 1, 86_400)? {
            limits.timeout = Duration::from_secs(value);
        }
        // S3 takes parts of 5 MiB to 5 GiB.
        if let Some(value) = number("TROMMEL_STORE_PART_MIB", 5, 5120)? {
            limits.part_bytes = (value as usize) << 20;
        }
        if let Some(value) = number("TROMMEL_STORE_PARTS", 1, 1000)? {
            limits.parts_in_flight = value as usize;
        }
        Ok(limits)
    }
}

fn is_common_crawl(host: &str) -> bool {
    host == "commoncrawl.org" || host.ends_with(".commoncrawl.org")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_says_how_hard_a_store_is_asked() {
        let settings = Settings::of([("TROMMEL_STORE_CONNECTIONS", "3"), ("TROMMEL_STORE_PART_MIB", "16")]);
        let limits = Limits::read(&settings, "data.commoncrawl.org").unwrap();
        assert_eq!((limits.connections, limits.part_bytes), (3, 16 << 20));
        assert_eq!(limits.spacing, Duration::from_secs(1));
        assert_eq!(Limits::read(&Settings::of([("", "")]), "commoncrawl.org.example").unwrap(), Limits::default());
    }

    #[test]
    fn a_limit_that_is_none_is_refused() {
        for text in ["0", "-1", "many", "10001"] {
            let error = Limits::read(&Settings::of([("TROMMEL_STORE_CONNECTIONS", text)]), "").unwrap_err();
            assert_eq!(error.to_string(), format!("`TROMMEL_STORE_CONNECTIONS`: `{text}` is no whole number from 1 to 10000"));
        }
    }
}
