//! Reading block lists.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use url::Host;

use super::super::parse_http;
use super::super::string_set::StringSet;
use super::{BlockList, without_www};

/// Longest line; a longer one is no list of hosts.
const LONGEST_LINE: usize = 64 * 1024;

/// Why a block list could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum BlockListError {
    /// The file or folder could not be read.
    #[error("cannot read block list `{path}`", path = path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line is neither a comment nor an entry.
    #[error("{path}:{line}: {reason}: `{text}`", path = path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: u64,
        /// What is wrong with it.
        reason: &'static str,
        /// The line, or its beginning.
        text: String,
    },
    /// A folder holds no `domains` and no `urls` file.
    #[error("no `domains` and no `urls` file in `{path}` or in its folders", path = path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// More lists or more text than a block list can hold.
    #[error("block list `{path}` is over the limit of 65535 lists and 4 GiB of entries", path = path.display())]
    Full {
        /// The file that did not fit.
        path: PathBuf,
    },
}

/// What to do with a line that is no entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnBadLine {
    /// Loading fails with the file and the line.
    #[default]
    Refuse,
    /// The line is left out and counted.
    Skip,
}

/// Loads a [`BlockList`] from files.
#[derive(Debug, Default)]
pub struct BlockListBuilder {
    list: BlockList,
    on_bad_line: OnBadLine,
}

impl BlockListBuilder {
    /// An empty list that refuses bad lines.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says what to do with lines that are no entries, in the files added from now on.
    pub fn on_bad_line(mut self, on_bad_line: OnBadLine) -> Self {
        self.on_bad_line = on_bad_line;
        self
    }

    /// Adds a file of hosts, one per line, under the name `list`.
    ///
    /// # Errors
    /// [`BlockListError`] with the file, and the line where one is bad.
    pub fn hosts_file(self, path: impl AsRef<Path>, list: &str) -> Result<Self, BlockListError> {
        self.file(path.as_ref(), list, host_entry, |list| &mut list.hosts)
    }

    /// Adds a file of URL prefixes, one per line, with or without a scheme, under the name `list`.
    ///
    /// # Errors
    /// [`BlockListError`] with the file, and the line where one is bad.
    pub fn urls_file(self, path: impl AsRef<Path>, list: &str) -> Result<Self, BlockListError> {
        self.file(path.as_ref(), list, url_entry, |list| &mut list.urls)
    }

    /// Adds the files `domains` and `urls` of a folder in UT1's layout and of the folders in it, each under its
    /// folder's name; other files are not read.
    ///
    /// # Errors
    /// [`BlockListError`] with the file, and the line where one is bad; an error too where there is no such file.
    pub fn folder(mut self, path: impl AsRef<Path>) -> Result<Self, BlockListError> {
        let root = path.as_ref();
        let unread = |source| BlockListError::Read { path: root.into(), source };
        let mut folders = vec![root.to_path_buf()];
        for entry in fs::read_dir(root).map_err(unread)? {
            let path = entry.map_err(unread)?.path();
            if path.is_dir() {
                folders.push(path);
            }
        }
        // The first entry for a host names its list; sorted, so that it is always the same one.
        folders.sort();
        let mut found = false;
        for folder in folders {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let (domains, urls) = (folder.join("domains"), folder.join("urls"));
            if domains.is_file() {
                found = true;
                self = self.hosts_file(domains, &name)?;
            }
            if urls.is_file() {
                found = true;
                self = self.urls_file(urls, &name)?;
            }
        }
        if found { Ok(self) } else { Err(BlockListError::Empty { path: root.into() }) }
    }

    /// The list.
    pub fn build(self) -> BlockList {
        self.list
    }

    fn file(
        mut self,
        path: &Path,
        list: &str,
        parse: fn(&str) -> Result<String, &'static str>,
        set: fn(&mut BlockList) -> &mut StringSet,
    ) -> Result<Self, BlockListError> {
        let unread = |source| BlockListError::Read { path: path.into(), source };
        let full = || BlockListError::Full { path: path.into() };
        let number = match self.list.lists.iter().position(|name| name == list) {
            Some(known) => known,
            None => {
                self.list.lists.push(list.into());
                self.list.lists.len() - 1
            }
        };
        let number = u16::try_from(number).map_err(|_| full())?;
        let mut reader = BufReader::with_capacity(LONGEST_LINE, File::open(path).map_err(unread)?);
        let mut bytes = Vec::new();
        for line in 1.. {
            bytes.clear();
            let limit = LONGEST_LINE as u64 + 1;
            if io::Read::take(&mut reader, limit).read_until(b'\n', &mut bytes).map_err(unread)? == 0 {
                break;
            }
            let text = String::from_utf8_lossy(&bytes);
            let entry = text.split('#').next().unwrap_or_default().trim();
            let too_long = bytes.len() > LONGEST_LINE;
            if entry.is_empty() && !too_long {
                continue;
            }
            let parsed = if too_long { Err("a line of over 64 KiB") } else { parse(entry) };
            match parsed {
                Ok(key) => {
                    if !set(&mut self.list).insert(key.as_bytes(), number) {
                        return Err(full());
                    }
                }
                // The rest of a line that is too long would be read as entries.
                Err(_) if self.on_bad_line == OnBadLine::Skip && !too_long => self.list.skipped += 1,
                Err(reason) => {
                    let text = entry.chars().take(80).collect();
                    return Err(BlockListError::Line { path: path.into(), line, reason, text });
                }
            }
        }
        Ok(self)
    }
}

/// A host as it is looked up: ASCII, lower case, no dots around it.
fn host_entry(entry: &str) -> Result<String, &'static str> {
    // A hosts file has the address to answer with before the name.
    let mut fields = entry.split_whitespace();
    let entry = match (fields.next(), fields.next(), fields.next()) {
        (Some(host), None, None) => host,
        (Some(answer), Some(host), None) if answer.parse::<IpAddr>().is_ok() => host,
        _ => return Err("more than a host in the line"),
    };
    let entry = entry.strip_prefix("*.").unwrap_or(entry).trim_matches('.');
    if let Ok(IpAddr::V6(ip)) = entry.parse() {
        return Ok(format!("[{ip}]"));
    }
    match Host::parse(entry) {
        Ok(host) => Ok(host.to_string()),
        Err(_) => Err("not a host"),
    }
}

/// A URL prefix as it is looked up: host without `www.`, path, query.
fn url_entry(entry: &str) -> Result<String, &'static str> {
    let url = if entry.contains("://") { parse_http(entry) } else { parse_http(&format!("http://{entry}")) };
    let url = url.ok_or("not a url")?;
    let host = url.host_str().ok_or("a url without a host")?;
    let mut key = String::from(without_www(host.strip_suffix('.').unwrap_or(host)));
    match url.query() {
        None => key.push_str(url.path().trim_end_matches('/')),
        Some(query) => {
            key.push_str(url.path());
            key.push('?');
            key.push_str(query);
        }
    }
    Ok(key)
}
