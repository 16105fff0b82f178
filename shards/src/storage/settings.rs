//! What a store is opened with: variables under the vendors' own names, and limits.

use std::collections::BTreeMap;

use super::Limits;

/// Variables and limits for opening stores. [`Settings::from_environment`] is what [`Storage::open`](super::Storage::open)
/// uses; other ways to make one are for programs and tests that must not depend on the environment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    vars: BTreeMap<String, String>,
    limits: Option<Limits>,
}

impl Settings {
    /// The process's environment. Variables that are set to nothing count as not set, as for the vendors' tools.
    pub fn from_environment() -> Self {
        const OURS: [&str; 7] = ["AWS_", "AZURE_", "GOOGLE_", "TROMMEL_STORE_", "STORAGE_EMULATOR_HOST", "CLOUDSDK_", "HOME"];
        // A variable that is no text belongs to somebody else.
        let vars = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self::of(vars.filter(|(name, _)| OURS.iter().any(|ours| name.starts_with(ours))))
    }

    /// These variables and no others.
    pub fn of<N: Into<String>, V: Into<String>>(vars: impl IntoIterator<Item = (N, V)>) -> Self {
        let vars = vars.into_iter().map(|(name, value)| (name.into(), value.into())).filter(|(_, value)| !value.is_empty()).collect();
        Self { vars, limits: None }
    }

    /// The same with these limits, whatever the variables and the host say of them.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    pub(super) fn limits_for(&self, host: &str) -> Result<Limits, super::StorageError> {
        self.limits.clone().map_or_else(|| Limits::read(self, host), Ok)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(String::as_str)
    }

    /// The first of these that is set.
    pub(super) fn first(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.get(name))
    }

    pub(super) fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|text| matches!(text.to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on"))
    }

    /// All variables whose names begin so, as the object-store crate spells them: in small letters.
    pub(super) fn with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (String, &'a str)> {
        self.vars.iter().filter(move |(name, _)| name.starts_with(prefix)).map(|(name, value)| (name.to_ascii_lowercase(), value.as_str()))
    }

    /// A digest of everything, so that stores opened alike are one store. Secrets do not show in it.
    pub(super) fn fingerprint(&self) -> String {
        blake3::hash(format!("{:?} {:?}", self.vars, self.limits).as_bytes()).to_hex().to_string()
    }

    /// `NAME (set)` or `NAME (not set)` for each, for messages. Values are not shown.
    pub(super) fn looked(&self, names: &[&str]) -> String {
        let one = |name: &&str| format!("{name} ({})", if self.get(name).is_some() { "set" } else { "not set" });
        names.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_variables_holds_no_secret() {
        let settings = Settings::of([("AWS_SECRET_ACCESS_KEY", "very secret"), ("AWS_PROFILE", "")]);
        assert_eq!(settings.looked(&["AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"]), "AWS_SECRET_ACCESS_KEY (set), AWS_PROFILE (not set)");
        assert!(!settings.fingerprint().contains("secret"));
        assert_ne!(settings.fingerprint(), Settings::default().fingerprint());
    }
}
