//! What is in the data card.

use super::super::*;
use super::made::{everything, least};

/// Headings in order.
fn headings(card: &str) -> Vec<&str> {
    card.lines().filter(|line| line.starts_with('#')).collect()
}

#[test]
fn a_card_of_nothing_has_all_headings_of_a_card_of_everything_and_says_what_is_not_known() {
    let (least, all) = (markdown(&Facts::default()), markdown(&everything()));
    assert_eq!(headings(&least)[1..], headings(&all)[1..]);
    assert!(least.starts_with("# Data card: not known\n"));
    assert!(least.contains("- Image-text pairs: not known\n"));
    assert!(least.contains("\n## Sampling methods\n\nNo balancing is known.\n"));
    assert!(least.contains("\n### Funding\n\n*To be written by a person: who paid for the dataset.*\n"));
    assert!(!least.contains('|'), "a table of nothing");
    let sections: Vec<&str> = headings(&all).into_iter().filter(|line| line.starts_with("## ")).collect();
    let expected = [
        "## Authorship",
        "## Overview",
        "## Example data points",
        "## Motivations and intentions",
        "## Access, retention, wipeout",
        "## Provenance",
        "## Human and other sensitive attributes",
        "## Extended use",
        "## Transformations",
        "## Annotations",
        "## Validation",
        "## Sampling methods",
        "## Known applications and benchmarks",
        "## Terms",
        "## Reflections",
    ];
    assert_eq!(sections, expected);
}

#[test]
fn a_card_opens_with_what_a_stranger_asks_first() {
    let expected = "# Data card: shapes

Coloured shapes with captions.

- Image-text pairs: 1,234
- Files: 5 (5,015 bytes)
- Licence: <https://creativecommons.org/licenses/by/4.0/>
- Web page: <https://example.org/shapes>
- Version: 1.2.0
- Published: 2025-01-31
- Made: 2025-01-30T12:00:00Z

## Authorship

### Publishers

- A. Person, <https://example.org>, data&#64;example.org

### Owners

- Example
";
    let card = markdown(&everything());
    assert!(card.starts_with(expected), "{}", &card[..expected.len()]);
}

#[test]
fn counts_are_tables_with_shares_and_the_rest() {
    let card = markdown(&everything());
    let languages = "#### Language of the caption

| Language | Pairs | Share |
| --- | ---: | ---: |
| en | 1,000 | 81.04 % |
| de | 200 | 16.21 % |
| un | 34 | 2.76 % |
";
    assert!(card.contains(languages), "{card}");
    let domains = "Different domains: 40.

| Domain | Pairs | Share |
| --- | ---: | ---: |
| a.example | 617 | 50.00 % |
| b.example | 100 | 8.10 % |
| 38 others | 517 | 41.90 % |
";
    assert!(card.contains(domains), "{card}");
    assert!(card.contains("#### What the page says of the licence\n\nNone.\n"), "counted, and none was found");
    assert!(card.contains("| 512 px or more | 234 | 18.96 % |\n"));
    assert!(card.contains("| (none) | 334 | 27.07 % |\n"));
}

#[test]
fn the_funnel_the_cuts_and_the_balance_are_tables() {
    let card = markdown(&everything());
    let funnel = "| Stage | Pairs in | Kept | Share |
| --- | ---: | ---: | ---: |
| source | 2,000 | 2,000 | 100.00 % |
| `2.keep` | 2,000 | 1,500 | 75.00 % |
| `3.fetch` | 1,500 | 1,234 | 82.27 % |
| waiting for a later round | 5 |  |  |
| the dataset | 2,000 | 1,234 | 61.70 % |

Why pairs were lost:

| Stage | Reason | Pairs | Share of the source |
| --- | --- | ---: | ---: |
| `2.keep` | `words(text) > 2` | 500 | 25.00 % |
";
    assert!(card.contains(funnel), "{card}");
    assert!(card.contains("| de | 300 | 100 | 33.33 % |\n"));
    assert!(card.contains("| square | 0.45 | 0.305 | 0.44 |\n"));
    assert!(card.contains("- 4.keep: kept rows with \\`towers\\` at least 0.28 (percentile 70)\n"));
    assert!(card.contains("| `towers_img` | `Float16[4]` | not known (`example/towers`) |\n"));
    assert!(card.contains("To test cards.\n\nAnd nothing else.\n"));
    assert!(card.contains("- Pairs left out because text and data mining is reserved: not known\n"));
}

#[test]
fn a_card_needs_no_more_than_a_croissant_file_does() {
    assert!(markdown(&least()).contains("### Owners\n\n- Example\n"));
}
