//! The data card: what a stranger wants to know, under the headings of Data Cards (Pushkarna et al. 2022, the templates of
//! the Data Cards Playbook).

use super::check::is_web_url;
use super::facts::{Facts, Party};
use super::words::count;

mod history;
mod overview;
mod page;
mod people;

use page::{NOT_KNOWN, Page, escape, link};

/// Files that the data card lists; of more it gives the sums.
const LISTED_FILES: usize = 50;
/// Rows of a table of counts; the rest is one row.
const LISTED_ROWS: usize = 30;

/// The dataset as a data card in Markdown (GitHub's tables).
///
/// It has all headings on every dataset. Facts that are not known say so; headings that only a person can fill have one
/// line that asks for it. Text from the data is escaped: it cannot become a table, a link, or HTML.
pub fn markdown(facts: &Facts) -> String {
    let mut page = Page::default();
    page.heading(1, &format!("Data card: {}", known_text(&facts.name)));
    page.note(Some(&facts.description), "what the dataset is");
    summary(facts, &mut page);
    authorship(facts, &mut page);
    overview::overview(facts, &mut page);
    people::examples_and_intentions(facts, &mut page);
    history::provenance(facts, &mut page);
    people::human_attributes(facts, &mut page);
    people::extended_use(facts, &mut page);
    history::transformations(facts, &mut page);
    history::annotations_to_sampling(facts, &mut page);
    people::applications_to_reflections(facts, &mut page);
    page.finish()
}

fn summary(facts: &Facts, page: &mut Page) {
    let rows = facts.funnel.as_ref().map(|funnel| count(funnel.kept));
    let bytes: u64 = facts.files.iter().map(|file| file.bytes).sum();
    let files = (!facts.files.is_empty()).then(|| format!("{} ({} bytes)", count(facts.files.len() as u64), count(bytes)));
    let license = if is_web_url(&facts.license) { link(&facts.license) } else { known_text(&facts.license) };
    let url = if is_web_url(&facts.url) { link(&facts.url) } else { known_text(&facts.url) };
    let said = |text: Option<&String>| text.map_or_else(|| NOT_KNOWN.to_owned(), |text| known_text(text));
    let facts = [
        ("Image-text pairs", rows.unwrap_or_else(|| NOT_KNOWN.to_owned())),
        ("Files", files.unwrap_or_else(|| NOT_KNOWN.to_owned())),
        ("Licence", license),
        ("Web page", url),
        ("Version", said(facts.version.as_ref())),
        ("Published", known_text(&facts.date_published)),
        ("Made", said(facts.date_created.as_ref())),
    ];
    page.list(&facts.map(|(name, value)| format!("{name}: {value}")));
}

fn authorship(facts: &Facts, page: &mut Page) {
    page.heading(2, "Authorship");
    page.heading(3, "Publishers");
    page.list(&facts.publisher.iter().map(party).collect::<Vec<_>>());
    page.heading(3, "Owners");
    page.list(&facts.creators.iter().map(party).collect::<Vec<_>>());
    page.heading(3, "Funding");
    page.note(facts.notes.funding.as_ref(), "who paid for the dataset");
}

fn party(party: &Party) -> String {
    let mut text = known_text(&party.name);
    if let Some(url) = party.url.as_deref().filter(|url| is_web_url(url)) {
        text.push_str(&format!(", {}", link(url)));
    }
    if let Some(email) = &party.email {
        text.push_str(&format!(", {}", escape(email)));
    }
    text
}

/// Escaped, or "not known".
fn known_text(text: &str) -> String {
    if text.trim().is_empty() { NOT_KNOWN.to_owned() } else { escape(text) }
}

/// An optional count, or "not known".
fn known_count(value: Option<u64>) -> String {
    value.map_or_else(|| NOT_KNOWN.to_owned(), count)
}
