//! Judgement without a model: rules on captions, addresses and languages of image-text pairs.
//!
//! Plain functions first:
//!
//! ```
//! use trommel_filters::{language, pii, text, uid, urls};
//!
//! let caption = "  A golden retriever\u{200b} on the beach\n";
//! let caption = text::clean_text(caption);
//! assert_eq!(caption, "A golden retriever on the beach");
//! assert!(text::datacomp_caption_ok(&caption));
//! assert!(text::is_boilerplate("IMG_1234.JPG"));
//! assert_eq!(language::lang(&caption), "en");
//! assert_eq!(pii::redact_pii("photo by anna@example.com"), "photo by <EMAIL>");
//! assert_eq!(urls::domain("https://img.news.bbc.co.uk/1.jpg").as_deref(), Some("bbc.co.uk"));
//! assert_eq!(uid("https://example.com/1.jpg", &caption).len(), 32);
//! ```
//!
//! With the feature `datafusion` (on by default) the same functions, under the same names, run in a DataFusion
//! session; [`functions::catalogue`] lists them:
//!
#![cfg_attr(feature = "datafusion", doc = "```")]
#![cfg_attr(not(feature = "datafusion"), doc = "```ignore")]
//! # async fn example() -> datafusion::common::Result<()> {
//! use datafusion::prelude::SessionContext;
//!
//! let mut ctx = SessionContext::new();
//! trommel_filters::functions::register_all(&mut ctx)?;
//! let rows = ctx.sql("select words('a red house') > 2 and lang('das rote Haus') = 'de' as ok").await?;
//! # assert_eq!(rows.collect().await?[0].column(0).as_ref(), &arrow::array::BooleanArray::from(vec![true]));
//! # Ok(())
//! # }
//! # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
//! ```
//!
//! Every function is pure, takes any string, and does not panic. Nothing here reads a file or the network, save
//! [`language::FastText::load`] and [`urls::BlockListBuilder`], which read the files that they are given, and [`near`], which spills to
//! unnamed temporary files.

pub mod balance;
pub mod concepts;
pub mod functions;
pub mod hashes;
pub mod language;
pub mod near;
pub mod pii;
pub mod text;
mod uid;
pub mod urls;

pub use uid::{uid, uid_bytes};
