//! The layers of a transformer as single operations with a derivative.
//!
//! Candle composes a norm or a softmax for training from a dozen passes over memory, which for a model of this size takes
//! longer than the matrix multiplications. Each operation here goes over its rows once, in one thread and in a fixed order.

use candle_core::{CpuStorage, CustomOp1, CustomOp3, Layout, Result, Shape, Storage, Tensor, bail};

/// `eps` of every norm, the default of CLIP's config.
pub(crate) const NORM_EPS: f64 = 1e-5;

/// `x · wᵀ + b` for `x` of `[n, in]`, `w` of `[out, in]` and `b` of `[out]`.
pub(crate) fn linear(x: &Tensor, w: &Tensor, b: &Tensor) -> Result<Tensor> {
    x.apply_op3(w, b, Linear)
}

/// LayerNorm over the last dimension.
pub(crate) fn layer_norm(x: &Tensor, w: &Tensor, b: &Tensor) -> Result<Tensor> {
    x.apply_op3(w, b, LayerNorm)
}

/// `x · σ(1.702 x)`, the activation that CLIP's config calls `quick_gelu`.
pub(crate) fn quick_gelu(x: &Tensor) -> Result<Tensor> {
    x.apply_op1(QuickGelu)
}

/// Softmax over the last dimension of `scale · x`. With `causal`, the rows belong to positions 0, 1, .. of a square and see
/// only what stands before them.
pub(crate) fn attention_weights(x: &Tensor, scale: f32, causal: bool) -> Result<Tensor> {
    x.apply_op1(AttentionWeights { scale, causal })
}

struct Linear;
struct LayerNorm;
struct QuickGelu;
struct AttentionWeights {
    scale: f32,
    causal: bool,
}

fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&values[start..end]),
        _ => bail!("expected a contiguous tensor of f32"),
    }
}

/// Looks at the numbers of a tensor without a copy, where it is contiguous.
pub(crate) fn read<T>(tensor: &Tensor, look: impl FnOnce(&[f32]) -> Result<T>) -> Result<T> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => look(values(storage, layout)?),
        _ => bail!("expected a tensor on the CPU"),
    }
}

/// A sum in eight lanes, which the compiler can keep in registers.
fn sum_of(len: usize, term: impl Fn(usize) -> f32) -> f32 {
    let mut lanes = [0f32; 8];
    let whole = len / 8 * 8;
    for start in (0..whole).step_by(8) {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += term(start + lane);
        }
    }
    lanes.iter().sum::<f32>() + (whole..len).map(term).sum::<f32>()
}

fn moments(row: &[f32]) -> (f32, f32) {
    let count = row.len() as f32;
    let mean = sum_of(row.len(), |i| row[i]) / count;
    let variance = sum_of(row.len(), |i| (row[i] - mean) * (row[i] - mean)) / count;
    (mean, 1.0 / (variance + NORM_EPS as f32).sqrt())
}

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        w: &CpuStorage,
        wl: &Layout,
        b: &CpuStorage,
        bl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        use candle_core::backend::BackendStorage;
        let ((n, inputs), (outputs, _)) = (xl.shape().dims2()?, wl.shape().dims2()?);
        let mut out = x.matmul(w, (1, n, outputs, inputs), xl, &wl.transpose(0, 1)?)?;
        let bias = values(b, bl)?;
        let CpuStorage::F32(numbers) = &mut out else { bail!("expected f32") };
        for row in numbers.chunks_exact_mut(outputs) {
            row.iter_mut().zip(bias).for_each(|(y, b)| *y += b);
        }
        Ok((out, (n, outputs).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let outputs = grad.dim(1)?;
        let bias = read(&grad, |grad| {
            let mut sums = vec![0f32; outputs];
            for row in grad.chunks_exact(outputs) {
                sums.iter_mut().zip(row).for_each(|(sum, g)| *sum += g);
            }
            Ok(sums)
        })?;
        let bias = Tensor::from_vec(bias, outputs, grad.device())?;
        Ok((Some(grad.matmul(w)?), Some(grad.t()?.matmul(x)?), Some(bias)))
    }
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        w: &CpuStorage,
        wl: &Layout,
        b: &CpuStorage,
        bl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, w, b) = (values(x, xl)?, values(w, wl)?, values(b, bl)?);
        let mut out = vec![0f32; x.len()];
        for (row, out) in x.chunks_exact(w.len()).zip(out.chunks_exact_mut(w.len())) {
            let (mean, scale) = moments(row);
            for (i, y) in out.iter_mut().enumerate() {
                *y = (row[i] - mean) * scale * w[i] + b[i];
            }
        }
        Ok((CpuStorage::F32(out), xl.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let width = w.dim(0)?;
        let (dx, dw, db) = read(x, |x| {
            read(w, |w| {
                read(grad, |grad| {
                    let (mut dx, mut dw, mut db) = (vec![0f32; x.len()], vec![0f32; width], vec![0f32; width]);
                    for ((row, g), dx) in x.chunks_exact(width).zip(grad.chunks_exact(width)).zip(dx.chunks_exact_mut(width)) {
                        let (mean, scale) = moments(row);
                        let unit = |i: usize| (row[i] - mean) * scale;
                        let mean_grad = sum_of(width, |i| g[i] * w[i]) / width as f32;
                        let mean_product = sum_of(width, |i| g[i] * w[i] * unit(i)) / width as f32;
                        for i in 0..width {
                            dx[i] = scale * (g[i] * w[i] - mean_grad - unit(i) * mean_product);
                            dw[i] += g[i] * unit(i);
                            db[i] += g[i];
                        }
                    }
                    Ok((dx, dw, db))
                })
            })
        })?;
        let device = x.device();
        Ok((
            Some(Tensor::from_vec(dx, x.shape(), device)?),
            Some(Tensor::from_vec(dw, width, device)?),
            Some(Tensor::from_vec(db, width, device)?),
        ))
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

impl CustomOp1 for QuickGelu {
    fn name(&self) -> &'static str {
        "quick-gelu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let out = values(x, layout)?.iter().map(|x| x * sigmoid(1.702 * x)).collect();
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let slope = |x: f32| {
            let s = sigmoid(1.702 * x);
            s + 1.702 * x * s * (1.0 - s)
        };
        let dx: Vec<f32> = read(x, |x| read(grad, |grad| Ok(x.iter().zip(grad).map(|(x, g)| g * slope(*x)).collect())))?;
        Tensor::from_vec(dx, x.shape(), x.device()).map(Some)
    }
}

impl CustomOp1 for AttentionWeights {
    fn name(&self) -> &'static str {
        "attention-weights"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let width = layout.shape().dims().last().copied().unwrap_or(1);
        let x = values(x, layout)?;
        let mut out = vec![0f32; x.len()];
        for (at, (row, out)) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)).enumerate() {
            let seen = if self.causal { at % width + 1 } else { width };
            let top = row[..seen].iter().copied().fold(f32::NEG_INFINITY, f32::max);
            out[..seen].iter_mut().zip(row).for_each(|(y, x)| *y = ((x - top) * self.scale).exp());
            let share = 1.0 / out[..seen].iter().sum::<f32>();
            out[..seen].iter_mut().for_each(|y| *y *= share);
        }
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, out: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let width = x.dims().last().copied().unwrap_or(1);
        let dx = read(out, |out| {
            read(grad, |grad| {
                let mut dx = vec![0f32; out.len()];
                for ((y, g), dx) in out.chunks_exact(width).zip(grad.chunks_exact(width)).zip(dx.chunks_exact_mut(width)) {
                    let along = sum_of(width, |i| y[i] * g[i]);
                    for i in 0..width {
                        dx[i] = self.scale * y[i] * (g[i] - along);
                    }
                }
                Ok(dx)
            })
        })?;
        Tensor::from_vec(dx, x.shape(), x.device()).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    fn var(shape: &[usize]) -> Var {
        let count = shape.iter().product::<usize>();
        let numbers: Vec<f32> = (0..count).map(|i| ((i * 37 + 11) % 101) as f32 / 50.0 - 1.0).collect();
        Var::from_tensor(&Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap()).unwrap()
    }

    /// Every number of every input is moved a little; the loss has to move as the derivative says.
    fn check(inputs: &[Var], op: impl Fn(&[Var]) -> Tensor) {
        let loss = |inputs: &[Var]| {
            let out = op(inputs).flatten_all().unwrap();
            let weights = var(&[out.elem_count()]).cos().unwrap();
            (out * weights).unwrap().sum_all().unwrap()
        };
        let grads = loss(inputs).backward().unwrap();
        for input in inputs {
            let grad = grads.get(input).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let start = input.as_tensor().copy().unwrap();
            let numbers = start.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            for (i, grad) in grad.iter().enumerate() {
                let moved = |by: f32| {
                    let mut numbers = numbers.clone();
                    numbers[i] += by;
                    input.set(&Tensor::from_vec(numbers, input.shape(), &Device::Cpu).unwrap()).unwrap();
                    loss(inputs).to_scalar::<f32>().unwrap()
                };
                let slope = (moved(5e-3) - moved(-5e-3)) / 1e-2;
                input.set(&start).unwrap();
                assert!((slope - grad).abs() < 5e-3 + 5e-3 * grad.abs(), "{slope} {grad}");
            }
        }
    }

    #[test]
    fn derivatives_are_those_of_the_forward_pass() {
        check(&[var(&[3, 5]), var(&[4, 5]), var(&[4])], |v| linear(&v[0], &v[1], &v[2]).unwrap());
        check(&[var(&[3, 12]), var(&[12]), var(&[12])], |v| layer_norm(&v[0], &v[1], &v[2]).unwrap());
        check(&[var(&[3, 12])], |v| quick_gelu(&v[0]).unwrap());
        check(&[var(&[2, 5, 5])], |v| attention_weights(&v[0], 0.7, false).unwrap());
        check(&[var(&[2, 5, 5])], |v| attention_weights(&v[0], 0.7, true).unwrap());
    }
}
