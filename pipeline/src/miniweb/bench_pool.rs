//! A fixed pool of JPEGs of the size of photographs, encoded once, for throughput benches.

use std::sync::OnceLock;

use bytes::Bytes;

use super::format::{Format, Look, encode};
use super::world::Scene;

/// How many different pictures each side has; picture `k` of `/bench/{side}/{k}.jpg` is `k % POOL`.
pub const POOL: u64 = 64;

/// The longer side of the bench pictures; they are 4:3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// 640 × 480.
    Small,
    /// 1024 × 768.
    Large,
}

impl Side {
    /// The longer side in pixels.
    pub fn pixels(self) -> u32 {
        match self {
            Self::Small => 640,
            Self::Large => 1024,
        }
    }

    pub(crate) fn of_pixels(pixels: &str) -> Option<Self> {
        match pixels {
            "640" => Some(Self::Small),
            "1024" => Some(Self::Large),
            _ => None,
        }
    }
}

/// The pool. It fills as pictures are asked for; each is painted once.
#[derive(Debug)]
pub(crate) struct BenchPool {
    small: [OnceLock<Bytes>; POOL as usize],
    large: [OnceLock<Bytes>; POOL as usize],
}

impl Default for BenchPool {
    fn default() -> Self {
        Self { small: [const { OnceLock::new() }; POOL as usize], large: [const { OnceLock::new() }; POOL as usize] }
    }
}

impl BenchPool {
    fn cell(&self, side: Side, k: u64) -> &OnceLock<Bytes> {
        let cells = match side {
            Side::Small => &self.small,
            Side::Large => &self.large,
        };
        &cells[(k % POOL) as usize]
    }

    /// The picture, if it has been painted.
    pub(crate) fn ready(&self, side: Side, k: u64) -> Option<Bytes> {
        self.cell(side, k).get().cloned()
    }

    /// The picture; painting it takes some ten milliseconds.
    pub(crate) fn get(&self, side: Side, k: u64) -> Bytes {
        let make = || {
            let (width, height) = (side.pixels(), side.pixels() * 3 / 4);
            // From here the grain makes a file of the size of a photograph: 60 to 200 kB.
            let look = Look { format: Format::Jpeg, width, height, quality: if side == Side::Small { 93 } else { 90 } };
            encode(&Scene::nth(0xBE, k % POOL), &look).map(Bytes::from).unwrap_or_default()
        };
        self.cell(side, k).get_or_init(make).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bench_pictures_weigh_what_photographs_weigh() {
        let pool = BenchPool::default();
        for side in [Side::Small, Side::Large] {
            for k in 0..4 {
                let bytes = pool.get(side, k);
                assert!((50_000..250_000).contains(&bytes.len()), "{side:?} {k}: {}", bytes.len());
                assert_eq!(pool.ready(side, k + POOL), Some(bytes));
            }
        }
    }
}
