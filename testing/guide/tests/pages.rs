//! The guide is whole: each page is in its table of contents and its code is run.

use std::path::Path;

const SUMMARY: &str = "SUMMARY.md";
/// The one page whose code is run elsewhere.
const ELSEWHERE: (&str, &str) = ("async-std.md", include_str!("../../async-std/src/lib.rs"));

#[test]
fn every_page_is_listed_and_its_code_is_run() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide");
    let summary = std::fs::read_to_string(guide.join(SUMMARY)).unwrap();
    let runs = include_str!("../src/lib.rs");
    let mut pages = 0;
    for entry in std::fs::read_dir(&guide).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.ends_with(".md") || name == SUMMARY {
            continue;
        }
        assert!(summary.contains(&format!("({name})")), "{name} isn't in {SUMMARY}");
        let by = if name == ELSEWHERE.0 { ELSEWHERE.1 } else { runs };
        assert!(by.contains(&name), "nothing runs the code of {name}");
        let text = std::fs::read_to_string(guide.join(&name)).unwrap();
        for fence in text.lines().filter_map(|line| line.strip_prefix("```")) {
            let known = ["", "rust", "text", "sh", "mermaid"].contains(&fence);
            assert!(known, "{name}: ```{fence}: code that isn't run says so by its language");
        }
        pages += 1;
    }
    assert!(pages >= 10, "{pages} pages");
}

#[test]
fn the_diagrams_are_there() {
    let text = include_str!("../../../docs/guide/architecture.md");
    let titles = [
        "The parts",
        "How nodes of a LAN find each other",
        "How nodes find each other beyond a LAN",
        "The life of a peer",
        "What a channel carries",
    ];
    let sections: Vec<&str> = text.split("\n## ").skip(1).collect();
    assert_eq!(sections.len(), titles.len());
    for (section, title) in sections.iter().zip(titles) {
        assert!(section.starts_with(title), "{title}");
        assert_eq!(section.matches("```mermaid").count(), 1, "{title}");
    }
}
