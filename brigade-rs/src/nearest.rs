//! Finds the known name that a mistyped one most likely meant.

/// The name of `known` with the fewest edits from `given`; the first of equals.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> &'a str {
    // A long text is no slip of the fingers: its start is enough, and keeps the cost small.
    let given: Vec<char> = given.chars().take(64).collect();
    known.into_iter().min_by_key(|name| edits(&given, name)).unwrap_or("")
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
    fn finds_the_least_edited_name() {
        let known = ["default", "easy", "hard"];
        assert_eq!(nearest("defualt", known), "default");
        assert_eq!(nearest("Hard", known), "hard");
        assert_eq!(nearest("", known), "easy");
        assert_eq!(nearest("x", []), "");
    }
}
