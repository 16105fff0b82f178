//! Functions that tell languages.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Function, Kernel};
use crate::language::{LanguageDetector, default_detector};

pub(super) fn group() -> Vec<Function> {
    with(|text, tell| tell(default_detector(), text))
}

/// `lang` and `lang_score` by `detector`.
#[cfg(feature = "datafusion")]
pub(super) fn by(detector: &Arc<dyn LanguageDetector>) -> Vec<Function> {
    let detector = Arc::clone(detector);
    with(move |text, tell| tell(detector.as_ref(), text))
}

/// Hands a text and the detector to a closure.
type Ask<'a> = &'a mut dyn FnMut(&dyn LanguageDetector, &str);

fn with(ask: impl Fn(&str, Ask<'_>) + Clone + Send + Sync + 'static) -> Vec<Function> {
    const TEXT: &[&str] = &["text"];
    let ask_score = ask.clone();
    let lang = Kernel::Text(Arc::new(move |text| {
        let mut code = None;
        ask(text, &mut |detector, text| code = Some(Cow::Owned(detector.detect(text).lang.to_owned())));
        code
    }));
    let score = Kernel::Float(Arc::new(move |text| {
        let mut score = 0.0;
        ask_score(text, &mut |detector, text| score = detector.detect(text).score);
        score
    }));
    vec![
        Function::new("lang", TEXT, lang, "ISO code of the language, und where it cannot be told"),
        Function::new("lang_score", TEXT, score, "how sure lang is, 0 to 1"),
    ]
}
