//! Ctrl-C, termination and kill.

use packshot_tests::{Place, signal};
use std::process::Child;
use std::time::{Duration, Instant};

/// Work that takes far longer than the test waits.
const LONG: [&str; 8] = [
    "generate",
    "a red chair",
    "-o",
    "x",
    "--image-steps",
    "1000",
    "--points-steps",
    "1000",
];

/// Waits until the run has made its partial folder, so that there is something to clean up.
fn wait_for_work(place: &Place, child: &mut Child) {
    let end = Instant::now() + Duration::from_secs(60);
    while !place.path(".x.partial").exists() {
        assert!(
            child.try_wait().unwrap().is_none(),
            "the run ended by itself"
        );
        assert!(
            Instant::now() < end,
            "the run has made no folder in a minute"
        );
        std::thread::yield_now();
    }
}

#[test]
fn an_interrupted_run_cleans_up_and_exits_with_130() {
    for name in ["INT", "TERM"] {
        let place = Place::new();
        let mut child = place.start(LONG);
        wait_for_work(&place, &mut child);
        signal(&child, name);
        assert_eq!(child.wait().unwrap().code(), Some(130), "{name}");
        assert!(place.names().is_empty(), "{name}: {:?}", place.names());
    }
}

#[test]
fn a_killed_run_leaves_nothing_under_the_final_name_and_can_be_repeated() {
    let place = Place::new();
    let mut child = place.start(LONG);
    wait_for_work(&place, &mut child);
    signal(&child, "KILL");
    assert_eq!(child.wait().unwrap().code(), None);
    assert_eq!(place.names(), [".x.partial"]);
    let quick = [
        "generate",
        "a red chair",
        "-o",
        "x",
        "--image-steps",
        "1",
        "--points-steps",
        "1",
    ];
    place.run(quick).expect(0);
    assert_eq!(place.names(), ["x"]);
}
