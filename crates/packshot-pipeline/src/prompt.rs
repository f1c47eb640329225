//! What a prompt may be.

use packshot_core::{Error, Result};

/// Longest prompt in characters. The networks read a dozen words; what is longer than this is a
/// file given by mistake.
pub const MAX_PROMPT_CHARS: usize = 1000;

/// The prompt with its white space made single.
///
/// # Errors
/// `Usage` when nothing is left of it or it is too long.
pub fn checked_prompt(text: &str) -> Result<String> {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|w| !w.is_empty())
        .collect();
    let prompt = words.join(" ");
    if prompt.is_empty() {
        return Err(Error::usage("the prompt is empty")
            .with_hint("say what to make, such as \"a red armchair\""));
    }
    let length = prompt.chars().count();
    if length > MAX_PROMPT_CHARS {
        return Err(Error::usage(format!(
            "the prompt has {length} characters; at most {MAX_PROMPT_CHARS} are read"
        ))
        .with_hint("say the product and its colour in a few words"));
    }
    Ok(prompt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_becomes_single_and_limits_hold() {
        assert_eq!(checked_prompt(" a\tred\n\nchair ").unwrap(), "a red chair");
        assert_eq!(checked_prompt("红色 🪑").unwrap(), "红色 🪑");
        for wrong in ["", "  \n ", &"x".repeat(MAX_PROMPT_CHARS + 1)] {
            let error = checked_prompt(wrong).unwrap_err();
            assert_eq!(error.kind(), packshot_core::ErrorKind::Usage);
        }
        checked_prompt(&"椅".repeat(MAX_PROMPT_CHARS)).unwrap();
    }
}
