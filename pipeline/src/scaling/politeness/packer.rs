//! Packing of hosts into units, as the program's own packing does it, with counts in place of rows.

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
    /// All rows of a host are in units of one lane.
    pub(crate) lane: u32,
}

/// Takes pieces in the order of their places, gives units in the order of their numbers.
#[derive(Debug)]
pub(crate) struct Packer {
    unit_rows: u32,
    /// The unit of each lane that is being filled.
    lanes: Vec<Unit>,
}

impl Packer {
    /// Both are at least 1.
    pub(crate) fn new(unit_rows: u32, lanes: u32) -> Self {
        let lanes = (0..lanes.max(1)).map(|lane| Unit { lane, ..Unit::default() }).collect();
        Self { unit_rows: unit_rows.max(1), lanes }
    }

    /// A host's rows in pieces of at most `most`, which is at least 1.
    pub(crate) fn pieces(host: u64, rows: u64, most: u32) -> impl Iterator<Item = Piece> {
        let most = u64::from(most.max(1));
        (0..rows.div_ceil(most)).map(move |piece| Piece { host, rows: most.min(rows - piece * most) as u32, shared: rows > most })
    }

    /// Packs one piece. What a unit has no room for goes to the next of its lane.
    pub(crate) fn place(&mut self, mut piece: Piece, lane: u32, emit: &mut impl FnMut(Unit)) {
        let unit = &mut self.lanes[lane as usize];
        while piece.rows > 0 {
            let taken = piece.rows.min(self.unit_rows - unit.rows);
            piece.shared |= taken < piece.rows;
            unit.rows += taken;
            unit.pieces.push(Piece { rows: taken, ..piece });
            piece.rows -= taken;
            if unit.rows == self.unit_rows {
                emit(std::mem::replace(unit, Unit { lane, ..Unit::default() }));
            }
        }
    }

    /// Gives what is left.
    pub(crate) fn finish(self, emit: &mut impl FnMut(Unit)) {
        self.lanes.into_iter().filter(|unit| unit.rows > 0).for_each(emit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_cut_into_pieces_and_what_does_not_fit_goes_on_in_the_next_unit() {
        let mut units = Vec::new();
        let mut packer = Packer::new(10, 1);
        for host in [1, 2] {
            for piece in Packer::pieces(host, 9, 4) {
                packer.place(piece, 0, &mut |unit| units.push(unit));
            }
        }
        packer.finish(&mut |unit| units.push(unit));
        let held: Vec<Vec<(u64, u32)>> = units.iter().map(|unit| unit.pieces.iter().map(|p| (p.host, p.rows)).collect()).collect();
        assert_eq!(held, [vec![(1, 4), (1, 4), (1, 1), (2, 1)], vec![(2, 3), (2, 4), (2, 1)]]);
        assert!(units.iter().flat_map(|unit| &unit.pieces).all(|piece| piece.shared));
    }

    #[test]
    fn lanes_fill_apart_and_no_row_is_lost() {
        let hosts: Vec<u64> = (1..400_u64).map(|r| 3000 / r + 1).collect();
        let mut units = Vec::new();
        let mut packer = Packer::new(100, 3);
        for (host, &rows) in (1..).zip(&hosts) {
            for piece in Packer::pieces(host, rows, 5) {
                packer.place(piece, (host % 3) as u32, &mut |unit: Unit| units.push(unit));
            }
        }
        packer.finish(&mut |unit| units.push(unit));
        assert_eq!(units.iter().flat_map(|unit| &unit.pieces).map(|piece| u64::from(piece.rows)).sum::<u64>(), hosts.iter().sum::<u64>());
        for unit in &units {
            assert_eq!(unit.rows, unit.pieces.iter().map(|piece| piece.rows).sum::<u32>());
            assert!(unit.rows <= 100 && unit.pieces.iter().all(|piece| piece.host % 3 == u64::from(unit.lane)));
            // A host that a unit shares with no other has all its rows there.
            assert!(unit.pieces.iter().all(|piece| piece.shared || u64::from(piece.rows) == hosts[piece.host as usize - 1]));
        }
    }
}
