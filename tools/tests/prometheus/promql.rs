//! What a PromQL query names: metrics with the labels that they are asked for, and the labels that it groups by.

/// What one query names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Each metric with the labels between its braces.
    pub metrics: Vec<(String, Vec<String>)>,
    /// The labels of `by`, `on` and the like.
    pub grouped: Vec<String>,
}

/// Words that stand between vectors.
const OPERATORS: &[&str] = &["and", "or", "unless", "bool", "offset", "atan2"];
/// Words that a list of labels may follow.
const GROUPINGS: &[&str] = &["by", "without", "on", "ignoring", "group_left", "group_right"];

/// Reads a query. What is no PromQL is read somehow: a real Prometheus judges that.
pub fn named(query: &str) -> Named {
    let tokens = tokens(query);
    let mut named = Named::default();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        let next = tokens.get(at).map_or("", String::as_str);
        if !is_word(token) || OPERATORS.contains(&token.as_str()) {
            continue;
        }
        if GROUPINGS.contains(&token.as_str()) {
            if next == "(" {
                let list = tokens[at..].iter().take_while(|token| *token != ")");
                named.grouped.extend(list.filter(|token| is_word(token)).cloned());
                at += tokens[at..].iter().take_while(|token| *token != ")").count();
            }
        } else if next == "{" {
            let list: Vec<_> = tokens[at..].iter().take_while(|token| *token != "}").collect();
            at += list.len();
            let labels = list.into_iter().filter(|token| is_word(token)).cloned().collect();
            named.metrics.push((token.clone(), labels));
        } else if next != "(" && !GROUPINGS.contains(&next) {
            named.metrics.push((token.clone(), Vec::new()));
        }
    }
    named
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// Words, numbers and single signs; texts and ranges in brackets are left out.
fn tokens(query: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut letters = query.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' | '\'' => {
                letters.by_ref().take_while(|other| *other != letter).for_each(drop);
            }
            '[' => letters.by_ref().take_while(|other| *other != ']').for_each(drop),
            letter if letter.is_ascii_alphanumeric() || letter == '_' || letter == '$' => {
                let mut word = letter.to_string();
                while let Some(more) =
                    letters.next_if(|other| other.is_ascii_alphanumeric() || "_:.".contains(*other))
                {
                    word.push(more);
                }
                tokens.push(word);
            }
            letter if letter.is_whitespace() => {}
            sign => tokens.push(sign.to_string()),
        }
    }
    tokens
}

#[test]
fn a_query_is_taken_apart_into_metrics_and_labels() {
    let query = r#"histogram_quantile(0.99, sum by (job, le) (rate(a_bucket{request="produce(by)",x=~"$y"}[5m])))
        > 0.5 and on (job) (b - ignoring (z) group_left c{}) / 10 * sum(d)"#;
    let labels = |list: &[&str]| list.iter().map(|&label| label.to_owned()).collect::<Vec<_>>();
    let expected = Named {
        metrics: vec![
            ("a_bucket".to_owned(), labels(&["request", "x"])),
            ("b".to_owned(), vec![]),
            ("c".to_owned(), vec![]),
            ("d".to_owned(), vec![]),
        ],
        grouped: labels(&["job", "le", "job", "z"]),
    };
    assert_eq!(named(query), expected);
}
