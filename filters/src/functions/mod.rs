//! The functions of this crate by the names that recipes and SQL call them by.
//!
//! [`catalogue`] lists them, with or without the feature `datafusion`; with it, `register_all` puts them into a
//! session.

mod language;
mod pii;
mod text;
#[cfg(feature = "datafusion")]
mod udf;
mod url;

#[cfg(feature = "datafusion")]
pub use udf::{all_udfs, block_list_udf, language_udfs, register_all};

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

/// What a function is called, takes and gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FunctionDoc {
    /// The name in recipes and SQL, and of the plain function.
    pub name: &'static str,
    /// Names of the arguments; each is a string.
    pub args: &'static [&'static str],
    /// Arrow type of the result: `Utf8`, `Int64`, `Float32` or `Boolean`.
    pub returns: &'static str,
    /// What it gives, in one line.
    pub doc: &'static str,
}

/// A function on one string, or on two.
#[cfg_attr(not(feature = "datafusion"), allow(dead_code, reason = "the kernels run in DataFusion only"))]
enum Kernel {
    Int(Arc<dyn Fn(&str) -> i64 + Send + Sync>),
    Float(Arc<dyn Fn(&str) -> f32 + Send + Sync>),
    Bool(Arc<dyn Fn(&str) -> bool + Send + Sync>),
    Text(Arc<TextKernel>),
    Pair(Arc<PairKernel>),
}

/// From a string to a string, or to null.
type TextKernel = dyn for<'a> Fn(&'a str) -> Option<Cow<'a, str>> + Send + Sync;

/// From two strings to one.
type PairKernel = dyn Fn(&str, &str) -> String + Send + Sync;

/// A function and its doc, in one place, so that they cannot drift apart.
#[cfg_attr(not(feature = "datafusion"), allow(dead_code, reason = "the kernels run in DataFusion only"))]
struct Function {
    doc: FunctionDoc,
    kernel: Kernel,
}

impl Function {
    fn new(name: &'static str, arg: &'static [&'static str], kernel: Kernel, doc: &'static str) -> Self {
        let returns = match kernel {
            Kernel::Int(_) => "Int64",
            Kernel::Float(_) => "Float32",
            Kernel::Bool(_) => "Boolean",
            Kernel::Text(_) | Kernel::Pair(_) => "Utf8",
        };
        Self { doc: FunctionDoc { name, args: arg, returns, doc }, kernel }
    }

    fn int(name: &'static str, arg: &'static [&'static str], f: fn(&str) -> usize, doc: &'static str) -> Self {
        let kernel = Kernel::Int(Arc::new(move |text| i64::try_from(f(text)).unwrap_or(i64::MAX)));
        Self::new(name, arg, kernel, doc)
    }

    fn float(name: &'static str, arg: &'static [&'static str], f: fn(&str) -> f32, doc: &'static str) -> Self {
        Self::new(name, arg, Kernel::Float(Arc::new(f)), doc)
    }

    fn bool(name: &'static str, arg: &'static [&'static str], f: fn(&str) -> bool, doc: &'static str) -> Self {
        Self::new(name, arg, Kernel::Bool(Arc::new(f)), doc)
    }

    fn string(name: &'static str, arg: &'static [&'static str], f: fn(&str) -> String, doc: &'static str) -> Self {
        let kernel = Kernel::Text(Arc::new(move |text| Some(Cow::Owned(f(text)))));
        Self::new(name, arg, kernel, doc)
    }

    fn option(name: &'static str, arg: &'static [&'static str], f: fn(&str) -> Option<String>, doc: &'static str) -> Self {
        Self::new(name, arg, Kernel::Text(Arc::new(move |text| f(text).map(Cow::Owned))), doc)
    }
}

fn functions() -> Vec<Function> {
    let mut all = Vec::new();
    all.extend(text::group());
    all.extend(pii::group());
    all.extend(url::group());
    all.extend(language::group());
    all
}

/// Every function that `register_all` registers, by name.
///
/// All are pure, take strings, and give null for null.
pub fn catalogue() -> &'static [FunctionDoc] {
    static CATALOGUE: LazyLock<Vec<FunctionDoc>> = LazyLock::new(|| {
        let mut docs: Vec<_> = functions().into_iter().map(|f| f.doc).collect();
        docs.sort_by_key(|doc| doc.name);
        docs
    });
    &CATALOGUE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_sorted_and_documented() {
        let docs = catalogue();
        assert_eq!(docs.len(), 24);
        assert!(docs.windows(2).all(|pair| pair[0].name < pair[1].name));
        for doc in docs {
            assert!(doc.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{doc:?}");
            assert!((1..=2).contains(&doc.args.len()), "{doc:?}");
            assert!(!doc.doc.is_empty() && !doc.doc.contains('\n') && !doc.doc.ends_with('.'), "{doc:?}");
        }
    }
}
