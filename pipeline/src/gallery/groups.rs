//! Groups of near-duplicates as pictures, and pairs of rows and references that they resemble.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;
use trommel_shards::subset::Uid128;

use super::{Pictures, Shown, page};
use crate::select::{Inputs, SelectError, Selected, uids_of};

/// A row of a group: its name, the lines below its picture, whether it is the one that stays.
type Member = (Uid128, Vec<String>, bool);

/// The page of what a selection found out about near-duplicates; `None` when it has not looked for any, or found none. Blocks.
///
/// # Errors
/// When the metadata cannot be read again.
pub fn groups_page(inputs: &Inputs, selected: &Selected) -> Result<Option<String>, SelectError> {
    let mut groups: Vec<(String, Vec<Member>)> = Vec::new();
    for finding in &selected.findings {
        let uid = |value: &Value| value.as_str().and_then(Uid128::parse);
        let number = |value: &Value| value.as_f64().map(|number| format!("similarity {number:.3}"));
        for group in finding.found["near"]["largest"].as_array().into_iter().flatten() {
            let Some(kept) = uid(&group["kept"]) else { continue };
            let mut members = vec![(kept, vec!["kept".to_owned()], true)];
            for other in group["others"].as_array().into_iter().flatten() {
                members.extend(uid(&other["uid"]).map(|of| (of, number(&other["similarity"]).into_iter().collect(), false)));
            }
            groups.push((format!("{}: {} rows", finding.stage, group["members"]), members));
        }
        for by in ["pictures", "vectors"] {
            let pairs = finding.found["decontaminate"][by]["pairs"].as_array().into_iter().flatten();
            let members: Vec<Member> = pairs
                .filter_map(|pair| {
                    let reference = pair["reference"].as_str().unwrap_or_default().to_owned();
                    Some((uid(&pair["uid"])?, std::iter::once(reference).chain(number(&pair["similarity"])).collect(), false))
                })
                .collect();
            if !members.is_empty() {
                groups.push((format!("{}: rows that resemble references, by {by}", finding.stage), members));
            }
        }
    }
    if groups.is_empty() {
        return Ok(None);
    }
    let wanted: BTreeSet<u128> = groups.iter().flat_map(|(_, members)| members.iter().map(|(uid, ..)| uid.0)).collect();
    let mut places: HashMap<u128, (String, u64)> = HashMap::new();
    for (at, file) in inputs.files.iter().enumerate() {
        if places.len() == wanted.len() {
            break;
        }
        for (row, uid) in uids_of(inputs, at)?.into_iter().enumerate() {
            if wanted.contains(&uid.0) {
                places.entry(uid.0).or_insert((file.uri.clone(), row as u64));
            }
        }
    }
    let pictures = Pictures::find(&places.values().cloned().collect::<Vec<_>>());
    let shown = groups.into_iter().map(|(heading, members)| {
        let shown = members.into_iter().map(|(uid, lines, marked)| {
            let picture = places.get(&uid.0).and_then(|(file, row)| pictures.get(file, *row));
            let picture = picture.map(|(ending, bytes)| (ending.to_owned(), bytes.to_vec()));
            Shown { picture, url: None, lines: std::iter::once(uid.to_string()).chain(lines).collect(), marked }
        });
        (heading, shown.collect())
    });
    let intro = "The largest groups first; the framed picture is the one that stays.";
    Ok(Some(page("Near-duplicates", intro, &shown.collect::<Vec<_>>())))
}
