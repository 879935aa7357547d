//! Subjects with wildcards: which catch which. `*` is one token, `>` all that follow, at least one.

/// Whether some subject is caught by both.
#[must_use]
pub fn overlaps(a: &str, b: &str) -> bool {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        match (a.next(), b.next()) {
            (None, None) | (Some(">"), Some(_)) | (Some(_), Some(">")) => return true,
            (Some(x), Some(y)) if x == y || x == "*" || y == "*" => {}
            _ => return false,
        }
    }
}

/// Whether every subject that `narrow` catches is caught by `wide`. A subject without wildcards is caught where this is true.
#[must_use]
pub fn covers(wide: &str, narrow: &str) -> bool {
    let (mut wide, mut narrow) = (wide.split('.'), narrow.split('.'));
    loop {
        match (wide.next(), narrow.next()) {
            (None, None) | (Some(">"), Some(_)) => return true,
            (Some(w), Some(n)) if n != ">" && (w == n || w == "*") => {}
            _ => return false,
        }
    }
}

/// What is wrong with a pattern, if anything is.
///
/// # Errors
/// A text: an empty token, a blank, a wildcard that is not a token of its own, or `>` before the end.
pub fn check(pattern: &str) -> Result<(), String> {
    let bad = |why: &str| Err(format!("{pattern:?} is no subject: {why}"));
    let mut tokens = pattern.split('.').peekable();
    while let Some(token) = tokens.next() {
        match token {
            "" => return bad("it has an empty token"),
            ">" if tokens.peek().is_some() => return bad("> must be its last token"),
            "*" | ">" => {}
            _ if token.chars().any(|c| c.is_whitespace() || c.is_control()) => return bad("it has a blank"),
            _ if token.contains(['*', '>']) => return bad("a wildcard must be a token of its own"),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_overlap_where_one_subject_fits_both() {
        for (a, b) in [("a.b", "a.b"), ("a.*", "*.b"), ("a.>", "a.b.c"), (">", "a"), ("a.*.c", "a.b.>")] {
            assert!(overlaps(a, b) && overlaps(b, a), "{a} {b}");
        }
        for (a, b) in [("a.b", "a.c"), ("a.>", "a"), ("a.*", "a.b.c"), ("a.*.score", "a.*.health"), ("a", "a.b")] {
            assert!(!overlaps(a, b) && !overlaps(b, a), "{a} {b}");
        }
    }

    #[test]
    fn a_pattern_covers_what_is_narrower() {
        for (wide, narrow) in [(">", "a.>"), ("a.>", "a.b.*"), ("a.*", "a.b"), ("a.*", "a.*"), ("a.*.c", "a.b.c"), ("a.>", "a.>")] {
            assert!(covers(wide, narrow), "{wide} {narrow}");
        }
        for (wide, narrow) in [("a.*", "a.>"), ("a.b", "a.*"), ("a.>", "a"), ("a.*", "a.b.c"), ("a.b.c", "a.b")] {
            assert!(!covers(wide, narrow), "{wide} {narrow}");
        }
    }

    #[test]
    fn what_is_no_subject_is_said() {
        for good in ["a", "a.*.b", "a.>", "$JS.EVENT.>"] {
            assert_eq!(check(good), Ok(()));
        }
        for bad in ["", "a..b", ".a", "a.", "a b", "a.>.b", "a*", "a.b>"] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }
}
