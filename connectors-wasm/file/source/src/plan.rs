//! Which files there are, and which task reads which. Looks at names only, never into a file.

use std::collections::BTreeSet;

use connect_sdk::{Failure, Need, OrFail, Plan, Problem, Result, Settings};
use file_shared::directory;
use glob::{MatchOptions, Pattern};

use crate::config::{Config, TASK_FILES};

const WILD: [char; 3] = ['*', '?', '['];

/// The paths and patterns of `filename`.
fn entries(filename: &str) -> impl Iterator<Item = &str> {
    filename
        .split(';')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
}

fn is_pattern(entry: &str) -> bool {
    entry.contains(WILD)
}

/// The directory that is read for an entry: that of the file, or the part of a pattern in which
/// nothing varies.
fn fixed_directory(entry: &str) -> &str {
    let fixed = entry
        .find(WILD)
        .and_then(|at| entry.get(..at))
        .unwrap_or(entry);
    directory(fixed)
}

/// Directories to be granted.
pub(crate) fn needs(settings: &Settings) -> Vec<Need> {
    let entries = entries(settings.get("filename").unwrap_or_default());
    let directories: BTreeSet<&str> = entries.map(fixed_directory).collect();
    directories.into_iter().map(Need::read_directory).collect()
}

/// What is wrong with the settings, given the access they ask for.
pub(crate) fn validate(settings: &Settings) -> Vec<Problem> {
    let problems = |result: Result<()>| match result {
        Err(Failure::Invalid(problems)) => problems,
        Err(other) => vec![Problem::new("filename", other.to_string())],
        Ok(()) => Vec::new(),
    };
    let config = match Config::read(settings) {
        Ok(config) => config,
        Err(failure) => return problems(Err(failure)),
    };
    problems(files(settings).and_then(|files| {
        if config.must_exist {
            all_exist(&files)
        } else {
            Ok(())
        }
    }))
}

/// Refuses files that are not there.
pub(crate) fn all_exist(files: &[String]) -> Result<()> {
    for file in files {
        if !std::fs::exists(file).or_fail(file)? {
            return Err(Failure::invalid(
                "filename",
                format!("{file} does not exist (missing.file=fail)"),
            ));
        }
    }
    Ok(())
}

/// The files as they are now, each once, in the order of their names. Files that are named need not
/// exist.
pub(crate) fn files(settings: &Settings) -> Result<Vec<String>> {
    let mut files = BTreeSet::new();
    for entry in entries(settings.text("filename")?) {
        if is_pattern(entry) {
            files.extend(matching(entry)?);
        } else if entry.ends_with('/') {
            return Err(Failure::invalid(
                "filename",
                format!("{entry} is a directory; {entry}* means what is in it"),
            ));
        } else {
            files.insert(entry.to_owned());
        }
    }
    if files.is_empty() && !entries(settings.text("filename")?).any(is_pattern) {
        return Err(Failure::invalid("filename", "names no file"));
    }
    Ok(files.into_iter().collect())
}

fn matching(pattern: &str) -> Result<Vec<String>> {
    let invalid = |reason: &str| {
        Failure::invalid("filename", format!("{pattern} is not a pattern: {reason}"))
    };
    Pattern::new(pattern).map_err(|error| invalid(error.msg))?;
    let options = MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    let mut found = Vec::new();
    for path in glob::glob_with(pattern, options).map_err(|error| invalid(error.msg))? {
        let path = match path {
            Ok(path) if path.is_dir() => continue,
            Ok(path) => path,
            // It was there when the directory was read; the next look shows whether it still is.
            Err(error) if error.error().kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => {
                return Err(Failure::from(std::io::Error::from(error.error().kind())).during(error));
            }
        };
        match path.into_os_string().into_string() {
            Ok(path) => found.push(path),
            Err(path) => connect_sdk::warn!(
                "{}: left out, because its name is not UTF-8",
                path.display()
            ),
        }
    }
    Ok(found)
}

/// Deals the files out to tasks, one by one in the order of their names: a file whose name comes last
/// changes one task only.
pub(crate) fn task_settings(settings: &Settings, max_tasks: u32) -> Result<Plan> {
    let config = Config::read(settings)?;
    let files = files(settings)?;
    let tasks = files
        .len()
        .clamp(1, usize::try_from(max_tasks).unwrap_or(usize::MAX).max(1));
    let mut plan = Plan::new();
    for task in 0..tasks {
        let mut settings = settings.clone();
        settings.set_list(TASK_FILES, files.iter().skip(task).step_by(tasks));
        plan = plan.task(settings);
    }
    let varies = entries(settings.text("filename")?).any(is_pattern);
    Ok(if varies {
        plan.recheck(config.recheck_interval)
    } else {
        plan
    })
}

/// The files of one task: as planned, or all of them when nobody has planned.
pub(crate) fn task_files(settings: &Settings) -> Result<Vec<String>> {
    match settings.get(TASK_FILES) {
        Some(_) => settings.list(TASK_FILES),
        None => files(settings),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use connect_sdk::Connector;

    fn settings(filename: &str) -> Settings {
        Settings::from([("filename", filename)]).with_defaults(&crate::FileSource::describe())
    }

    fn lists(plan: &Plan) -> Vec<Vec<String>> {
        plan.tasks
            .iter()
            .map(|task| task.list(TASK_FILES).unwrap())
            .collect()
    }

    #[test]
    fn needs_name_the_directories_that_are_read() {
        let targets = |filename: &str| {
            needs(&settings(filename))
                .into_iter()
                .map(|need| need.target)
                .collect::<Vec<_>>()
        };
        assert_eq!(targets("test-source-file.txt"), ["."]);
        assert_eq!(targets("b/x.txt; a/y.txt ;a/z.txt;"), ["a", "b"]);
        assert_eq!(targets("/var/log/*/app-?.log"), ["/var/log"]);
        assert_eq!(targets("*.log"), ["."]);
        assert_eq!(targets("logs/app[0-9].log"), ["logs"]);
    }

    #[test]
    fn files_are_dealt_out_evenly_and_a_late_one_changes_one_task() {
        let plan = task_settings(&settings("d;a;c;b;a"), 2).unwrap();
        assert_eq!(lists(&plan), [vec!["a", "c"], vec!["b", "d"]]);
        assert_eq!(plan.recheck, None);
        let more = task_settings(&settings("d;a;c;b;e"), 2).unwrap();
        assert_eq!(lists(&more), [vec!["a", "c", "e"], vec!["b", "d"]]);
        assert_eq!(task_settings(&settings("a"), 8).unwrap().tasks.len(), 1);
    }

    #[test]
    fn patterns_are_looked_up_again() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_str().unwrap();
        let pattern = settings(&format!("{root}/*.log"));
        let plan = task_settings(&pattern, 4).unwrap();
        assert_eq!(lists(&plan), [Vec::<String>::new()]);
        assert!(plan.recheck.is_some());
        for name in ["b.log", "a.log", "c.txt", ".hidden.log"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        std::fs::create_dir(folder.path().join("d.log")).unwrap();
        let plan = task_settings(&pattern, 4).unwrap();
        assert_eq!(
            lists(&plan),
            [vec![format!("{root}/a.log")], vec![format!("{root}/b.log")]]
        );
    }

    #[test]
    fn what_cannot_be_read_is_a_problem_with_filename() {
        for (filename, missing) in [
            ("", "wait"),
            (" ; ", "wait"),
            ("a[", "wait"),
            ("dir/", "wait"),
            ("no-such", "fail"),
        ] {
            let problems = validate(&settings(filename).with("missing.file", missing));
            assert_eq!(problems.len(), 1, "{filename:?}");
            assert_eq!(problems[0].key, "filename", "{problems:?}");
        }
        assert_eq!(validate(&settings("no-such")), Vec::new());
    }
}
