//! `generate --from`.

use crate::samples::QUICK;
use packshot_tests::{Outcome, Place, names, signal};

fn run(place: &Place, arguments: &[&str]) -> Outcome {
    let fixed = [
        "generate", "--from", "list.csv", "-o", "out", "--points", "1024", "--json",
    ];
    place.run(fixed.iter().chain(arguments).chain(&QUICK))
}

const LIST: &str = "prompt,seed,size,name\na red chair,1,,\n\"a lamp, tall\",2,30cm,lamp\n";

#[test]
fn each_line_becomes_an_asset() {
    let place = Place::new();
    place.write("list.csv", LIST);
    let report = run(&place, &[]).expect(0).json();
    assert_eq!(report["assets"].as_array().unwrap().len(), 2);
    assert_eq!(names(&place.path("out")), ["lamp", "red-chair"]);
    let lamp = packshot_formats::read_asset(&place.path("out/lamp/cloud.ply")).unwrap();
    let side = lamp.into_cloud().unwrap().bounds().unwrap().longest_side();
    assert!((side - 0.3).abs() < 1e-6);
    assert_eq!(place.names(), ["list.csv", "out"]);
}

#[test]
fn finished_assets_are_kept_when_the_list_goes_on() {
    let place = Place::new();
    place.write("list.csv", LIST);
    run(&place, &[]).expect(0);
    let before = std::fs::read(place.path("out/lamp/asset.json")).unwrap();
    place.write("list.csv", format!("{LIST}a mug,3,,\n"));
    let report = run(&place, &[]).expect(0).json();
    let skipped: Vec<bool> = report["assets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["skipped"].as_bool().unwrap())
        .collect();
    assert_eq!(skipped, [true, true, false]);
    assert_eq!(
        std::fs::read(place.path("out/lamp/asset.json")).unwrap(),
        before
    );
    assert_eq!(names(&place.path("out")), ["lamp", "mug", "red-chair"]);

    place.write("list.csv", LIST.replace(",2,", ",5,"));
    run(&place, &[]).expect_error(2, "line 3");
    place.write("list.csv", "prompt\na blue bowl\n");
    run(&place, &[]).expect_error(2, "exists");
}

#[test]
fn a_run_that_was_stopped_goes_on() {
    let place = Place::new();
    let mut list = String::from("prompt,seed,name\n");
    for i in 0..8 {
        list.push_str(&format!("a red chair,{i},chair-{i}\n"));
    }
    place.write("list.csv", &list);
    let arguments = [
        "generate", "--from", "list.csv", "-o", "out", "--points", "1024",
    ];
    let steps = ["--image-steps", "8", "--points-steps", "8"];
    let mut child = place.start(arguments.iter().chain(&steps));
    let first = place.path(".out.partial/chair-0/asset.json");
    while !first.exists() {
        assert!(
            child.try_wait().unwrap().is_none(),
            "the run ended too early"
        );
        std::thread::yield_now();
    }
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!place.path("out").exists());
    let record = std::fs::read(&first).unwrap();

    place.run(arguments.iter().chain(&steps)).expect(0);
    assert_eq!(
        std::fs::read(place.path("out/chair-0/asset.json")).unwrap(),
        record
    );
    assert_eq!(names(&place.path("out")).len(), 8);
    assert_eq!(place.names(), ["list.csv", "out"]);
}

#[test]
fn faults_of_the_list_are_named_before_the_work() {
    let place = Place::new();
    for (list, text) in [
        ("prompt,seed\na chair,one\n", "line 2, seed"),
        ("prompt,size\na chair,12\n", "line 2, size"),
        ("prompt,nmae\na chair,x\n", "nmae"),
        ("", "no prompts"),
        ("prompt\na chair\n🪑\n", "line 3, prompt"),
    ] {
        place.write("list.csv", list);
        run(&place, &[]).expect_error(3, text);
    }
    std::fs::remove_file(place.path("list.csv")).unwrap();
    run(&place, &[]).expect_error(3, "no such file");
    assert!(place.names().is_empty());
}
