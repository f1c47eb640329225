//! Messages of the running job on stderr: bars, warnings, details, the share of each stage.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use packshot_core::{Message, Progress, Warning};
use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Shows the messages of a job on stderr; bars only where that is a terminal.
pub(crate) struct Terminal {
    quiet: bool,
    verbose: bool,
    draws_bars: bool,
    bars: MultiProgress,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: HashMap<String, ProgressBar>,
    finished: Vec<Finished>,
    warnings: Vec<Warning>,
    /// GFLOP/s of the multiply-add loop; measured once, when first asked for.
    peak_gflops: Option<f64>,
}

/// All runs of one stage.
struct Finished {
    stage: String,
    elapsed: Duration,
    flop: f64,
}

/// Share of the peak that a run is expected to reach, for the time that it says beforehand.
const EXPECTED_SHARE: f64 = 0.5;
/// Less work than this is done in no time on any machine, so its time is not worth measuring.
const WORTH_MEASURING_FLOP: f64 = 50e9;
/// Runs that take less than this are not announced.
const WORTH_SAYING_SECS: f64 = 2.0;

impl Terminal {
    pub(crate) fn new(quiet: bool, verbose: bool) -> Self {
        let draws_bars = !quiet && std::io::stderr().is_terminal();
        Self {
            quiet,
            verbose: verbose && !quiet,
            draws_bars,
            bars: MultiProgress::with_draw_target(ProgressDrawTarget::stderr()),
            state: Mutex::default(),
        }
    }

    /// Takes the bars away and prints what `-v` asked for.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        for (_, bar) in state.running.drain() {
            bar.finish_and_clear();
        }
        let finished = std::mem::take(&mut state.finished);
        if self.verbose && finished.iter().any(|f| f.flop > 0.0) {
            let peak = peak_gflops(&mut state);
            drop(state);
            self.say(&shares(&finished, peak));
        }
    }

    /// The warnings so far, for the JSON document.
    pub(crate) fn take_warnings(&self) -> Vec<Warning> {
        std::mem::take(&mut self.state().warnings)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves nothing half-done here.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prints above the bars. A stderr that cannot be written to is no reason to stop.
    fn say(&self, text: &str) {
        self.bars.suspend(|| {
            let _ = writeln!(std::io::stderr(), "{}", text.trim_end());
        });
    }

    fn started(&self, stage: String, total: Option<u64>) {
        if !self.draws_bars {
            return;
        }
        let bar = match total {
            Some(total) => ProgressBar::new(total).with_style(style(
                "{prefix:>12} {bar:30} {pos}/{len} {rate} {eta} left {msg}",
            )),
            None => ProgressBar::new_spinner()
                .with_style(style("{prefix:>12} {spinner} {pos} {rate} {elapsed} {msg}")),
        };
        let bar = self.bars.add(bar.with_prefix(stage.clone()));
        bar.enable_steady_tick(Duration::from_millis(200));
        if let Some(old) = self.state().running.insert(stage, bar) {
            old.finish_and_clear();
        }
    }

    fn finished(&self, stage: &str, elapsed: Duration, flop: f64) {
        let mut state = self.state();
        if let Some(bar) = state.running.remove(stage) {
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
        match state.finished.iter_mut().find(|f| f.stage == stage) {
            Some(known) => {
                known.elapsed += elapsed;
                known.flop += flop;
            }
            None => state.finished.push(Finished {
                stage: stage.to_owned(),
                elapsed,
                flop,
            }),
        }
    }

    fn cost(&self, flop: f64, memory_bytes: u64) {
        if !self.verbose && flop < WORTH_MEASURING_FLOP {
            return;
        }
        let peak = peak_gflops(&mut self.state());
        let secs = flop / (EXPECTED_SHARE * peak * 1e9);
        if self.verbose || secs >= WORTH_SAYING_SECS {
            self.say(&format!(
                "this needs about {}, {} of memory and {:.0} GFLOP of work",
                duration_text(secs),
                bytes_text(memory_bytes),
                flop / 1e9
            ));
        }
    }
}

impl Progress for Terminal {
    fn send(&self, message: Message) {
        match message {
            Message::Cost { flop, memory_bytes } if !self.quiet => self.cost(flop, memory_bytes),
            Message::StageStarted { stage, total } => self.started(stage, total),
            Message::Step { stage, done, note } => {
                if let Some(bar) = self.state().running.get(&stage) {
                    bar.set_position(done);
                    if let Some(note) = note {
                        bar.set_message(note);
                    }
                }
            }
            Message::StageFinished {
                stage,
                elapsed,
                flop,
            } => self.finished(&stage, elapsed, flop),
            Message::Warning(warning) => {
                if !self.quiet {
                    let mut text = format!("warning: {}", warning.text);
                    if let Some(hint) = &warning.hint {
                        text.push_str(&format!("\nhint: {hint}"));
                    }
                    self.say(&text);
                }
                self.state().warnings.push(warning);
            }
            Message::Detail(text) if self.verbose => self.say(&text),
            Message::Artefact(path) if self.verbose => {
                self.say(&format!("wrote {}", path.display()))
            }
            _ => {}
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants; a wrong one falls back to the plain bar.
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key(
            "rate",
            |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                let _ = write!(out, "{:.1}/s", state.per_sec());
            },
        )
}

fn peak_gflops(state: &mut State) -> f64 {
    *state
        .peak_gflops
        .get_or_insert_with(packshot_pipeline::machine::fma_peak_gflops)
}

/// The table of `-v`: what each stage took, and how much of the machine it used.
fn shares(finished: &[Finished], peak_gflops: f64) -> String {
    let total: f64 = finished.iter().map(|f| f.elapsed.as_secs_f64()).sum();
    let mut text = format!(
        "{:<12} {:>6} {:>9} {:>9} {:>9} {:>8}\n",
        "stage", "share", "seconds", "GFLOP", "GFLOP/s", "of peak"
    );
    let mut line = |name: &str, secs: f64, flop: f64| {
        let share = 100.0 * secs / total.max(f64::MIN_POSITIVE);
        let rate = flop / 1e9 / secs.max(1e-9);
        text.push_str(&format!("{name:<12} {share:>5.1}% {secs:>9.3} "));
        text.push_str(&if flop > 0.0 {
            format!(
                "{:>9.2} {rate:>9.1} {:>7.1}%\n",
                flop / 1e9,
                100.0 * rate / peak_gflops
            )
        } else {
            format!("{:>9} {:>9} {:>8}\n", "-", "-", "-")
        });
    };
    for stage in finished {
        line(&stage.stage, stage.elapsed.as_secs_f64(), stage.flop);
    }
    line("all", total, finished.iter().map(|f| f.flop).sum());
    text.push_str(&format!(
        "peak of fused multiply-adds on these threads: {peak_gflops:.0} GFLOP/s\n"
    ));
    text
}

fn duration_text(secs: f64) -> String {
    if secs < 90.0 {
        format!("{:.0} s", secs.max(1.0))
    } else if secs < 5400.0 {
        format!("{:.0} min", secs / 60.0)
    } else {
        format!("{:.1} h", secs / 3600.0)
    }
}

fn bytes_text(bytes: u64) -> String {
    if bytes < 1_000_000_000 {
        format!("{} MB", bytes.div_ceil(1_000_000))
    } else {
        format!("{:.1} GB", bytes as f64 / 1e9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_and_compare_with_the_peak() {
        let stage = |stage: &str, millis, flop| Finished {
            stage: stage.to_owned(),
            elapsed: Duration::from_millis(millis),
            flop,
        };
        let text = shares(
            &[stage("image", 750, 30e9), stage("points", 250, 0.0)],
            80.0,
        );
        assert!(
            text.contains("image         75.0%     0.750     30.00      40.0    50.0%"),
            "{text}"
        );
        assert!(
            text.contains("points        25.0%     0.250         -         -        -"),
            "{text}"
        );
        assert!(text.contains("all          100.0%     1.000"), "{text}");
    }

    #[test]
    fn repeated_stages_are_one_line() {
        let terminal = Terminal::new(true, false);
        for _ in 0..2 {
            terminal.send(Message::StageStarted {
                stage: "image".into(),
                total: Some(3),
            });
            terminal.send(Message::StageFinished {
                stage: "image".into(),
                elapsed: Duration::from_secs(1),
                flop: 2.0,
            });
        }
        let state = terminal.state();
        assert_eq!(state.finished.len(), 1);
        assert_eq!(state.finished[0].flop, 4.0);
    }
}
