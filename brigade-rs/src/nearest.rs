//! Finds the known name that a mistyped one most likely meant.

/// `" (did you mean ...?)"` with the name of `known` that has the fewest edits from `given`, the
/// first of equals; empty where even that one has more than a slip of the fingers makes.
pub fn hint<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    // A long text is no slip of the fingers: its start is enough, and keeps the cost small.
    let given: Vec<char> = given.chars().take(64).collect();
    known
        .into_iter()
        .map(|name| (edits(&given, name), name))
        .min_by_key(|(edits, _)| *edits)
        .filter(|(edits, _)| *edits <= 1 + given.len() / 3)
        .map_or_else(String::new, |(_, name)| format!(" (did you mean {name:?}?)"))
}

/// Levenshtein's distance.
fn edits(given: &[char], name: &str) -> usize {
    let mut row: Vec<usize> = (0..=given.len()).collect();
    for (i, letter) in name.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &g) in given.iter().enumerate() {
            let substitute = diagonal + usize::from(g != letter);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[given.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_at_the_least_edited_name() {
        let known = ["default", "easy", "hard"];
        assert_eq!(hint("defualt", known), " (did you mean \"default\"?)");
        assert_eq!(hint("esay", known), " (did you mean \"easy\"?)");
        assert_eq!(hint("Hard", known), " (did you mean \"hard\"?)");
    }

    #[test]
    fn hints_at_nothing_that_is_not_close() {
        for given in ["", "x", "nowhere", "something_else"] {
            assert_eq!(hint(given, ["default", "easy", "hard"]), "");
        }
        assert_eq!(hint("x", []), "");
    }
}
