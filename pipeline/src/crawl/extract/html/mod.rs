//! Pages.

mod charset;
mod jsonld;
mod page;
mod social;
mod srcset;
mod state;
mod token;

pub use charset::decode_html;
pub use page::{Page, extract_html};
pub(crate) use page::{PageInput, page};
pub(crate) use social::Social;
pub use srcset::{SrcsetCandidate, parse_srcset};
