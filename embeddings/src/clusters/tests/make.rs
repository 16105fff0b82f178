//! Generated vectors.

use crate::clusters::draw::Draws;

/// Normal deviates that belong to their numbers.
pub(super) struct Normal(pub(super) u64);

impl Normal {
    pub(super) fn at(&self, row: usize, column: usize) -> f32 {
        let key = (row as u64) << 20 | column as u64;
        let (a, b) = (Draws::new(self.0, "normal", 0).unit(key), Draws::new(self.0, "normal", 1).unit(key));
        ((-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()) as f32
    }

    /// `rows` vectors of `dim` components.
    pub(super) fn vectors(&self, rows: usize, dim: usize) -> Vec<f32> {
        (0..rows * dim).map(|at| self.at(at / dim, at % dim)).collect()
    }

    /// Vectors around `centers` centres, `noise` apart from them, and the centre of each.
    pub(super) fn mixture(&self, rows: usize, dim: usize, centers: usize, noise: f32) -> (Vec<f32>, Vec<usize>) {
        let middle = Normal(self.0 + 1).vectors(centers, dim);
        let of = |row: usize| Draws::new(self.0, "center", 0).bits(row as u64) as usize % centers;
        let data = (0..rows * dim).map(|at| middle[of(at / dim) * dim + at % dim] + noise * self.at(at / dim, at % dim));
        (data.collect(), (0..rows).map(of).collect())
    }
}

pub(super) fn unit(data: &mut [f32], dim: usize) {
    for row in data.chunks_exact_mut(dim) {
        let length = row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        row.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
    }
}
