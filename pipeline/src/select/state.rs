//! What has become of each row so far, kept on disk between two scans.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::error::Result;

/// A row that is still in.
pub(super) const IN: u8 = u8::MAX;
/// A row that is not part of the input.
pub(super) const ABSENT: u8 = u8::MAX - 1;

/// The rows of one piece.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    /// The stage that took the row out, or [`IN`].
    pub(super) out_at: Vec<u8>,
    /// How often a row is taken. Empty: once each.
    pub(super) copies: Vec<u32>,
    /// Weights that stages gave, one list per weight. Empty: none yet.
    pub(super) weights: Vec<Vec<f32>>,
}

impl State {
    fn fresh(rows: usize) -> Self {
        Self { out_at: vec![IN; rows], copies: Vec::new(), weights: Vec::new() }
    }

    pub(super) fn copies_of(&self, row: usize) -> u32 {
        self.copies.get(row).copied().unwrap_or(1)
    }
}

/// The states of all pieces, a file each: memory holds those of the pieces in hand.
#[derive(Debug)]
pub(super) struct States {
    folder: PathBuf,
}

impl States {
    pub(super) fn new(spill: &Path) -> Result<Self> {
        let folder = spill.join("states");
        std::fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    fn path(&self, piece: usize) -> PathBuf {
        self.folder.join(format!("{piece}.state"))
    }

    pub(super) fn load(&self, piece: usize, rows: usize) -> Result<State> {
        let mut file = match File::open(self.path(piece)) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(State::fresh(rows)),
            Err(error) => return Err(error.into()),
        };
        let mut head = [0; 2];
        file.read_exact(&mut head)?;
        let mut state = State { out_at: vec![0; rows], copies: Vec::new(), weights: Vec::new() };
        file.read_exact(&mut state.out_at)?;
        let mut words = vec![0_u8; rows * 4];
        if head[0] == 1 {
            file.read_exact(&mut words)?;
            state.copies = words.as_chunks().0.iter().map(|&four| u32::from_le_bytes(four)).collect();
        }
        for _ in 0..head[1] {
            file.read_exact(&mut words)?;
            state.weights.push(words.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)).collect());
        }
        Ok(state)
    }

    pub(super) fn store(&self, piece: usize, state: &State) -> Result<()> {
        let mut bytes = vec![u8::from(!state.copies.is_empty()), state.weights.len() as u8];
        bytes.extend(&state.out_at);
        bytes.extend(state.copies.iter().flat_map(|copies| copies.to_le_bytes()));
        bytes.extend(state.weights.iter().flatten().flat_map(|weight| weight.to_le_bytes()));
        File::create(self.path(piece))?.write_all(&bytes)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_comes_back_as_it_was_stored() {
        let folder = tempfile::tempdir().unwrap();
        let states = States::new(folder.path()).unwrap();
        assert_eq!(states.load(0, 3).unwrap().out_at, [IN; 3]);
        let state = State { out_at: vec![IN, 2, IN], copies: vec![1, 0, 3], weights: vec![vec![0.5, 1.0, 2.5]] };
        states.store(0, &state).unwrap();
        let back = states.load(0, 3).unwrap();
        assert_eq!((back.out_at, back.copies, back.weights), (state.out_at, state.copies, state.weights));
    }
}
