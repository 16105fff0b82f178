//! Vectors that can be compared.

use thiserror::Error;

/// A vector that cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VectorError {
    /// All components are zero, or there are none.
    #[error("a zero vector has no direction")]
    Zero,
    /// A component is NaN or infinite.
    #[error("component {0} is not finite")]
    NotFinite(usize),
    /// Two vectors of different length.
    #[error("vectors of {0} and {1} components cannot be compared")]
    Lengths(usize, usize),
}

/// Scales a vector to length 1, in place. Returns the length that it had.
///
/// # Errors
/// [`VectorError::Zero`] and [`VectorError::NotFinite`]; the vector is unchanged then.
pub fn normalize(vector: &mut [f32]) -> Result<f32, VectorError> {
    if let Some(at) = vector.iter().position(|component| !component.is_finite()) {
        return Err(VectorError::NotFinite(at));
    }
    // In f64: squares of large f32 components overflow.
    let length = vector.iter().map(|&component| f64::from(component).powi(2)).sum::<f64>().sqrt();
    if length == 0.0 {
        return Err(VectorError::Zero);
    }
    for component in vector.iter_mut() {
        *component = (f64::from(*component) / length) as f32;
    }
    Ok(length as f32)
}

/// Inner product; of two vectors of length 1 it is the cosine, in -1 to 1.
///
/// # Errors
/// [`VectorError::Lengths`] when the vectors differ in length.
pub fn dot(a: &[f32], b: &[f32]) -> Result<f32, VectorError> {
    if a.len() != b.len() {
        return Err(VectorError::Lengths(a.len(), b.len()));
    }
    // Eight sums side by side let the compiler use vector registers.
    let (mut sums, split) = ([0.0_f32; 8], a.len() - a.len() % 8);
    for (a, b) in a[..split].chunks_exact(8).zip(b[..split].chunks_exact(8)) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a[split..].iter().zip(&b[split..]).map(|(a, b)| a * b).sum();
    Ok(sums.iter().sum::<f32>() + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_without_direction_is_refused_and_unchanged() {
        assert_eq!(normalize(&mut [0.0, 0.0]), Err(VectorError::Zero));
        assert_eq!(normalize(&mut []), Err(VectorError::Zero));
        let mut vector = [1.0, f32::NAN];
        assert_eq!(normalize(&mut vector), Err(VectorError::NotFinite(1)));
        assert_eq!(vector[0], 1.0);
    }

    #[test]
    fn large_components_do_not_overflow() {
        let mut vector = [3e30_f32, 4e30];
        normalize(&mut vector).unwrap();
        assert!((vector[0] - 0.6).abs() < 1e-6 && (vector[1] - 0.8).abs() < 1e-6);
    }

    #[test]
    fn the_inner_product_takes_every_component() {
        let a: Vec<f32> = (0..19).map(|i| i as f32).collect();
        // The sum of the squares of 0..=18: 18 * 19 * 37 / 6.
        assert_eq!(dot(&a, &a), Ok(2109.0));
        assert_eq!(dot(&a, &a[..3]), Err(VectorError::Lengths(19, 3)));
    }
}
