//! Foreign text in messages.

/// At most 80 characters of a name or value from a file.
pub(crate) fn shorten(text: &str) -> String {
    cut(text, 80)
}

/// What a library says about a file, as one line of at most 200 characters.
pub(crate) fn one_line(message: &dyn std::fmt::Display) -> String {
    let text = message.to_string();
    let words: Vec<&str> = text.split_whitespace().collect();
    cut(&words.join(" "), 200)
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
