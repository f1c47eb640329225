//! Which training steps a shorter run keeps.

use packshot_core::{Error, Result};
use std::collections::BTreeSet;

/// The training steps that `text` keeps of `steps`, rising.
///
/// `ddimN`: an integer stride that gives exactly N steps. `exacta,b,c`: those steps. `n` or
/// `a,b,c`: the process is cut in as many nearly equal sections as there are numbers, with that
/// many evenly spread steps in each (Point-E's `respacing`; Nichol and Dhariwal 2021). The empty
/// text keeps all.
///
/// # Errors
/// [`packshot_core::ErrorKind::Usage`] when the text cannot be read or asks for more steps than
/// there are.
pub fn respacing(text: &str, steps: usize) -> Result<Vec<usize>> {
    let wrong = |why: String| {
        Error::usage(format!("respacing \"{text}\": {why}"))
            .with_hint("write a number of steps, \"ddimN\", \"exacta,b,c\" or \"a,b,c\"")
    };
    let number = |part: &str| -> Result<usize> {
        part.trim()
            .parse()
            .map_err(|_| wrong(format!("\"{part}\" is no number")))
    };
    if text.is_empty() {
        return Ok((0..steps).collect());
    }
    if let Some(wanted) = text.strip_prefix("ddim") {
        let wanted = number(wanted)?;
        return (1..steps)
            .find(|stride| steps.div_ceil(*stride) == wanted)
            .map(|stride| (0..steps).step_by(stride).collect())
            .ok_or_else(|| wrong(format!("no integer stride gives {wanted} of {steps} steps")));
    }
    if let Some(list) = text.strip_prefix("exact") {
        let kept: BTreeSet<usize> = list.split(',').map(number).collect::<Result<_>>()?;
        if let Some(beyond) = kept.iter().find(|&&t| t >= steps) {
            return Err(wrong(format!("there is no step {beyond} of {steps}")));
        }
        return Ok(kept.into_iter().collect());
    }
    let counts: Vec<usize> = text.split(',').map(number).collect::<Result<_>>()?;
    let (size, longer) = (steps / counts.len(), steps % counts.len());
    let mut kept = BTreeSet::new();
    let mut start = 0;
    for (i, &count) in counts.iter().enumerate() {
        let size = size + usize::from(i < longer);
        if count == 0 || size < count {
            return Err(wrong(format!(
                "a section of {size} steps cannot keep {count}"
            )));
        }
        let stride = if count == 1 {
            1.0
        } else {
            (size - 1) as f64 / (count - 1) as f64
        };
        // Accumulated, not multiplied: the reference's rounding of halves depends on it.
        let mut place = 0.0f64;
        for _ in 0..count {
            kept.insert(start + place.round_ties_even() as usize);
            place += stride;
        }
        start += size;
    }
    Ok(kept.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_strides_and_lists() {
        assert_eq!(respacing("5", 9).unwrap(), [0, 2, 4, 6, 8]);
        assert_eq!(respacing("2,1", 5).unwrap(), [0, 2, 3]);
        assert_eq!(respacing("ddim4", 16).unwrap(), [0, 4, 8, 12]);
        assert_eq!(respacing("exact7,0,3", 8).unwrap(), [0, 3, 7]);
        assert_eq!(respacing("", 3).unwrap(), [0, 1, 2]);
    }

    #[test]
    fn what_cannot_be_kept_is_an_error() {
        for text in ["ddim15", "exact9", "17", "0", "3,-1", "three", ","] {
            assert!(respacing(text, 16 / 2).is_err(), "{text}");
        }
    }
}
