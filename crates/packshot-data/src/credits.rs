//! Whose work a training set is made of.

use crate::record::Record;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The objects of one author under one licence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credit {
    /// Who made them, as the catalogue gives it; empty where it does not say.
    pub attribution: String,
    /// SPDX expression; empty where the catalogue does not say.
    pub licence: String,
    /// Where they were obtained; empty where the catalogue does not say.
    pub source: String,
    /// Number of objects.
    pub objects: usize,
}

/// The authors of the objects, those with most objects first.
pub fn credits<'a>(records: impl IntoIterator<Item = &'a Record>) -> Vec<Credit> {
    let mut list: Vec<Credit> = grouped(records)
        .into_iter()
        .map(|((attribution, licence, source), ids)| Credit {
            attribution: attribution.to_owned(),
            licence: licence.to_owned(),
            source: source.to_owned(),
            objects: ids.len(),
        })
        .collect();
    // Stable: equal counts stay in alphabetical order.
    list.sort_by_key(|credit| std::cmp::Reverse(credit.objects));
    list
}

/// `CREDITS.md`: the authors as a table, then the objects of each.
pub(crate) fn credits_text<'a>(records: impl IntoIterator<Item = &'a Record> + Clone) -> String {
    let mut text = String::from(
        "# Credits\n\nThe pictures and clouds of this training set were made from the meshes of these authors. \
         Each mesh was centred, scaled, rendered and sampled.\n\n\
         | author | licence | source | objects |\n|---|---|---|---|\n",
    );
    let cell = |s: &str| match s.replace('|', "\\|").replace(['\n', '\r'], " ") {
        empty if empty.trim().is_empty() => "not stated".to_owned(),
        text => text,
    };
    for credit in credits(records.clone()) {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            cell(&credit.attribution),
            cell(&credit.licence),
            cell(&credit.source),
            credit.objects
        );
    }
    for ((attribution, licence, source), ids) in grouped(records) {
        let _ = writeln!(
            text,
            "\n## {} ({})\n\nFrom {}: {}",
            cell(attribution),
            cell(licence),
            cell(source),
            ids.join(", ")
        );
    }
    text
}

type Author<'a> = (&'a str, &'a str, &'a str);

fn grouped<'a>(
    records: impl IntoIterator<Item = &'a Record>,
) -> BTreeMap<Author<'a>, Vec<&'a str>> {
    let mut groups: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for r in records {
        groups
            .entry((
                r.attribution.as_str(),
                r.licence.as_str(),
                r.source.as_str(),
            ))
            .or_default()
            .push(&r.id);
    }
    groups
}
