//! Functions on personal data in captions.

use super::Function;
use crate::pii;

pub(super) fn group() -> Vec<Function> {
    const TEXT: &[&str] = &["text"];
    vec![
        Function::bool("has_pii", TEXT, pii::has_pii, "whether the text holds personal data"),
        Function::string(
            "pii_kinds",
            TEXT,
            pii::pii_kinds,
            "the kinds of personal data in the text: email, phone, card, ip, ssn, separated by commas",
        ),
        Function::string("redact_pii", TEXT, pii::redact_pii, "the text with <EMAIL>, <PHONE>, ... for personal data"),
    ]
}
