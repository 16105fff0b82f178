use super::elementwise;
use super::kernels::{Finish, Kernels};
use super::matrix::{Matrix, Packed, Target, product};
use crate::checkpoint::config::Activation;

/// Numbers between -1 and 1 without a pattern.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).max(1);
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as f32 / u32::MAX as f32 * 2.0 - 1.0
        })
        .collect()
}

fn matrix(rows: usize, columns: usize, seed: u32) -> Matrix {
    let mut matrix = Matrix::default();
    matrix.shape(rows, columns);
    // What stands between and behind the rows must not matter.
    matrix.values_mut().fill(f32::NAN);
    for (row, values) in numbers(rows * columns, seed).chunks_exact(columns).enumerate() {
        matrix.row_mut(row).copy_from_slice(values);
    }
    matrix
}

fn multiply(kernels: &Kernels, a: &Matrix, b: &Packed, bias: Option<&[f32]>, add: bool) -> Vec<Vec<f32>> {
    let mut out = matrix(a.rows(), b.n, 3);
    let ld = out.ld;
    let target = Target { out: out.values_mut(), ld, bias, activation: None, add };
    product(kernels, a.all(), b, 0..b.n, target);
    (0..a.rows()).map(|row| out.row(row).to_vec()).collect()
}

#[test]
fn products_of_all_shapes_equal_sums_in_double_precision() {
    for kernels in Kernels::available() {
        for (rows, n, k) in [(1, 1, 1), (2, 5, 3), (7, 33, 16), (12, 32, 64), (13, 31, 100), (200, 70, 1600), (29, 64, 769)] {
            let (a, weight, bias) = (matrix(rows, k, 1), numbers(n * k, 2), numbers(n, 4));
            let packed = Packed::of_rows(kernels, &weight, n, k);
            for add in [false, true] {
                let before = matrix(rows, n, 3);
                let ours = multiply(kernels, &a, &packed, Some(&bias), add);
                for (row, ours) in ours.iter().enumerate() {
                    for (column, &ours) in ours.iter().enumerate() {
                        let dot = |(&x, &w): (&f32, &f32)| f64::from(x) * f64::from(w);
                        let mut exact: f64 = a.row(row).iter().zip(&weight[column * k..]).map(dot).sum();
                        exact += f64::from(bias[column]) + if add { f64::from(before.row(row)[column]) } else { 0.0 };
                        let difference = (f64::from(ours) - exact).abs();
                        assert!(difference < 1e-5 + 6e-8 * k as f64, "{} {rows} {n} {k}: {difference}", kernels.name);
                    }
                }
            }
        }
    }
}

#[test]
fn a_row_of_a_product_does_not_depend_on_the_others() {
    for kernels in Kernels::available() {
        let (all, weight) = (matrix(205, 800, 1), numbers(40 * 800, 2));
        let packed = Packed::of_rows(kernels, &weight, 40, 800);
        let together = multiply(kernels, &all, &packed, None, false);
        for row in [0, 1, 11, 12, 191, 192, 204] {
            let mut one = Matrix::default();
            one.shape(1, 800);
            one.row_mut(0).copy_from_slice(all.row(row));
            assert_eq!(multiply(kernels, &one, &packed, None, false)[0], together[row], "{}", kernels.name);
        }
    }
}

#[test]
fn all_vector_instructions_give_the_same_bits() {
    let fused: Vec<_> = Kernels::available().into_iter().filter(|kernels| kernels.name != "portable").collect();
    let (a, weight) = (matrix(14, 900, 1), numbers(50 * 900, 2));
    let results: Vec<_> = fused
        .iter()
        .map(|kernels| {
            let products = multiply(kernels, &a, &Packed::of_rows(kernels, &weight, 50, 900), None, false);
            let (mut normed, mut soft) = (vec![0.0; 900], a.row(1).to_vec());
            // SAFETY: these kernels are available.
            unsafe {
                (kernels.layer_norm)(a.row(0), &mut normed, &weight[..900], &weight[900..1800], 1e-5);
                (kernels.softmax)(&mut soft);
            }
            (products, normed, soft)
        })
        .collect();
    assert!(results.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn packing_transposed_and_not_gives_the_products_of_attention() {
    for kernels in Kernels::available() {
        let (queries, keys) = (matrix(9, 40, 1), matrix(35, 40, 2));
        let mut packed = Packed::default();
        packed.pack_transposed(kernels, keys.view(0..35, 8..40));
        let rows: Vec<f32> = (0..35).flat_map(|row| keys.row(row)[8..40].to_vec()).collect();
        let mut narrow = Matrix::default();
        narrow.shape(9, 32);
        for row in 0..9 {
            narrow.row_mut(row).copy_from_slice(&queries.row(row)[8..40]);
        }
        let expected = multiply(kernels, &narrow, &Packed::of_rows(kernels, &rows, 35, 32), None, false);
        assert_eq!(multiply(kernels, &narrow, &packed, None, false), expected);
        let weights = matrix(6, 35, 5);
        packed.pack(kernels, keys.view(0..35, 8..40));
        for (row, ours) in multiply(kernels, &weights, &packed, None, false).iter().enumerate() {
            for (column, ours) in ours.iter().enumerate() {
                let exact: f32 = (0..35).map(|token| weights.row(row)[token] * keys.row(token)[8 + column]).sum();
                assert!((ours - exact).abs() < 1e-5);
            }
        }
    }
}

/// `erf` by its Taylor series, in f64.
fn erf(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * std::f64::consts::FRAC_2_SQRT_PI
}

#[test]
fn activations_are_exact_to_a_millionth() {
    for step in -9000..=9000 {
        let x = step as f32 / 1000.0;
        let exact = f64::from(x);
        let check = |name: &str, ours: f32, theirs: f64| {
            let difference = (f64::from(ours) - theirs).abs();
            assert!(difference <= 1e-6 * exact.abs().max(1.0), "{name}({x}): {ours}, not {theirs}");
        };
        let clamped = exact.clamp(-5.5, 5.5);
        let distribution = (1.0 + erf(clamped / std::f64::consts::SQRT_2)) / 2.0;
        let cubic = (2.0 / std::f64::consts::PI).sqrt() * (exact + 0.044_715 * exact.powi(3));
        for fused in [false, true] {
            let pick = |yes: fn(f32) -> f32, no: fn(f32) -> f32| if fused { yes(x) } else { no(x) };
            check("gelu", pick(elementwise::gelu::<true>, elementwise::gelu::<false>), exact * distribution);
            let quick = pick(elementwise::quick_gelu::<true>, elementwise::quick_gelu::<false>);
            check("quick_gelu", quick, exact / (1.0 + (-1.702 * exact).exp()));
            let tanh = pick(elementwise::gelu_tanh::<true>, elementwise::gelu_tanh::<false>);
            check("gelu_tanh", tanh, 0.5 * exact * (1.0 + cubic.tanh()));
            let exp = pick(elementwise::exp::<true>, elementwise::exp::<false>);
            assert!((f64::from(exp) / exact.exp() - 1.0).abs() < 2e-7 * 1.2, "exp({x})");
        }
    }
    assert!(elementwise::exp::<true>(f32::NAN).is_nan() && elementwise::gelu::<true>(f32::NAN).is_nan());
    assert!(elementwise::exp::<true>(-1000.0) < 1e-37 && elementwise::exp::<true>(1000.0).is_finite());
    assert!(elementwise::quick_gelu::<true>(-1000.0).abs() < 1e-30);
}

#[test]
fn softmax_and_layer_norm_take_every_value() {
    for kernels in Kernels::available() {
        for width in [1, 5, 16, 33, 197] {
            let row: Vec<f32> = numbers(width, 7).iter().map(|x| x * 20.0).collect();
            let mut soft = row.clone();
            let (ones, zeros, mut normed) = (vec![1.0; width], vec![0.5; width], vec![0.0; width]);
            // SAFETY: these kernels are available.
            unsafe {
                (kernels.softmax)(&mut soft);
                (kernels.layer_norm)(&row, &mut normed, &ones, &zeros, 1e-6);
            }
            let sum: f64 = row.iter().map(|&x| f64::from(x).exp()).sum();
            let mean = row.iter().map(|&x| f64::from(x)).sum::<f64>() / width as f64;
            let variance = row.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / width as f64;
            for (index, &x) in row.iter().enumerate() {
                assert!((f64::from(soft[index]) - f64::from(x).exp() / sum).abs() < 1e-6);
                let exact = (f64::from(x) - mean) / (variance + 1e-6).sqrt() + 0.5;
                assert!((f64::from(normed[index]) - exact).abs() < 1e-5);
            }
        }
    }
}

#[test]
fn a_tile_is_finished_with_bias_and_activation() {
    for kernels in Kernels::available() {
        let (tile, bias) = (numbers(12 * 32, 1), numbers(32, 2));
        let mut out = vec![0.25; 3 * 40];
        let how = Finish { bias: Some(&bias), activation: Some(Activation::QuickGelu), add: true };
        // SAFETY: these kernels are available.
        unsafe { (kernels.finish)(&tile, 32, &mut out, 40, 3, 30, how) };
        for row in 0..3 {
            for column in 0..30 {
                let x = 0.25 + tile[row * 32 + column] + bias[column];
                let exact = x / (1.0 + (-1.702 * x).exp());
                assert!((out[row * 40 + column] - exact).abs() < 1e-6);
            }
            assert!(out[row * 40 + 30..].iter().take(10).all(|&x| x == 0.25));
        }
    }
}
