//! Words that say that a picture or a model is wanted, not of what.

use super::normalise::Token;

const ARTICLES: &[&str] = &["a", "an", "the"];

/// Requests, politeness, possession and praise: nothing of it can be drawn.
const FILLERS: &[&str] = &[
    "amazing",
    "am",
    "are",
    "awesome",
    "be",
    "beautiful",
    "best",
    "build",
    "cool",
    "could",
    "create",
    "design",
    "draw",
    "generate",
    "gorgeous",
    "great",
    "hello",
    "her",
    "hi",
    "his",
    "i",
    "is",
    "just",
    "lovely",
    "make",
    "me",
    "my",
    "need",
    "nice",
    "our",
    "perfect",
    "please",
    "produce",
    "really",
    "show",
    "some",
    "stunning",
    "thank",
    "thanks",
    "that",
    "these",
    "this",
    "those",
    "very",
    "want",
    "we",
    "wonderful",
    "would",
    "you",
    "your",
];

/// What a depiction is called ("a photo of", "3d scan of").
const DEPICTIONS: &[&str] = &[
    "asset",
    "cloud",
    "drawing",
    "icon",
    "illustration",
    "image",
    "mesh",
    "model",
    "mockup",
    "photo",
    "photograph",
    "photography",
    "pic",
    "picture",
    "render",
    "rendering",
    "scan",
    "shot",
    "sketch",
    "view",
];

/// What goes with a depiction ("high quality studio photo of").
const DESCRIBERS: &[&str] = &[
    "3d",
    "3dimensional",
    "and",
    "blender",
    "cg",
    "cgi",
    "clean",
    "close",
    "closeup",
    "colour",
    "commercial",
    "detailed",
    "dimensional",
    "game",
    "hd",
    "high",
    "highly",
    "isometric",
    "low",
    "lowpoly",
    "packshot",
    "photorealistic",
    "point",
    "poly",
    "polygon",
    "product",
    "professional",
    "quality",
    "realistic",
    "resolution",
    "simple",
    "stock",
    "studio",
    "three",
    "up",
];

/// Runs of words that are dropped wherever they stand.
const ANYWHERE: &[&[&str]] = &[
    &["low", "poly"],
    &["low", "polygon"],
    &["lowpoly"],
    &["3d", "model"],
    &["3d", "render"],
    &["3d", "rendering"],
    &["3d", "scan"],
    &["3d", "asset"],
    &["3d"],
    &["point", "cloud"],
    &["product", "shot"],
    &["product", "photo"],
    &["product", "photography"],
    &["product", "render"],
    &["packshot"],
    &["studio", "lighting"],
    &["studio", "light"],
    &["soft", "lighting"],
    &["high", "quality"],
    &["high", "resolution"],
    &["highly", "detailed"],
    &["high", "detail"],
    &["best", "quality"],
    &["octane", "render"],
    &["photorealistic"],
    &["photo", "realistic"],
    &["hyperrealistic"],
    &["4k"],
    &["8k"],
    &["hd"],
];

/// Words that may stand between "on" and "background".
const BACKGROUND: &[&str] = &[
    "a",
    "an",
    "the",
    "white",
    "black",
    "grey",
    "gray",
    "plain",
    "pure",
    "clean",
    "solid",
    "simple",
    "neutral",
    "transparent",
    "studio",
    "seamless",
    "blank",
    "isolated",
    "light",
    "dark",
];

/// Takes out everything that does not belong to the thing itself.
pub(super) fn strip(tokens: &mut Vec<Token>) {
    drop_backgrounds(tokens);
    drop_depiction(tokens);
    drop_anywhere(tokens);
    drop_single(tokens);
    if matches!(tokens.first().map(|t| t.text.as_str()), Some("can"))
        && matches!(
            tokens.get(1).map(|t| t.text.as_str()),
            Some("you" | "i" | "we")
        )
    {
        remove(tokens, 0, 2);
    }
    let mut i = 0;
    while i < tokens.len() {
        let text = tokens[i].text.as_str();
        if ARTICLES.contains(&text) || FILLERS.contains(&text) {
            remove(tokens, i, 1);
        } else {
            i += 1;
        }
    }
}

/// Removes `count` tokens from `start`; a clause break before them stays.
fn remove(tokens: &mut Vec<Token>, start: usize, count: usize) {
    let broke = tokens[start..start + count].iter().any(|t| t.after_break);
    tokens.drain(start..start + count);
    if let Some(next) = tokens.get_mut(start) {
        next.after_break |= broke;
    }
}

/// "isolated on a plain white background": the colour there is not the product's.
fn drop_backgrounds(tokens: &mut Vec<Token>) {
    while let Some(end) = tokens
        .iter()
        .position(|t| matches!(t.text.as_str(), "background" | "backdrop" | "backgrounds"))
    {
        let mut start = end;
        while start > 0 && BACKGROUND.contains(&tokens[start - 1].text.as_str()) {
            start -= 1;
        }
        // "on", "with", "against", "in front of" lead the phrase; "isolated" may come before.
        while start > 0
            && matches!(
                tokens[start - 1].text.as_str(),
                "on" | "in" | "with" | "against" | "over" | "isolated" | "front" | "of"
            )
        {
            start -= 1;
        }
        remove(tokens, start, end + 1 - start);
    }
}

/// "a high quality 3d model of" at the start, up to the "of".
fn drop_depiction(tokens: &mut Vec<Token>) {
    let mut seen = false;
    for i in 0..tokens.len().min(12) {
        let text = tokens[i].text.as_str();
        if text == "of" {
            if seen && i + 1 < tokens.len() {
                remove(tokens, 0, i + 1);
                drop_depiction(tokens);
            }
            return;
        }
        let depiction = DEPICTIONS.contains(&text);
        seen |= depiction;
        if !(depiction
            || DESCRIBERS.contains(&text)
            || ARTICLES.contains(&text)
            || FILLERS.contains(&text)
            || BACKGROUND.contains(&text))
        {
            return;
        }
    }
}

fn drop_anywhere(tokens: &mut Vec<Token>) {
    let mut i = 0;
    while i < tokens.len() {
        let found = ANYWHERE.iter().find(|run| {
            tokens[i..].len() >= run.len()
                && tokens[i..]
                    .iter()
                    .zip(run.iter())
                    .all(|(t, r)| t.text == *r)
        });
        match found {
            Some(run) => remove(tokens, i, run.len()),
            None => i += 1,
        }
    }
}

/// "a single red apple" says nothing new, "a single bed" does.
fn drop_single(tokens: &mut Vec<Token>) {
    let kept = [
        "bed", "mattress", "sofa", "couch", "sink", "oven", "door", "room", "malt", "bunk",
    ];
    let mut i = 0;
    while i < tokens.len() {
        let next = tokens.get(i + 1).map(|t| t.text.as_str());
        if tokens[i].text == "single" && next.is_some_and(|n| !kept.contains(&n)) {
            remove(tokens, i, 1);
        } else {
            i += 1;
        }
    }
}
