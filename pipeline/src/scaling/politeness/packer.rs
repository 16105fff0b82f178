//! Packing of hosts into units, as the program's own packing does it, with counts in place of rows.

/// Units that are being filled at a time, as in the program.
const OPEN_UNITS: usize = 16;

/// Rows of one host in a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The host, by rank from 1.
    pub(crate) host: u64,
    /// Rows.
    pub(crate) rows: u32,
    /// The host has pieces beside this one.
    pub(crate) shared: bool,
}

/// A unit of work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) rows: u32,
}

impl Unit {
    fn push(&mut self, piece: Piece) {
        self.rows += piece.rows;
        self.pieces.push(piece);
    }
}

/// Takes hosts in the order of their hash, gives units in the order of their numbers.
#[derive(Debug)]
pub(crate) struct Packer {
    unit_rows: u32,
    host_rows: u32,
    open: Vec<Unit>,
}

impl Packer {
    /// `host_rows` is cut to `unit_rows`; both are at least 1.
    pub(crate) fn new(unit_rows: u32, host_rows: u32) -> Self {
        let unit_rows = unit_rows.max(1);
        Self { unit_rows, host_rows: host_rows.clamp(1, unit_rows), open: Vec::new() }
    }

    /// Packs all rows of one host.
    pub(crate) fn host(&mut self, host: u64, rows: u64, emit: &mut impl FnMut(Unit)) {
        for piece in self.pieces(host, rows) {
            self.place(piece, emit);
        }
    }

    /// A host's rows in pieces.
    pub(crate) fn pieces(&self, host: u64, rows: u64) -> impl Iterator<Item = Piece> + use<> {
        let most = u64::from(self.host_rows);
        (0..rows.div_ceil(most)).map(move |piece| Piece { host, rows: most.min(rows - piece * most) as u32, shared: rows > most })
    }

    /// Packs one piece.
    pub(crate) fn place(&mut self, piece: Piece, emit: &mut impl FnMut(Unit)) {
        let room = self.unit_rows - piece.rows;
        let fits = |unit: &Unit| unit.rows <= room;
        let holds = |unit: &Unit| unit.pieces.last().is_some_and(|last| last.host == piece.host);
        let index = match self.open.iter().position(|unit| fits(unit) && !holds(unit)) {
            Some(index) => index,
            None if self.open.len() < OPEN_UNITS => {
                self.open.push(Unit::default());
                self.open.len() - 1
            }
            None => {
                let room = self.open.iter().enumerate().filter(|(_, unit)| fits(unit));
                match room.min_by_key(|(index, unit)| (unit.rows, *index)) {
                    Some((index, _)) => index,
                    None => {
                        let fullest = (0..self.open.len()).max_by_key(|&index| (self.open[index].rows, usize::MAX - index)).unwrap_or(0);
                        emit(self.open.remove(fullest));
                        self.open.push(Unit::default());
                        self.open.len() - 1
                    }
                }
            }
        };
        self.open[index].push(piece);
        if self.open[index].rows == self.unit_rows {
            emit(self.open.remove(index));
        }
    }

    /// Gives what is left, joined first fit.
    pub(crate) fn finish(self, emit: &mut impl FnMut(Unit)) {
        let mut joined: Vec<Unit> = Vec::new();
        for unit in self.open {
            match joined.iter_mut().find(|held| held.rows + unit.rows <= self.unit_rows) {
                Some(held) => {
                    held.rows += unit.rows;
                    held.pieces.extend(unit.pieces);
                }
                None => joined.push(unit),
            }
        }
        joined.into_iter().for_each(emit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(unit_rows: u32, host_rows: u32, hosts: &[u64]) -> Vec<Vec<(u64, u32)>> {
        let mut units = Vec::new();
        let mut packer = Packer::new(unit_rows, host_rows);
        let mut emit = |unit: Unit| {
            assert_eq!(unit.rows, unit.pieces.iter().map(|piece| piece.rows).sum::<u32>());
            units.push(unit.pieces.iter().map(|piece| (piece.host, piece.rows)).collect());
        };
        for (host, &rows) in (1..).zip(hosts) {
            packer.host(host, rows, &mut emit);
        }
        packer.finish(&mut emit);
        units
    }

    #[test]
    fn a_hosts_pieces_go_to_different_units_as_long_as_there_is_room() {
        // Five pieces of 2, and five other hosts of 2: five units of 10 are opened, then filled from the first on and joined.
        let units = pack(10, 2, &[10, 2, 2, 2, 2, 2]);
        assert_eq!(units[0], [(1, 2), (2, 2), (3, 2), (4, 2), (5, 2)]);
        assert_eq!(units[1..].concat(), [(1, 2), (6, 2), (1, 2), (1, 2), (1, 2)]);
    }

    #[test]
    fn a_host_without_others_fills_units_alone() {
        // 2,000 rows of one host in units of 100: twenty units' worth, cut into one more by joining first fit.
        let units = pack(100, 5, &[2000]);
        assert_eq!(units.len(), 21);
        assert!(units.iter().flatten().all(|&(host, _)| host == 1));
    }

    #[test]
    fn no_row_is_lost_whatever_the_hosts() {
        let hosts: Vec<u64> = (1..400_u64).map(|r| 3000 / r + 1).collect();
        let units = pack(100, 5, &hosts);
        assert_eq!(units.iter().flatten().map(|&(_, rows)| u64::from(rows)).sum::<u64>(), hosts.iter().sum::<u64>());
        assert!(units.iter().all(|unit| unit.iter().map(|piece| piece.1).sum::<u32>() <= 100));
    }
}
