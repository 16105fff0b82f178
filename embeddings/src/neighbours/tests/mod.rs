mod decide;
mod search;

use crate::clusters::draw::Draws;

/// Normal deviates that belong to their numbers.
pub(super) fn normal(seed: u64, at: u64) -> f32 {
    let (a, b) = (Draws::new(seed, "normal", 0).unit(at), Draws::new(seed, "normal", 1).unit(at));
    ((-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()) as f32
}

/// `rows` vectors of `dim` components, one in `copies` of them near another.
pub(super) fn made(seed: u64, rows: usize, dim: usize, copies: usize) -> Vec<f32> {
    let mut data: Vec<f32> = (0..rows * dim).map(|at| normal(seed, at as u64)).collect();
    for row in (copies..rows).step_by(copies) {
        let from = row / copies;
        for column in 0..dim {
            data[row * dim + column] = data[from * dim + column] + 0.4 * normal(seed + 1, (row * dim + column) as u64);
        }
    }
    data
}

/// The cosine in double precision, the slow way.
pub(super) fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
