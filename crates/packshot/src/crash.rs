//! A fault in Packshot itself becomes an error like any other, with a request to report it.

use packshot_core::Error;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;

/// What the last panic said. The hook only takes note: a panic that a library catches (a picture
/// decoder on a broken file) is no fault and must not be shown.
static LAST_PANIC: Mutex<Option<String>> = Mutex::new(None);

/// Takes note of panics instead of printing them.
pub(crate) fn install_hook() {
    std::panic::set_hook(Box::new(|info| {
        let payload = info.payload();
        let what = payload
            .downcast_ref::<&str>()
            .map(|s| (*s).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "unknown".to_owned());
        let text = match info.location() {
            Some(place) => format!("{what} ({}:{})", place.file(), place.line()),
            None => what,
        };
        if let Ok(mut last) = LAST_PANIC.lock() {
            *last = Some(text);
        }
    }));
}

/// Runs `work`; a panic becomes an error of kind [`packshot_core::ErrorKind::Internal`].
pub(crate) fn guard<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    std::panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let what = LAST_PANIC
            .lock()
            .ok()
            .and_then(|mut last| last.take())
            .unwrap_or_else(|| "unknown".to_owned());
        Err(
            Error::internal(format!("a fault in Packshot itself: {what}")).with_hint(format!(
                "please report this text and the command at {}/issues",
                env!("CARGO_PKG_REPOSITORY")
            )),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use packshot_core::ErrorKind;

    #[test]
    fn a_panic_becomes_an_error_that_asks_for_a_report() {
        install_hook();
        let error = guard::<()>(|| panic!("index out of bounds")).unwrap_err();
        let _ = std::panic::take_hook();
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(error.to_string().contains("index out of bounds"), "{error}");
        assert!(error.hint().unwrap().contains("report"));
    }
}
