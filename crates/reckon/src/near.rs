//! Names that were probably meant.

/// The name that is most like the wanted one: one that differs in at most two letters, else one that begins with it.
pub(crate) fn nearest<'a>(wanted: &str, names: &'a [String]) -> Option<&'a String> {
    names
        .iter()
        .filter_map(|name| match distance(wanted, name) {
            near @ 0..=2 => Some((near, name)),
            _ if !wanted.is_empty() && name.starts_with(wanted) => Some((3, name)),
            _ => None,
        })
        .min()
        .map(|(_, name)| name)
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let cost = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_two_letters_wrong_or_cut_short_is_found() {
        let names = ["checkout", "cart", "checkout-7d9f-x2k4"].map(str::to_owned);
        let near = |wanted: &str| nearest(wanted, &names).map(String::as_str);
        assert_eq!(near("chekout"), Some("checkout"));
        assert_eq!(near("hceckout"), Some("checkout"));
        assert_eq!(near("checkout-7d9f"), Some("checkout-7d9f-x2k4"));
        assert_eq!(near("frontend"), None);
        assert_eq!(near(""), None);
    }
}
