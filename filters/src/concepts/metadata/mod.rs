//! Building a list of entries (*metadata*) from WordNet and Wikipedia, as MetaCLIP did.
//!
//! ```
//! use trommel_filters::concepts::metadata::{Corpus, CorpusLimits, MetadataBuilder, Recipe};
//!
//! let mut corpus = Corpus::new(CorpusLimits::default());
//! corpus.add("New York is a city. New York is large.");
//! let mut recipe = Recipe::version_1();
//! // A page of text is no Wikipedia.
//! recipe.unigrams.least = Some(2.0);
//! recipe.bigrams.least = Some(2.0);
//! let metadata = MetadataBuilder { corpus: Some(&corpus), ..MetadataBuilder::default() }.build(&recipe);
//! assert_eq!(metadata.entries.iter().take(5).collect::<Vec<_>>(), ["New", "York", "is", "a city", "New York"]);
//! ```
//!
//! Scripts without spaces ([`UNSEGMENTED`]) need a word segmenter before: words are taken to be what stands between white space,
//! here as given, and no segmenter is part of this. MetaCLIP 2 used one for each such language, for the metadata alone; captions
//! are matched as they are.

mod build;
mod corpus;
mod names;
mod pageviews;
mod wiki;

pub use build::{Metadata, MetadataBuilder, Recipe, Selection, SourceCounts, Version, drops};
pub use corpus::{Bigram, Corpus, CorpusLimits};
pub use names::{Lemmas, read_omw, read_wordnet};
pub use pageviews::{PageViews, ViewLimits};
pub use wiki::{read_wiki_extract, read_wiki_file};

/// Codes of the languages that MetaCLIP 2 segments before counting, and whose bigrams it joins without a space (Wikipedia's codes).
pub const UNSEGMENTED: [&str; 11] = ["bo", "dz", "ja", "km", "lo", "my", "ryu", "th", "zh", "zh_classical", "zh_yue"];
