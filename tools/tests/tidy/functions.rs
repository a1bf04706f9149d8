//! Functions stay within a screen.

use crate::source::Source;

/// The longest function, in lines from its `fn` to its closing brace.
const LINES_MAX: usize = 70;

/// Functions that are longer, each with its reason. The list only shrinks.
pub(crate) const EXCEPTIONS: &[(&str, &str, &str)] = &[];

/// One function: its name and its lines.
struct Function {
    name: String,
    lines: usize,
}

/// Complaints about long functions that are not excepted.
pub(crate) fn too_long(files: &[Source], exceptions: &[(&str, &str, &str)]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files {
        for function in functions(&file.text).iter().filter(|f| f.lines > LINES_MAX) {
            let excepted = exceptions
                .iter()
                .any(|(path, name, _)| *path == file.path && *name == function.name);
            if !excepted {
                complaints.push(format!(
                    "{}: fn {} has {} lines, at most {LINES_MAX} fit a screen; split it or write down why not",
                    file.path, function.name, function.lines
                ));
            }
        }
    }
    complaints
}

/// Complaints about exceptions that nobody needs any more.
pub(crate) fn stale_exceptions(files: &[Source], exceptions: &[(&str, &str, &str)]) -> Vec<String> {
    let needed = |path: &str, name: &str| {
        let file = files.iter().find(|file| file.path == path);
        file.is_some_and(|file| {
            functions(&file.text).iter().any(|f| f.name == name && f.lines > LINES_MAX)
        })
    };
    let stale = exceptions.iter().filter(|(path, name, _)| !needed(path, name));
    stale.map(|(path, name, _)| format!("{path}: fn {name} needs no exception any more")).collect()
}

/// The functions of a text: rustfmt puts the closing brace at the indentation of the `fn`.
fn functions(text: &str) -> Vec<Function> {
    let lines: Vec<_> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let Some(name) = function_name(line.trim_start()) else { continue };
        let end = lines[start..].iter().position(|line| {
            line.starts_with(&" ".repeat(indent)) && matches!(&line[indent..], "}" | "};" | "})")
        });
        let one_line = line.trim_end().ends_with('}') || line.trim_end().ends_with(';');
        if let (Some(end), false) = (end, one_line) {
            found.push(Function { name, lines: end + 1 });
        }
    }
    found
}

fn function_name(code: &str) -> Option<String> {
    let mut rest = code;
    loop {
        let (word, after) = rest.split_once(' ')?;
        match word {
            "fn" => {
                let name = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_');
                return Some(name.collect());
            }
            "pub" | "pub(crate)" | "pub(super)" | "const" | "async" | "unsafe" => rest = after,
            _ => return None,
        }
    }
}

#[test]
fn a_long_function_is_seen_and_can_be_excepted() {
    let body = "    let a = 1;\n".repeat(80);
    let file = Source::sample(
        "client/src/a.rs",
        &format!("pub async fn long(\n) {{\n{body}}}\n\nfn short() {{\n}}\n"),
    );
    let excepted = [("client/src/a.rs", "long", "a table")];
    assert_eq!(too_long(std::slice::from_ref(&file), &[]).len(), 1);
    assert!(too_long(std::slice::from_ref(&file), &excepted).is_empty());
}

#[test]
fn an_exception_for_nothing_is_seen() {
    let file = Source::sample("client/src/a.rs", "fn short() {\n}\n");
    assert_eq!(stale_exceptions(&[file], &[("client/src/a.rs", "short", "none")]).len(), 1);
}
