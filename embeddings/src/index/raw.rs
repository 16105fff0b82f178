//! Faiss's indexes, through its C interface: what the safe binding lacks is here, and nothing else.

use std::ffi::{CStr, CString, c_int};
use std::path::Path;
use std::ptr::{NonNull, null_mut};

use faiss_sys as c;

use super::error::setting;
use super::{IndexError, IndexMetric};

/// `faiss::IO_FLAG_MMAP`: inverted lists stay in the file. (The constant of the C header is an old one.)
const MAP_LISTS: c_int = 8 | 0x646f_0000;
/// `faiss::IO_FLAG_MMAP_IFC`: vectors and codes stay in the file.
const MAP_CODES: c_int = 1 << 9;

// Of the OpenMP library that faiss is linked with; its own interface has no way to set threads.
unsafe extern "C" {
    fn omp_set_num_threads(threads: c_int);
    fn omp_get_max_threads() -> c_int;
}

/// Sets the threads that faiss takes when it is called from this thread, until it is dropped.
pub(super) struct Threads(c_int, std::marker::PhantomData<*const ()>);

impl Threads {
    pub(super) fn set(threads: usize) -> Self {
        // SAFETY: both functions have no preconditions; the number belongs to the calling thread, which the type cannot leave.
        unsafe {
            let before = omp_get_max_threads();
            omp_set_num_threads(threads.clamp(1, 4096) as c_int);
            Self(before, std::marker::PhantomData)
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // SAFETY: as in `set`.
        unsafe { omp_set_num_threads(self.0) }
    }
}

/// An index that faiss holds.
pub(super) struct Raw(NonNull<c::FaissIndex>);

// SAFETY: an index is memory of its own, tied to no thread; `&self` methods only read it (faiss allows concurrent
// searches), and everything that writes takes `&mut self`.
unsafe impl Send for Raw {}
// SAFETY: as above.
unsafe impl Sync for Raw {}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: the pointer came from faiss and is freed once.
        unsafe { c::faiss_Index_free(self.0.as_ptr()) }
    }
}

/// The error that faiss keeps for the calling thread.
fn refused(what: &str) -> IndexError {
    // SAFETY: the string, if any, belongs to faiss and lives until its next error in this thread; it is copied at once.
    let message = unsafe {
        let text = c::faiss_get_last_error();
        if text.is_null() { String::from("nothing") } else { CStr::from_ptr(text).to_string_lossy().into_owned() }
    };
    // A hostile factory string comes back at any length, with the place in faiss's source before it.
    let message = message.rsplit("Error: ").next().unwrap_or_default().trim().chars().take(300).collect();
    IndexError::Faiss { what: what.to_owned(), message }
}

fn done(code: c_int, what: &str) -> Result<(), IndexError> {
    if code == 0 { Ok(()) } else { Err(refused(what)) }
}

fn path_string(path: &Path) -> Result<CString, IndexError> {
    let text = path.to_str().ok_or_else(|| setting("path", path.display(), "a path in UTF-8 is needed"))?;
    CString::new(text).map_err(|_| setting("path", path.display(), "a path without zero bytes is needed"))
}

impl Raw {
    fn own(pointer: *mut c::FaissIndex, what: &str) -> Result<Self, IndexError> {
        NonNull::new(pointer).map(Self).ok_or_else(|| refused(what))
    }

    /// Makes an index from a factory string.
    pub(super) fn make(factory: &str, dim: usize, metric: IndexMetric) -> Result<Self, IndexError> {
        let what = format!("index `{}`", factory.chars().take(100).collect::<String>());
        let text = CString::new(factory).map_err(|_| setting("index", factory, "a factory string is needed"))?;
        let dim = c_int::try_from(dim).map_err(|_| setting("dim", dim, "vectors of fewer components are needed"))?;
        let metric = match metric {
            IndexMetric::Cosine | IndexMetric::InnerProduct => c::FaissMetricType_METRIC_INNER_PRODUCT,
            IndexMetric::L2 => c::FaissMetricType_METRIC_L2,
        };
        let mut index = null_mut();
        // SAFETY: the string lives through the call, and the index is owned from here on.
        done(unsafe { c::faiss_index_factory(&mut index, dim, text.as_ptr(), metric) }, &what)?;
        Self::own(index, &what)
    }

    /// Reads an index, mapped or whole. The file must not change while a mapped index is open.
    pub(super) fn read(path: &Path, mapped: bool) -> Result<Self, IndexError> {
        let what = format!("reading `{}`", path.display());
        let text = path_string(path)?;
        let read = |flags| {
            let mut index = null_mut();
            // SAFETY: the string lives through the call, and the index is owned from here on.
            done(unsafe { c::faiss_read_index_fname(text.as_ptr(), flags, &mut index) }, &what)?;
            Self::own(index, &what)
        };
        if !mapped {
            return read(0);
        }
        // Lists and codes are mapped by different readers; which of the two it takes is known when it is open.
        let index = read(MAP_LISTS)?;
        if index.has_lists() { Ok(index) } else { read(MAP_CODES).or_else(|_| read(0)) }
    }

    /// Writes the index as it is; neither durable nor atomic.
    pub(super) fn write(&self, path: &Path) -> Result<(), IndexError> {
        let text = path_string(path)?;
        // SAFETY: index and string live through the call.
        done(unsafe { c::faiss_write_index_fname(self.0.as_ptr(), text.as_ptr()) }, &format!("writing `{}`", path.display()))
    }

    pub(super) fn count(&self) -> usize {
        // SAFETY: the index lives.
        unsafe { c::faiss_Index_ntotal(self.0.as_ptr()) }.max(0) as usize
    }

    pub(super) fn dim(&self) -> usize {
        // SAFETY: the index lives.
        unsafe { c::faiss_Index_d(self.0.as_ptr()) }.max(0) as usize
    }

    pub(super) fn is_trained(&self) -> bool {
        // SAFETY: the index lives.
        unsafe { c::faiss_Index_is_trained(self.0.as_ptr()) != 0 }
    }

    /// Whether larger results are nearer.
    pub(super) fn is_inner_product(&self) -> bool {
        // SAFETY: the index lives.
        unsafe { c::faiss_Index_metric_type(self.0.as_ptr()) == c::FaissMetricType_METRIC_INNER_PRODUCT }
    }

    /// The inverted file of the index, itself or behind a transform.
    fn lists(&self) -> Option<NonNull<c::FaissIndexIVF>> {
        // SAFETY: the casts look at the type and give null for another; what they give belongs to this index.
        unsafe {
            let inner = c::faiss_IndexPreTransform_cast(self.0.as_ptr());
            let index = if inner.is_null() { self.0.as_ptr() } else { c::faiss_IndexPreTransform_index(inner) };
            if index.is_null() { None } else { NonNull::new(c::faiss_IndexIVF_cast(index)) }
        }
    }

    pub(super) fn has_lists(&self) -> bool {
        self.lists().is_some()
    }

    /// Number of inverted lists and those that are probed when nothing else is asked for.
    pub(super) fn list_counts(&self) -> Option<(usize, usize)> {
        // SAFETY: the index lives, and its inverted file with it.
        self.lists().map(|lists| unsafe { (c::faiss_IndexIVF_nlist(lists.as_ptr()), c::faiss_IndexIVF_nprobe(lists.as_ptr())) })
    }

    /// Whether vectors go into the lists as they are, so that centroids of them are centroids of the lists.
    pub(super) fn takes_centroids(&self) -> bool {
        self.lists().is_some_and(|lists| std::ptr::eq(lists.as_ptr(), self.0.as_ptr()))
    }

    /// Gives the centroids of the lists, so that training leaves them as they are.
    pub(super) fn set_centroids(&mut self, centroids: &[f32]) -> Result<(), IndexError> {
        let (Some(lists), Some((count, _))) = (self.lists(), self.list_counts()) else {
            return Err(setting("index", "without lists", "an inverted file is needed"));
        };
        if centroids.len() != count * self.dim() {
            return Err(setting("centroids", centroids.len() / self.dim().max(1), "one for each list is needed"));
        }
        // SAFETY: the quantizer belongs to this index, and reads exactly `count` vectors.
        unsafe {
            let quantizer = c::faiss_IndexIVF_quantizer(lists.as_ptr());
            if quantizer.is_null() {
                return Err(setting("index", "without a quantizer", "an inverted file is needed"));
            }
            done(c::faiss_Index_reset(quantizer), "the centroids")?;
            if c::faiss_Index_is_trained(quantizer) == 0 {
                done(c::faiss_Index_train(quantizer, count as i64, centroids.as_ptr()), "the centroids")?;
            }
            done(c::faiss_Index_add(quantizer, count as i64, centroids.as_ptr()), "the centroids")
        }
    }

    fn vectors(&self, data: &[f32]) -> Result<i64, IndexError> {
        let dim = self.dim();
        if dim == 0 || !data.len().is_multiple_of(dim) {
            return Err(setting("vectors", format!("{} components", data.len()), "whole vectors are needed"));
        }
        Ok((data.len() / dim) as i64)
    }

    pub(super) fn train(&mut self, data: &[f32]) -> Result<(), IndexError> {
        let count = self.vectors(data)?;
        // SAFETY: `data` holds `count` vectors of the index's length.
        done(unsafe { c::faiss_Index_train(self.0.as_ptr(), count, data.as_ptr()) }, "training an index")
    }

    pub(super) fn add(&mut self, data: &[f32]) -> Result<(), IndexError> {
        let count = self.vectors(data)?;
        if !self.is_trained() {
            return Err(setting("index", "not trained", "a trained one is needed"));
        }
        // SAFETY: `data` holds `count` vectors of the index's length.
        done(unsafe { c::faiss_Index_add(self.0.as_ptr(), count, data.as_ptr()) }, "adding vectors")
    }

    /// The stored vectors from one on, as many as `out` holds.
    pub(super) fn reconstruct(&self, start: usize, out: &mut [f32]) -> Result<(), IndexError> {
        let count = self.vectors(out)?;
        if start + count as usize > self.count() {
            return Err(setting("vectors", start + count as usize, "no more than there are can be read"));
        }
        // SAFETY: all ids exist, and `out` has room for their vectors.
        let code = unsafe { c::faiss_Index_reconstruct_n(self.0.as_ptr(), start as i64, count, out.as_mut_ptr()) };
        done(code, "reading stored vectors")
    }

    /// Whether parts of one training can be merged list by list. Packed codes (`PQ…fs`) cannot: faiss 1.12 copies whole blocks
    /// past the end of a list when it merges them.
    pub(super) fn can_take(&self, factory: &str) -> bool {
        self.has_lists() && !factory.contains("fs")
    }

    /// Moves all vectors of another inverted file of the same training behind the own ones.
    pub(super) fn take(&mut self, other: Self) -> Result<(), IndexError> {
        let (Some(own), Some(others)) = (self.lists(), other.lists()) else {
            return Err(setting("index", "without lists", "an inverted file is needed"));
        };
        // SAFETY: both inverted files live through the call; `other` is empty afterwards, and freed. Adding nothing lets an
        // index that transforms its vectors take over the number of the inverted file.
        unsafe {
            let before = c::faiss_Index_ntotal(own.as_ptr());
            done(c::faiss_IndexIVF_merge_from(own.as_ptr(), others.as_ptr(), before), "merging indexes")?;
            let nothing = [0.0_f32];
            done(c::faiss_Index_add(self.0.as_ptr(), 0, nothing.as_ptr()), "merging indexes")
        }
    }

    /// Sets `nprobe`, `efSearch` and the like, as faiss's parameter space names them.
    pub(super) fn set_parameter(&mut self, name: &CStr, value: usize) -> Result<(), IndexError> {
        let what = format!("setting `{}` to {value}", name.to_string_lossy());
        let mut space = null_mut();
        // SAFETY: the space is freed on both ways; the index and the name live through the call.
        unsafe {
            done(c::faiss_ParameterSpace_new(&mut space), &what)?;
            let code = c::faiss_ParameterSpace_set_index_parameter(space, self.0.as_ptr(), name.as_ptr(), value as f64);
            let result = done(code, &what);
            c::faiss_ParameterSpace_free(space);
            result
        }
    }

    /// The `k` nearest of each query; -1 where there are fewer. `allowed` has a bit for each id, and `probes` belongs to
    /// inverted files.
    pub(super) fn search(
        &self,
        queries: &[f32],
        k: usize,
        probes: Option<usize>,
        allowed: Option<&[u8]>,
    ) -> Result<(Vec<f32>, Vec<i64>), IndexError> {
        let count = self.vectors(queries)?;
        let (mut found, mut ids) = (vec![0.0; count as usize * k], vec![-1_i64; count as usize * k]);
        if count == 0 {
            return Ok((found, ids));
        }
        let parameters = Parameters::new(allowed, probes.or(self.list_counts().map(|(_, probes)| probes)))?;
        // SAFETY: `queries` holds `count` vectors, the results have room for `k` each, and the parameters (null: none) live.
        let code = unsafe {
            let (found, ids) = (found.as_mut_ptr(), ids.as_mut_ptr());
            c::faiss_Index_search_with_params(self.0.as_ptr(), count, queries.as_ptr(), k as i64, parameters.pointer, found, ids)
        };
        done(code, "searching")?;
        Ok((found, ids))
    }

    /// Everything that faiss's range search finds, query after query.
    pub(super) fn range(&self, queries: &[f32], floor: f32, mut each: impl FnMut(usize, f32, i64)) -> Result<(), IndexError> {
        let count = self.vectors(queries)?;
        let mut result = null_mut();
        // SAFETY: the result is freed on both ways; faiss says how many it found and where they lie, which is read before.
        unsafe {
            done(c::faiss_RangeSearchResult_new(&mut result, count), "searching a range")?;
            let code = c::faiss_Index_range_search(self.0.as_ptr(), count, queries.as_ptr(), floor, result);
            let answer = done(code, "searching a range");
            if answer.is_ok() {
                let (mut limits, mut ids, mut found) = (null_mut(), null_mut(), null_mut());
                c::faiss_RangeSearchResult_lims(result, &mut limits);
                c::faiss_RangeSearchResult_labels(result, &mut ids, &mut found);
                for query in 0..count as usize {
                    for at in *limits.add(query)..*limits.add(query + 1) {
                        each(query, *found.add(at), *ids.add(at));
                    }
                }
            }
            c::faiss_RangeSearchResult_free(result);
            answer
        }
    }
}

/// Parameters of one search.
struct Parameters<'a> {
    pointer: *mut c::FaissSearchParameters,
    selector: *mut c::FaissIDSelectorBitmap,
    lists: bool,
    allowed: std::marker::PhantomData<&'a [u8]>,
}

impl<'a> Parameters<'a> {
    fn new(allowed: Option<&'a [u8]>, probes: Option<usize>) -> Result<Self, IndexError> {
        let mut made = Self { pointer: null_mut(), selector: null_mut(), lists: probes.is_some(), allowed: std::marker::PhantomData };
        // SAFETY: the selector borrows the bitmap, which outlives the parameters; ids behind it are not members.
        unsafe {
            if let Some(bits) = allowed {
                done(c::faiss_IDSelectorBitmap_new(&mut made.selector, bits.len(), bits.as_ptr()), "a filter")?;
            }
            let selector = made.selector.cast();
            match probes {
                Some(probes) => done(c::faiss_SearchParametersIVF_new_with(&mut made.pointer, selector, probes, 0), "search parameters")?,
                None if allowed.is_some() => done(c::faiss_SearchParameters_new(&mut made.pointer, selector), "search parameters")?,
                None => {}
            }
        }
        Ok(made)
    }
}

impl Drop for Parameters<'_> {
    fn drop(&mut self) {
        // SAFETY: each was made by faiss, by the constructor that belongs to the destructor, and is freed once.
        unsafe {
            if !self.pointer.is_null() {
                if self.lists {
                    c::faiss_SearchParametersIVF_free(self.pointer);
                } else {
                    c::faiss_SearchParameters_free(self.pointer);
                }
            }
            if !self.selector.is_null() {
                c::faiss_IDSelectorBitmap_free(self.selector);
            }
        }
    }
}
