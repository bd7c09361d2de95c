//! Undeclared fields, counted by path: `tideline.refine.rows.drift_of`.

use std::collections::{HashMap, HashSet};

/// Paths that are counted one by one; the others count together.
const MAX_PATHS: usize = 1000;
/// Characters of a path that are kept.
const SHORT: usize = 300;

/// Path → (records that have it, its type in the first), in the order in which they were met.
#[derive(Default)]
pub struct Drift {
    places: HashMap<String, usize>,
    found: Vec<(String, u64, String)>,
}

impl Drift {
    /// Count the undeclared fields of one record.
    pub fn add<'p>(&mut self, fields: impl Iterator<Item = (&'p str, &'static str)> + Clone) {
        if !fields.clone().any(|(path, _)| path.contains('[')) {
            return fields.for_each(|(path, kind)| self.count(path, kind));
        }
        let mut met = HashSet::new();
        for (path, kind) in fields {
            let path = without_indices(path);
            if met.insert(path.clone()) {
                self.count(&path, kind);
            }
        }
    }

    /// What was counted, leaving nothing.
    pub fn take(&mut self) -> Vec<(String, u64, String)> {
        self.places.clear();
        std::mem::take(&mut self.found)
    }

    fn count(&mut self, path: &str, kind: &str) {
        let path = shortened(path);
        if let Some(&place) = self.places.get(path.as_str()) {
            self.found[place].1 += 1;
        } else if self.found.len() >= MAX_PATHS {
            self.count_other();
        } else {
            self.places.insert(path.clone(), self.found.len());
            self.found.push((path, 1, kind.to_owned()));
        }
    }

    fn count_other(&mut self) {
        match self.places.get("…") {
            Some(&place) => self.found[place].1 += 1,
            None => {
                self.places.insert("…".to_owned(), self.found.len());
                self.found
                    .push(("…".to_owned(), 1, format!("more than {MAX_PATHS} paths")));
            }
        }
    }
}

fn shortened(path: &str) -> String {
    if path.len() <= SHORT || path.chars().count() <= SHORT {
        return path.to_owned();
    }
    path.chars().take(SHORT - 1).chain(['…']).collect()
}

/// `items[7].by` as `items[].by`.
fn without_indices(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(open) = rest.find('[') {
        let (before, from) = rest.split_at(open + 1);
        out.push_str(before);
        let digits = from.bytes().take_while(u8::is_ascii_digit).count();
        rest = if digits > 0 && from[digits..].starts_with("].") {
            &from[digits..]
        } else {
            from
        };
    }
    out.push_str(rest);
    out
}
