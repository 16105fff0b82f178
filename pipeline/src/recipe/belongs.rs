//! Keys that mean something to one way of a stage only.

use super::choosing::{Wrong, wrong};

/// A key that belongs to one way.
pub(super) struct Owned {
    /// The key in a recipe.
    pub(super) key: &'static str,
    /// The flag.
    pub(super) flag: &'static str,
    /// The way that it belongs to.
    pub(super) of: &'static str,
    /// Whether its value is another than the default.
    pub(super) changed: bool,
}

/// Refuses keys of another way than the `chosen` one, which they would not change: `chooser` is the key that chooses. A key is given when the
/// recipe has it (`written`), or when it is not what it is by default; a flag that repeats the default cannot be told from none.
///
/// # Errors
/// The first such key.
pub(super) fn belongs(chooser: &str, chosen: &str, keys: &[Owned], written: &dyn Fn(&str) -> bool) -> Result<(), Wrong> {
    match keys.iter().find(|owned| owned.of != chosen && (owned.changed || written(owned.key))) {
        Some(Owned { key, flag, of, .. }) => {
            wrong(key, format!("`{key}` (`{flag}`) belongs to `{chooser} = \"{of}\"`, and changes nothing with `{chooser} = \"{chosen}\"`"))
        }
        None => Ok(()),
    }
}
