//! The headings that only a person can fill.

use super::super::facts::Facts;
use super::page::Page;

pub(super) fn examples_and_intentions(facts: &Facts, page: &mut Page) {
    let notes = &facts.notes;
    page.heading(2, "Example data points");
    page.heading(3, "Typical");
    page.note(notes.typical_example.as_ref(), "a typical pair");
    page.heading(3, "Atypical");
    page.note(notes.atypical_example.as_ref(), "a pair that is not typical, and why it is there");
    page.heading(2, "Motivations and intentions");
    page.heading(3, "Purpose");
    page.note(notes.purpose.as_ref(), "what the dataset was made for, and in which domains");
    page.heading(3, "Suitable use");
    page.note(notes.suitable_use.as_ref(), "what the dataset is fit for");
    page.heading(3, "Unsuitable use");
    page.note(notes.unsuitable_use.as_ref(), "what the dataset is not fit for");
    page.heading(2, "Access, retention, wipeout");
    page.heading(3, "Access");
    page.note(notes.access.as_ref(), "who gets the dataset, and how");
    page.heading(3, "Retention and wipeout");
    page.note(notes.retention.as_ref(), "how long the dataset is kept, and how rows are taken out on request");
}

pub(super) fn human_attributes(facts: &Facts, page: &mut Page) {
    page.heading(2, "Human and other sensitive attributes");
    page.note(
        facts.notes.human_attributes.as_ref(),
        "which attributes of people are in the data, whether on purpose, and what the risks are",
    );
}

pub(super) fn extended_use(facts: &Facts, page: &mut Page) {
    page.heading(2, "Extended use");
    page.heading(3, "With other data, forking, splits");
    page.note(facts.notes.extended_use.as_ref(), "use with other data, parts that can be taken alone, and splits");
    page.heading(3, "Limitations");
    page.note(facts.notes.limitations.as_ref(), "what the data cannot show");
}

pub(super) fn applications_to_reflections(facts: &Facts, page: &mut Page) {
    let notes = &facts.notes;
    page.heading(2, "Known applications and benchmarks");
    page.note(notes.applications.as_ref(), "what was trained on the dataset, and how well it did");
    page.heading(2, "Terms");
    page.note(notes.terms.as_ref(), "terms of art, explained");
    page.heading(2, "Reflections");
    page.note(notes.reflections.as_ref(), "what the makers would do otherwise");
    page.heading(3, "Social impact");
    page.note(notes.social_impact.as_ref(), "what the dataset may do to society");
}
