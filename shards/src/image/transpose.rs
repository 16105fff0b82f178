//! Exchange of rows and columns of a plane.

/// Side of the blocks in which samples are exchanged: one row of a block is one number.
const SIDE: usize = 8;

/// Writes column `x` of `from`, whose rows have `width` samples, as row `x` of `to`, whose rows have
/// `stride` samples. What is left of those rows stays as it is.
pub(crate) fn transpose(from: &[u8], width: usize, to: &mut [u8], stride: usize) {
    if width == 0 || stride == 0 {
        return;
    }
    let height = from.len() / width;
    let whole = height - height % SIDE;
    for (x, rows) in to.chunks_mut(stride * SIDE).take(width.div_ceil(SIDE)).enumerate() {
        let x = x * SIDE;
        if x + SIDE > width {
            single(from, width, x..width, 0..height, rows, stride);
            continue;
        }
        for y in (0..whole).step_by(SIDE) {
            let block: [u64; SIDE] = std::array::from_fn(|row| {
                let mut eight = [0; SIDE];
                eight.copy_from_slice(&from[(y + row) * width + x..][..SIDE]);
                u64::from_le_bytes(eight)
            });
            for (row, eight) in exchange(block).into_iter().enumerate() {
                rows[row * stride + y..][..SIDE].copy_from_slice(&eight.to_le_bytes());
            }
        }
        single(from, width, x..x + SIDE, whole..height, rows, stride);
    }
}

fn single(from: &[u8], width: usize, columns: std::ops::Range<usize>, rows: std::ops::Range<usize>, to: &mut [u8], stride: usize) {
    for y in rows {
        for (row, x) in columns.clone().enumerate() {
            to[row * stride + y] = from[y * width + x];
        }
    }
}

/// Exchanges quarters of the block, then quarters of the quarters, then single bytes.
fn exchange(mut block: [u64; SIDE]) -> [u64; SIDE] {
    let mut swap = |a: usize, b: usize, shift: u32, mask: u64| {
        let change = ((block[a] >> shift) ^ block[b]) & mask;
        block[b] ^= change;
        block[a] ^= change << shift;
    };
    for a in 0..4 {
        swap(a, a + 4, 32, 0x0000_0000_FFFF_FFFF);
    }
    for a in [0, 1, 4, 5] {
        swap(a, a + 2, 16, 0x0000_FFFF_0000_FFFF);
    }
    for a in [0, 2, 4, 6] {
        swap(a, a + 1, 8, 0x00FF_00FF_00FF_00FF);
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_changes_its_column_for_its_row() {
        for (width, height) in [(8, 8), (1, 1), (7, 9), (16, 3), (19, 25), (24, 40)] {
            let from: Vec<u8> = (0..width * height).map(|v| (v * 7 % 251) as u8).collect();
            let stride = height + 2;
            let mut to = vec![255; width * stride];
            transpose(&from, width, &mut to, stride);
            for x in 0..width {
                for y in 0..stride {
                    let wanted = if y < height { from[y * width + x] } else { 255 };
                    assert_eq!(to[x * stride + y], wanted, "{width} x {height}: {x}, {y}");
                }
            }
        }
    }
}
