//! Where a model's files are: a folder, the hub's cache, or the hub.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use hf_hub::api::sync::ApiBuilder;
use hf_hub::{Cache, Repo, RepoType};

use super::files::{CONFIG, INDEX, ModelFiles, OPEN_CLIP_CONFIG, OPEN_CLIP_WEIGHTS, WEIGHTS, in_folder, shards};
use crate::error::ModelError;

/// What a model may need beside config and weights.
const COMPANIONS: [&str; 10] = [
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "tokenizer.model",
];

/// Where hub models are looked for.
#[derive(Debug, Clone)]
pub struct Hub {
    /// The cache, in the layout of `huggingface_hub` (`models--owner--name/snapshots/...`).
    pub cache: PathBuf,
    /// Address of the hub; `None`: the public one.
    pub endpoint: Option<String>,
    /// Sent to the hub; `None`: what the login wrote beside the cache, if anything.
    pub token: Option<String>,
    /// Never ask the network.
    pub offline: bool,
}

impl Hub {
    /// From the environment: `HF_HUB_CACHE`, `HF_HOME` (else `~/.cache/huggingface`), `HF_ENDPOINT`, `HF_TOKEN`,
    /// `HF_HUB_OFFLINE`. `cache` goes before the environment.
    pub fn from_env(cache: Option<&Path>) -> Self {
        let text = |key: &str| std::env::var(key).ok().filter(|value| !value.is_empty());
        let cache = cache.map(Path::to_path_buf).or_else(|| text("HF_HUB_CACHE").map(PathBuf::from));
        let home = || match text("HF_HOME") {
            Some(home) => PathBuf::from(home),
            None => {
                let base = text("XDG_CACHE_HOME").map(PathBuf::from);
                base.or_else(|| Some(std::env::home_dir()?.join(".cache"))).unwrap_or_default().join("huggingface")
            }
        };
        let offline = text("HF_HUB_OFFLINE").map(|value| value.to_ascii_uppercase());
        Self {
            cache: cache.unwrap_or_else(|| home().join("hub")),
            endpoint: text("HF_ENDPOINT").map(|endpoint| endpoint.trim_end_matches('/').to_owned()),
            token: text("HF_TOKEN"),
            offline: offline.is_some_and(|value| matches!(value.as_str(), "1" | "ON" | "YES" | "TRUE")),
        }
    }

    /// Finds a hub model in the cache, then on the network.
    ///
    /// A model that is whole in the cache costs no request: a branch stays at the commit that the cache knows. What is
    /// fetched comes from one commit, whose hash is recorded.
    ///
    /// # Errors
    /// [`ModelError::NotFound`] with what was tried; errors of the files as in [`locate`].
    pub fn locate(&self, id: &str, revision: Option<&str>) -> Result<ModelFiles, ModelError> {
        let not_found = |message: String| ModelError::NotFound { model: id.to_owned(), message };
        let (name, revision) = parse_id(id, revision).map_err(not_found)?;
        let cached = self.cached(name, revision);
        let from_cache = cached.as_ref().map(|(folder, commit)| in_folder(name, folder, Some(commit.clone())));
        match from_cache {
            Some(Ok(files)) if has_tokenizer(&files.folder) => return Ok(files),
            // Something is missing: with no network, the best that is there, or the reason why not.
            Some(result) if self.offline => return result,
            Some(_) => {}
            None if self.offline => {
                let cache = self.cache.display();
                return Err(not_found(format!("revision `{revision}` is not in the cache `{cache}`, and HF_HUB_OFFLINE is set")));
            }
            None => {}
        }
        match (self.fetch(name, revision), from_cache) {
            (Ok((folder, commit)), _) => in_folder(name, &folder, Some(commit)),
            (Err(_), Some(Ok(files))) => Ok(files),
            (Err(message), _) => Err(not_found(format!(
                "revision `{revision}` is not whole in the cache `{}`, and the hub did not give it: {message}",
                self.cache.display()
            ))),
        }
    }

    /// Folder and commit of a revision that the cache knows.
    fn cached(&self, name: &str, revision: &str) -> Option<(PathBuf, String)> {
        let repo = self.cache.join(format!("models--{}", name.replace('/', "--")));
        let commit = match std::fs::read_to_string(repo.join("refs").join(revision)) {
            Ok(commit) => commit.trim().to_owned(),
            Err(_) => revision.to_owned(),
        };
        let plain = !commit.is_empty() && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
        let folder = repo.join("snapshots").join(&commit);
        (plain && folder.is_dir()).then_some((folder, commit))
    }

    fn fetch(&self, name: &str, revision: &str) -> Result<(PathBuf, String), String> {
        let cache = Cache::new(self.cache.clone());
        let mut builder = ApiBuilder::from_cache(cache.clone()).with_progress(false).with_retries(3);
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint.clone());
        }
        if let Some(token) = &self.token {
            builder = builder.with_token(Some(token.clone()));
        }
        let api = builder.build().map_err(|error| error.to_string())?;
        let branch = Repo::with_revision(name.to_owned(), RepoType::Model, revision.to_owned());
        let info = api.repo(branch.clone()).info().map_err(|error| error.to_string())?;
        let commit = info.sha;
        if commit.is_empty() || !commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!("it names no commit but `{commit}`"));
        }
        // By commit from here on: a push in between must not mix two versions.
        let repo = Repo::with_revision(name.to_owned(), RepoType::Model, commit.clone());
        let files = api.repo(repo.clone());
        let listed: BTreeSet<&str> = info.siblings.iter().map(|sibling| sibling.rfilename.as_str()).collect();
        let get = |file: &str| {
            let failed = |error: hf_hub::api::sync::ApiError| format!("`{file}`: {error}");
            if let Some(path) = cache.repo(repo.clone()).get(file) {
                return Ok(path);
            }
            let size = api.metadata(&files.url(file)).map_err(failed)?.size() as u64;
            let path = files.download(file).map_err(failed)?;
            // A connection that ends early is no error to the client.
            let found = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
            if found != size {
                let blob = std::fs::canonicalize(&path);
                let _ = std::fs::remove_file(&path);
                let _ = blob.and_then(std::fs::remove_file);
                return Err(format!("`{file}`: {found} of {size} bytes arrived"));
            }
            Ok(path)
        };
        let mut wanted: Vec<&str> = COMPANIONS.to_vec();
        wanted.extend([CONFIG, OPEN_CLIP_CONFIG]);
        for file in wanted.into_iter().filter(|file| listed.contains(file)) {
            get(file)?;
        }
        if listed.contains(WEIGHTS) && (listed.contains(CONFIG) || !listed.contains(OPEN_CLIP_WEIGHTS)) {
            get(WEIGHTS)?;
        } else if listed.contains(INDEX) && listed.contains(CONFIG) {
            let index = get(INDEX)?;
            for shard in shards(&index).map_err(|error| error.to_string())? {
                get(&shard)?;
            }
        } else if listed.contains(OPEN_CLIP_WEIGHTS) {
            get(OPEN_CLIP_WEIGHTS)?;
        }
        let handle = cache.repo(branch);
        handle.create_ref(&commit).map_err(|error| error.to_string())?;
        let folder = cache.repo(repo).pointer_path(&commit);
        Ok((folder, commit))
    }
}

/// Finds a model: a folder, or a hub id `owner/name` or `owner/name@revision` (in `cache` or where the environment
/// says, then on the network; see [`Hub`]).
///
/// # Errors
/// [`ModelError::NotFound`] when there is neither, with what was looked for; [`ModelError::Config`] for an index of
/// shards that is damaged; [`ModelError::Io`].
pub fn locate(model: &str, revision: Option<&str>, cache: Option<&Path>) -> Result<ModelFiles, ModelError> {
    let path = Path::new(model.strip_prefix("local-dir:").unwrap_or(model));
    if path.is_dir() {
        return in_folder(model, path, None);
    }
    Hub::from_env(cache).locate(model, revision)
}

/// Name and revision of a hub id; both end up in paths.
fn parse_id<'a>(id: &'a str, revision: Option<&'a str>) -> Result<(&'a str, &'a str), String> {
    let id = id.strip_prefix("hf-hub:").unwrap_or(id);
    let (name, inline) = match id.split_once('@') {
        Some((name, revision)) => (name, Some(revision)),
        None => (id, None),
    };
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    let halves: Vec<&str> = name.split('/').collect();
    if halves.len() != 2 || !halves.iter().all(|half| part(half)) {
        return Err("no such folder, and not a hub id `owner/name` or `owner/name@revision`".to_owned());
    }
    let revision = match (inline, revision) {
        (Some(a), Some(b)) if a != b => return Err(format!("two revisions, `{a}` and `{b}`")),
        (Some(revision), _) | (None, Some(revision)) => revision,
        (None, None) => "main",
    };
    if !revision.split('/').all(part) {
        return Err(format!("`{revision}` is not a revision"));
    }
    Ok((name, revision))
}

fn has_tokenizer(folder: &Path) -> bool {
    let there = |name: &str| folder.join(name).is_file();
    there("tokenizer.json") || there("spiece.model") || (there("vocab.json") && there("merges.txt"))
}
