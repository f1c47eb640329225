//! MP4 through an installed ffmpeg.

use packshot_core::{Error, Result};
use packshot_formats::read_picture;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PROGRAM: &str = "ffmpeg";

/// Whether ffmpeg can be started.
pub(super) fn is_possible() -> bool {
    Command::new(PROGRAM)
        .arg("-version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The error where an MP4 is asked for and ffmpeg is not there.
pub(super) fn missing() -> Error {
    Error::usage("MP4 films need ffmpeg, which is not installed")
        .with_hint("install ffmpeg, or leave mp4 out: APNG, GIF and the frames need nothing")
}

/// Writes a film of pictures of one size; transparent ones are put on white. An odd side gets a
/// white line.
///
/// # Errors
/// Those of [`read_picture`]; `Io` when ffmpeg fails, with what it said.
pub(super) fn write_mp4(path: &Path, frames: &[PathBuf], delay_ms: u16) -> Result<()> {
    let Some(first) = frames.first() else {
        return Err(Error::bad_input("there are no frames to film"));
    };
    let first = read_picture(first)?;
    let size = format!("{}x{}", first.width(), first.height());
    let rate = format!("1000/{}", delay_ms.max(1));
    let failed = |e| Error::io(format!("run {PROGRAM} for {}", path.display()), e);
    let mut child = Command::new(PROGRAM)
        .args(["-loglevel", "error", "-y", "-f", "rawvideo"])
        .args(["-pixel_format", "rgb24", "-video_size", &size])
        .args(["-framerate", &rate, "-i", "-"])
        .args(["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2:color=white"])
        .args(["-pix_fmt", "yuv420p", "-movflags", "+faststart"])
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut written = Ok(());
    if let Some(mut input) = child.stdin.take() {
        for frame in frames {
            let image = read_picture(frame)?.on_background([255; 3]);
            written = input.write_all(image.data());
            if written.is_err() {
                break;
            }
        }
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return written.map_err(failed);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().last().unwrap_or("it says nothing");
    Err(Error::new(
        packshot_core::ErrorKind::Io,
        format!("ffmpeg could not write the film: {}", last.trim()),
    )
    .at(path.display())
    .with_hint("leave mp4 out of --formats, or install an ffmpeg with an H.264 encoder"))
}
