//! The list of faults: text files, one for each area.
//!
//! ```text
//! fault NAME
//! breaks: what doesn't hold any more, in a line
//! test: arguments of `cargo test`
//! in: the file
//! find:
//! lines as they stand there, once
//! replace:
//! lines instead
//! end
//! ```
//!
//! Lines that begin with `#`, and empty ones, between faults say nothing.

use crate::process::root;
use std::collections::BTreeSet;
use std::path::Path;

const DIRECTORY: &str = "testing/faults";

/// One planted fault.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Which part of the house it is in: the name of its file.
    pub(super) area: String,
    pub(super) name: String,
    /// What it breaks.
    pub(super) breaks: String,
    /// Arguments of `cargo test`.
    pub(super) test: String,
    /// The file that it is in.
    pub(super) file: String,
    find: String,
    replace: String,
}

/// Every fault.
///
/// # Errors
/// If a file can't be read, or isn't a list of faults.
pub(super) fn read_all() -> Result<Vec<Fault>, String> {
    let directory = root().join(DIRECTORY);
    let failed = |error: std::io::Error| format!("{DIRECTORY}: {error}");
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(&directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            paths.push(path);
        }
    }
    paths.sort();
    let mut faults = Vec::new();
    for path in paths {
        let area = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).map_err(failed)?;
        faults.extend(parse(&area, &text).map_err(|why| format!("{DIRECTORY}/{area}.txt: {why}"))?);
    }
    let names: BTreeSet<&str> = faults.iter().map(|fault| fault.name.as_str()).collect();
    if names.len() != faults.len() {
        return Err(format!("{DIRECTORY}: two faults have one name"));
    }
    Ok(faults)
}

fn parse(area: &str, text: &str) -> Result<Vec<Fault>, String> {
    let mut lines = text.lines().enumerate();
    let mut faults = Vec::new();
    while let Some((at, line)) = lines.next() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let name = line.strip_prefix("fault ");
        let name = name.ok_or_else(|| format!("line {}: a fault begins with its name", at + 1))?;
        let mut field = |key: &str| {
            let line = lines.next().map_or("", |(_, line)| line);
            let value = line.strip_prefix(key).and_then(|rest| rest.strip_prefix(": "));
            value.map(str::to_owned).ok_or_else(|| format!("{name}: no `{key}: `"))
        };
        let (breaks, test, file) = (field("breaks")?, field("test")?, field("in")?);
        if lines.next().map(|(_, line)| line) != Some("find:") {
            return Err(format!("{name}: no `find:`"));
        }
        let mut block = |end: &str| {
            let mut block = String::new();
            for (_, line) in lines.by_ref() {
                if line == end {
                    return Ok(block);
                }
                block += line;
                block.push('\n');
            }
            Err(format!("{name}: no `{end}`"))
        };
        let (find, replace) = (block("replace:")?, block("end")?);
        if find.is_empty() || find == replace {
            return Err(format!("{name}: it changes nothing"));
        }
        let (area, name) = (area.to_owned(), name.to_owned());
        faults.push(Fault { area, name, breaks, test, file, find, replace });
    }
    Ok(faults)
}

impl Fault {
    /// Whether it can be applied to the tree as it is.
    ///
    /// # Errors
    /// If its text is gone from the file, or stands there more than once.
    pub(super) fn check(&self) -> Result<(), String> {
        self.planted_in(&root()).map(drop)
    }

    /// Applies it to the copy of the tree at `root`.
    ///
    /// # Errors
    /// As [`check`](Self::check), or if the file can't be written.
    pub(super) fn plant(&self, root: &Path) -> Result<(), String> {
        let planted = self.planted_in(root)?;
        std::fs::write(root.join(&self.file), planted)
            .map_err(|error| format!("{}: {error}", self.file))
    }

    fn planted_in(&self, root: &Path) -> Result<String, String> {
        let text = std::fs::read_to_string(root.join(&self.file))
            .map_err(|error| format!("the fault {}: {}: {error}", self.name, self.file))?;
        match text.matches(&self.find).count() {
            1 => Ok(text.replacen(&self.find, &self.replace, 1)),
            count => Err(format!(
                "the fault {}: its text stands {count} times in {}: renew it",
                self.name, self.file
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# a list\n\nfault one\nbreaks: all\ntest: -p x\nin: a.rs\nfind:\nold\nreplace:\nnew\nend\n";

    #[test]
    fn a_list_is_read() {
        let faults = parse("core", GOOD).unwrap();
        let [fault] = faults.as_slice() else { panic!("{faults:?}") };
        assert_eq!((fault.area.as_str(), fault.name.as_str()), ("core", "one"));
        assert_eq!((fault.find.as_str(), fault.replace.as_str()), ("old\n", "new\n"));
    }

    #[test]
    fn what_is_no_list_is_told() {
        for (wrong, why) in [
            (GOOD.replace("fault one", "one"), "begins with its name"),
            (GOOD.replace("test: ", "tests: "), "no `test: `"),
            (GOOD.replace("find:", ""), "no `find:`"),
            (GOOD.replace("end\n", ""), "no `end`"),
            (GOOD.replace("new", "old"), "changes nothing"),
        ] {
            let told = parse("core", &wrong).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
    }

    #[test]
    fn there_are_enough_and_the_core_has_most() {
        let faults = read_all().unwrap();
        let core = faults.iter().filter(|fault| fault.area == "core").count();
        assert!(faults.len() >= 30 && core >= 16, "{} and {core}", faults.len());
    }

    #[test]
    fn a_text_that_is_gone_or_not_unique_is_told() {
        let directory = tempfile_directory();
        let faults = parse("core", GOOD).unwrap();
        for (text, times) in [("other\n", "0 times"), ("old\nold\n", "2 times")] {
            std::fs::write(directory.join("a.rs"), text).unwrap();
            assert!(faults[0].plant(&directory).unwrap_err().contains(times));
        }
        std::fs::write(directory.join("a.rs"), "x\nold\ny\n").unwrap();
        faults[0].plant(&directory).unwrap();
        assert_eq!(std::fs::read_to_string(directory.join("a.rs")).unwrap(), "x\nnew\ny\n");
        std::fs::remove_dir_all(directory).unwrap();
    }

    fn tempfile_directory() -> std::path::PathBuf {
        let directory = std::env::temp_dir().join(format!("p2pnet-faults-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        directory
    }
}
