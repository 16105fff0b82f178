//! The inner loops over pixels, compiled for each set of vector instructions and chosen once a call.
//!
//! Every lane multiplies, then adds, in one order, without fused operations: a hash does not depend on the machine.

/// One body, compiled for the instructions that the machine may have.
macro_rules! versions {
    ($(#[$doc:meta])* $visibility:vis fn $name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)? $body:block) => {
        $(#[$doc])*
        $visibility fn $name($($argument: $type),*) $(-> $result)? {
            #[inline(always)]
            fn body($($argument: $type),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
                fn avx512($($argument: $type),*) $(-> $result)? {
                    body($($argument),*)
                }
                #[target_feature(enable = "avx2")]
                fn avx2($($argument: $type),*) $(-> $result)? {
                    body($($argument),*)
                }
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
                {
                    // SAFETY: the machine has these instructions.
                    return unsafe { avx512($($argument),*) };
                }
                if is_x86_feature_detected!("avx2") {
                    // SAFETY: as above.
                    return unsafe { avx2($($argument),*) };
                }
            }
            body($($argument),*)
        }
    };
}
pub(super) use versions;

versions! {
    /// Adds up to four weighted rows: `sums[i] += ((w0 r0[i] + w1 r1[i]) + w2 r2[i]) + w3 r3[i]`.
    pub(super) fn add_rows(sums: &mut [f32], rows: [&[u8]; 4], weights: [f32; 4]) {
        let n = sums.len();
        let [a, b, c, d] = rows.map(|row| &row[..n]);
        let [wa, wb, wc, wd] = weights;
        for i in 0..n {
            let sum = wa * f32::from(a[i]) + wb * f32::from(b[i]) + wc * f32::from(c[i]) + wd * f32::from(d[i]);
            sums[i] += sum;
        }
    }
}

versions! {
    /// The sum of products of bytes with whole weights; exact in any order as long as the sum of the weights' sizes
    /// times 255 is below 2^31.
    pub(super) fn weigh(bytes: &[u8], weights: &[i32]) -> i32 {
        bytes.iter().zip(weights).map(|(byte, weight)| i32::from(*byte) * weight).sum()
    }
}

versions! {
    /// `sums[i] += weight * row[i]`, under the same bound.
    pub(super) fn add_row(sums: &mut [i32], row: &[u8], weight: i32) {
        for (sum, byte) in sums.iter_mut().zip(row) {
            *sum += i32::from(*byte) * weight;
        }
    }
}
