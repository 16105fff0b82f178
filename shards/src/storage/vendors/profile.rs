//! The two files in which the AWS tools keep profiles: `~/.aws/credentials` and `~/.aws/config`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::read_file;
use crate::storage::{Settings, StorageError};

/// One profile, both files together; the credentials file wins.
#[derive(Debug, Default)]
pub(super) struct Profile {
    pub(super) name: String,
    /// Whether `AWS_PROFILE` named it.
    pub(super) asked: bool,
    values: BTreeMap<String, String>,
    /// The files that were looked for, with whether they were there.
    pub(super) looked: String,
}

impl Profile {
    /// Reads the profile that `AWS_PROFILE` names, else `default`.
    ///
    /// # Errors
    /// When a file cannot be read, or a profile that was asked for is in neither.
    pub(super) fn read(settings: &Settings) -> Result<Self, StorageError> {
        let named = settings.first(&["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]);
        let mut profile = Self { name: named.unwrap_or("default").to_owned(), asked: named.is_some(), ..Self::default() };
        let mut found = false;
        let mut looked = Vec::new();
        for (variable, file, prefix) in [("AWS_CONFIG_FILE", "config", "profile "), ("AWS_SHARED_CREDENTIALS_FILE", "credentials", "")] {
            let Some(path) = place(settings, variable, file) else { continue };
            let text = read_file(&path)?;
            let section = text.as_deref().and_then(|text| section(text, &profile.name, prefix));
            let state = match (&text, &section) {
                (None, _) => "not there",
                (_, None) => "without it",
                _ => "with it",
            };
            looked.push(format!("`{}` ({state})", path.display()));
            found |= section.is_some();
            profile.values.extend(section.unwrap_or_default());
        }
        profile.looked = looked.join(" and ");
        if profile.asked && !found {
            let problem = format!("there is no profile `{}`; looked in {}", profile.name, profile.looked);
            return Err(StorageError::settings("AWS_PROFILE", problem));
        }
        Ok(profile)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A way to credentials that the profile names and this program does not go.
    pub(super) fn unsupported(&self) -> Option<&str> {
        ["credential_process", "sso_session", "sso_start_url", "role_arn", "login_session"]
            .into_iter()
            .find(|name| self.get(name).is_some())
    }
}

fn place(settings: &Settings, variable: &str, file: &str) -> Option<PathBuf> {
    match settings.get(variable) {
        Some(path) => Some(match (path.strip_prefix("~/"), settings.get("HOME")) {
            (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
            _ => PathBuf::from(path),
        }),
        None => Some(PathBuf::from(settings.get("HOME")?).join(".aws").join(file)),
    }
}

/// One section of an ini file. In the config file sections are named `profile NAME`, but `default` is plain.
fn section(text: &str, name: &str, prefix: &str) -> Option<BTreeMap<String, String>> {
    let mut values = None;
    let mut inside = false;
    for line in text.lines() {
        // Indented lines belong to nested settings (`s3 =` and below), which hold nothing of ours.
        if line.starts_with([' ', '\t', '#', ';']) || line.trim().is_empty() {
            continue;
        }
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            let header = header.trim();
            let own = header.strip_prefix(prefix).map(str::trim);
            inside = own == Some(name) || (name == "default" && header == "default");
            if inside {
                values.get_or_insert_with(BTreeMap::new);
            }
        } else if inside && let (Some(values), Some((key, value))) = (&mut values, line.split_once('=')) {
            let value = value.split(" #").next().unwrap_or(value);
            values.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREDENTIALS: &str = "# mine\n[default]\naws_access_key_id = D\naws_secret_access_key=ds\n\n[work]\nAWS_ACCESS_KEY_ID= W\naws_secret_access_key = w=s+/ # note\naws_session_token=t\n";
    const CONFIG: &str = "[default]\nregion = eu-west-1\n[profile work]\nregion=eu-north-1\ns3 =\n  region = no\nendpoint_url = http://127.0.0.1:9\n[profile sso]\nsso_session = x\n";

    fn home() -> (tempfile::TempDir, impl Fn(&str) -> Result<Profile, StorageError>) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(".aws")).unwrap();
        std::fs::write(dir.path().join(".aws/credentials"), CREDENTIALS).unwrap();
        std::fs::write(dir.path().join(".aws/config"), CONFIG).unwrap();
        let home = dir.path().display().to_string();
        (dir, move |name| Profile::read(&Settings::of([("HOME", home.as_str()), ("AWS_PROFILE", name)])))
    }

    #[test]
    fn a_profile_is_read_from_both_files() {
        let (_dir, read) = home();
        let work = read("work").unwrap();
        assert_eq!(work.get("aws_access_key_id"), Some("W"));
        assert_eq!(work.get("aws_secret_access_key"), Some("w=s+/"));
        assert_eq!(work.get("aws_session_token"), Some("t"));
        assert_eq!(work.get("region"), Some("eu-north-1"));
        assert_eq!(work.get("endpoint_url"), Some("http://127.0.0.1:9"));
        let default = read("").unwrap();
        assert_eq!((default.get("aws_access_key_id"), default.get("region")), (Some("D"), Some("eu-west-1")));
        assert!(!default.asked);
        assert_eq!(read("sso").unwrap().unsupported(), Some("sso_session"));
    }

    #[test]
    fn a_profile_that_is_nowhere_is_named() {
        let (dir, read) = home();
        let error = read("play").unwrap_err().to_string();
        let place = dir.path().join(".aws");
        assert_eq!(
            error,
            format!(
                "`AWS_PROFILE`: there is no profile `play`; looked in `{}` (without it) and `{}` (without it)",
                place.join("config").display(),
                place.join("credentials").display()
            )
        );
        assert!(Profile::read(&Settings::default()).unwrap().get("region").is_none());
    }
}
