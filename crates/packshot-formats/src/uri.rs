//! References from one file to others: `data:` URIs and relative paths.

use crate::input::read_file;
use crate::words::shorten;
use packshot_core::{Error, Result};
use std::path::{Component, Path, PathBuf};

/// The bytes that `uri` stands for: a base64 `data:` URI, or a file in `folder` or below it.
/// `None` as folder refuses files, for sources in memory.
pub(crate) fn fetch(uri: &str, folder: Option<&Path>) -> Result<Vec<u8>> {
    if let Some(rest) = strip_scheme(uri, "data:") {
        let (head, body) = rest
            .split_once(',')
            .ok_or_else(|| Error::bad_input("a data: URI without a comma"))?;
        return if head.to_ascii_lowercase().ends_with(";base64") {
            base64(body).ok_or_else(|| Error::bad_input("a data: URI with broken base64"))
        } else {
            percent_decoded(body)
                .ok_or_else(|| Error::bad_input("a data: URI with a broken % escape"))
        };
    }
    let path = resolve(uri, folder)?;
    read_file(&path)
}

/// The path of a relative URI, which must stay within `folder`.
pub(crate) fn resolve(uri: &str, folder: Option<&Path>) -> Result<PathBuf> {
    let decoded = percent_decoded(uri)
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| Error::bad_input(format!("\"{}\" is no valid URI", shorten(uri))))?;
    resolve_path(&decoded, folder)
}

/// The path of a plain relative file name (no escapes), which must stay within `folder`.
pub(crate) fn resolve_path(name: &str, folder: Option<&Path>) -> Result<PathBuf> {
    let folder = folder.ok_or_else(|| {
        Error::unsupported(format!(
            "\"{}\" is another file, which data in memory cannot refer to",
            shorten(name)
        ))
        .with_hint("read the file from its folder, or embed what it refers to (a .glb does)")
    })?;
    let outside = || {
        Error::bad_input(format!(
            "\"{}\" lies outside the file's own folder",
            shorten(name)
        ))
        .with_hint("put the files that belong together into one folder")
    };
    // Windows exporters write backslashes; a name that holds one on purpose is rarer.
    let relative = PathBuf::from(name.replace('\\', "/"));
    let plain = relative
        .components()
        .all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    if !plain
        || name.contains("://")
        || name.contains('\0')
        || name.as_bytes().get(1) == Some(&b':')
    {
        return Err(outside());
    }
    let path = folder.join(relative);
    // A link may still lead outside.
    let failed = |e| Error::io(format!("read {}", path.display()), e);
    let real = path.canonicalize().map_err(failed)?;
    let root = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let root = root.canonicalize().map_err(failed)?;
    if real.starts_with(root) {
        Ok(path)
    } else {
        Err(outside())
    }
}

fn strip_scheme<'a>(uri: &'a str, scheme: &str) -> Option<&'a str> {
    let (head, rest) = uri.split_at_checked(scheme.len())?;
    head.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// RFC 3986 percent-decoding; `None` for a `%` without two hexadecimal digits.
fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(if byte == b'%' {
            let high = char::from(bytes.next()?).to_digit(16)?;
            let low = char::from(bytes.next()?).to_digit(16)?;
            (high * 16 + low) as u8
        } else {
            byte
        });
    }
    Some(out)
}

/// RFC 4648 base64, both alphabets, padding optional, white space ignored.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let mut bits = 0u32;
    let mut held = 0u32;
    for byte in text.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'\r' | b'\n' | b' ' | b'\t' => continue,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    (held < 6).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_decodes_every_length() {
        for (text, want) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg", "foob"),
            ("Zm9v\r\nYmFy", "foobar"),
        ] {
            assert_eq!(base64(text).as_deref(), Some(want.as_bytes()), "{text}");
        }
        assert_eq!(base64("Z"), None);
        assert_eq!(base64("Zm9v*"), None);
    }

    #[test]
    fn references_stay_in_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a b.bin"), b"x").unwrap();
        let inside = fetch("a%20b.bin", Some(folder.path())).unwrap();
        assert_eq!(inside, b"x");
        for uri in [
            "../a.bin",
            "/etc/hostname",
            "..%2Fa.bin",
            "x\\..\\..\\a.bin",
            "file:///etc/hostname",
            "https://example.org/a.bin",
            "C:\\a.bin",
            "%zz",
            "a%00b",
        ] {
            let error = fetch(uri, Some(folder.path())).unwrap_err();
            assert_eq!(error.kind(), packshot_core::ErrorKind::BadInput, "{uri}");
        }
        assert!(fetch("a%20b.bin", None).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_leads_outside_is_refused() {
        let outside = tempfile::tempdir().unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), b"x").unwrap();
        std::os::unix::fs::symlink(
            outside.path().join("secret"),
            folder.path().join("link.bin"),
        )
        .unwrap();
        let error = fetch("link.bin", Some(folder.path())).unwrap_err();
        assert_eq!(error.kind(), packshot_core::ErrorKind::BadInput);
    }
}
