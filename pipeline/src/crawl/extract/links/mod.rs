//! From the url on the page to an absolute url.

mod python;
mod web;

pub use python::{PythonValueError, python_urljoin, python_urljoin_or_same};
pub(crate) use web::{Base, UrlFault};
