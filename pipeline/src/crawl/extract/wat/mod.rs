//! WAT records: the links of a page as Common Crawl's `ia-web-commons` wrote them down, in any year's key order.

mod compat;
mod page;
mod skim;

pub(crate) use page::{Wat, has_license, is_cc};
