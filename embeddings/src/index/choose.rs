//! Which kind of index suits so many vectors in so much memory.

use super::IndexError;

/// Below this many vectors every one is compared (autofaiss's `flat_threshold`).
const FLAT: u64 = 1000;
/// Below this many vectors there are too few to train codes (autofaiss's `quantization_threshold`).
const QUANTIZED: u64 = 10_000;
/// From this many vectors on those in lists are codes (autofaiss's `ivf_flat_threshold`).
const LISTED: u64 = 1_000_000;
/// Neighbours of a graph's node at most, and the fewest with which a graph is still a good index.
const GRAPH: (u64, u64) = (32, 8);
/// Bytes of a code, the best first (autofaiss's values).
const CODES: [u64; 9] = [256, 128, 64, 48, 32, 24, 16, 8, 4];
/// Vectors per cluster that training needs (faiss warns below it).
const PER_CLUSTER: u64 = 39;

/// What the choice of an index has to keep to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexLimits {
    /// Bytes of the index, at most: it has them in memory when it is searched. Autofaiss's `max_index_memory_usage`.
    pub memory: u64,
    /// Whether the index is to be searched from the disk: then it is never a graph, whose search jumps about.
    pub mapped: bool,
}

impl Default for IndexLimits {
    /// 4 GB in memory, as autofaiss.
    fn default() -> Self {
        Self { memory: 4_000_000_000, mapped: false }
    }
}

/// A kind of index, and why it was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexChoice {
    /// As faiss's index factory reads it.
    pub factory: String,
    /// One sentence for people.
    pub reason: String,
    /// Bytes that the index takes, about.
    pub bytes: u64,
}

/// Chooses a kind of index by number, length and memory, in the order of autofaiss: every vector compared (`Flat`) below
/// 1000; a graph (`HNSW15`) below 10 000; a graph with up to 32 neighbours if vectors and graph fit; whole vectors in lists
/// (`IVFx,Flat`) below 1 M; else rotated codes in lists (`OPQm_d,IVFx,PQmx8np`), as long as fits. `np`: without faiss's
/// annealing of codes, which takes most of the training and serves a filter that is not used here.
///
/// # Errors
/// [`IndexError::Memory`] when not even the smallest fits, [`IndexError::Empty`] for nothing.
pub fn choose_index(count: u64, dim: usize, limits: &IndexLimits) -> Result<IndexChoice, IndexError> {
    if count == 0 || dim == 0 {
        return Err(IndexError::Empty);
    }
    let wide = dim as u64;
    let flat = 4 * count * wide;
    let chosen = |factory: String, bytes: u64, reason: String| Ok(IndexChoice { factory, reason, bytes });
    if count < FLAT && flat <= limits.memory {
        let factory = if limits.mapped { "IVF1,Flat" } else { "Flat" };
        return chosen(factory.into(), flat, format!("{count} vectors, fewer than {FLAT}: every one is compared"));
    }
    let graph = |neighbours: u64| flat + count * (8 * neighbours + 16);
    if count < QUANTIZED && !limits.mapped && graph(15) <= limits.memory {
        return chosen("HNSW15".into(), graph(15), format!("{count} vectors, fewer than {QUANTIZED}: a small graph"));
    }
    // autofaiss: m = (bytes / (4 n) - d) / 2.
    let neighbours = (limits.memory / (4 * count)).saturating_sub(wide) / 2;
    if !limits.mapped && count >= QUANTIZED && neighbours >= GRAPH.1 {
        let neighbours = neighbours.min(GRAPH.0);
        let reason = format!("a graph with {neighbours} neighbours fits into {} bytes", limits.memory);
        return chosen(format!("HNSW{neighbours}"), graph(neighbours), reason);
    }
    let clusters = clusters(count);
    let listed = flat + 8 * count + 4 * clusters * wide;
    if count < LISTED && listed <= limits.memory {
        let why = if limits.mapped { "searched from the disk" } else { "a graph does not fit" };
        return chosen(format!("IVF{clusters},Flat"), listed, format!("{why}, whole vectors in lists do: {count} are fewer than {LISTED}"));
    }
    let quantizer = |length: u64| clusters * (4 * length + if clusters >= 16_384 { 8 * 32 + 16 } else { 0 });
    let of = |code: u64| {
        // Faiss's guidelines: four components for each byte of the code, and no more than there are.
        let length = (4 * code).min(wide / code * code);
        (length, count * (code + 8) + quantizer(length) + 4 * wide * length + 1024 * length)
    };
    let fits = CODES.into_iter().filter(|&code| code <= wide).find(|&code| of(code).1 <= limits.memory);
    if count < QUANTIZED || fits.is_none() {
        let smallest = CODES.into_iter().rfind(|&code| code <= wide).map_or(flat, |code| of(code).1);
        let needed = if count < QUANTIZED { flat } else { smallest };
        return Err(IndexError::Memory { count, dim, needed, allowed: limits.memory });
    }
    let code = fits.unwrap_or(4);
    let (length, bytes) = of(code);
    let graph = if clusters >= 16_384 { "_HNSW32" } else { "" };
    let factory = format!("OPQ{code}_{length},IVF{clusters}{graph},PQ{code}x8np");
    let why = if count >= LISTED { format!("{count} vectors, {LISTED} or more") } else { "whole vectors do not fit".into() };
    chosen(factory, bytes, format!("{why}: codes of {code} bytes, the longest that fit into {} bytes", limits.memory))
}

/// Clusters of so many vectors: `4·√n` rounded to a power of two below 1 M, then autofaiss's steps.
fn clusters(count: u64) -> u64 {
    let wanted = match count {
        0..1_000_000 => 1 << (4.0 * (count as f64).sqrt()).log2().round() as u32,
        1_000_000..10_000_000 => 16_384,
        10_000_000..300_000_000 => 65_536,
        _ => 131_072,
    };
    wanted.min((count / PER_CLUSTER).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(count: u64, dim: usize, gigabytes: f64, mapped: bool) -> String {
        choose_index(count, dim, &IndexLimits { memory: (gigabytes * 1e9) as u64, mapped }).unwrap().factory
    }

    #[test]
    fn the_kind_follows_number_and_memory_as_in_autofaiss() {
        assert_eq!(of(999, 512, 4.0, false), "Flat");
        assert_eq!(of(999, 512, 4.0, true), "IVF1,Flat");
        assert_eq!(of(9_999, 512, 4.0, false), "HNSW15");
        assert_eq!(of(10_000, 512, 4.0, false), "HNSW32");
        // m = (4e9 / 4e6·1.8 - 512) / 2 = 21.
        assert_eq!(of(1_800_000, 512, 4.0, false), "HNSW21");
        assert_eq!(of(900_000, 768, 2.8, false), "IVF4096,Flat");
        assert_eq!(of(100_000, 512, 4.0, true), "IVF1024,Flat");
        assert_eq!(of(2_000_000, 768, 4.0, false), "OPQ256_768,IVF16384_HNSW32,PQ256x8np");
        assert_eq!(of(200_000_000, 768, 15.0, false), "OPQ64_256,IVF65536_HNSW32,PQ64x8np");
        assert_eq!(of(5_550_000_000, 768, 180.0, false), "OPQ24_96,IVF131072_HNSW32,PQ24x8np");
        assert_eq!(of(500_000, 64, 0.02, false), "OPQ24_48,IVF2048,PQ24x8np");
    }

    #[test]
    fn what_fits_nowhere_is_an_error_that_says_what_it_takes() {
        let error = choose_index(1_000_000, 64, &IndexLimits { memory: 1_000_000, mapped: false }).unwrap_err();
        assert!(matches!(error, IndexError::Memory { needed: 12_000_000..40_000_000, allowed: 1_000_000, .. }), "{error}");
        assert!(matches!(choose_index(0, 4, &IndexLimits::default()), Err(IndexError::Empty)));
    }
}
