//! Ids of nodes. They are read as IRIs: no spaces, no prefix, no two alike.

use std::collections::HashSet;

#[derive(Debug, Default)]
pub(super) struct Ids {
    taken: HashSet<String>,
}

impl Ids {
    /// An id for a node of this name, below `parent` if there is one (`pairs/uid`).
    pub(super) fn take(&mut self, parent: Option<&str>, name: &str) -> String {
        let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') { c } else { '-' }).collect();
        // A name of dots alone would be a step in a path.
        let plain = if plain.bytes().all(|c| c == b'.') { format!("{plain}-") } else { plain };
        let wanted = parent.map_or_else(|| plain.clone(), |parent| format!("{parent}/{plain}"));
        let mut id = wanted.clone();
        let mut more = 2;
        while !self.taken.insert(id.clone()) {
            id = format!("{wanted}-{more}");
            more += 1;
        }
        id
    }
}
