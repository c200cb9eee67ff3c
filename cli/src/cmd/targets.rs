//! What `block` and `allow` share: targets on the command line, each asked about by itself.

use clap::Args;
use serde_json::{Value, json};

use super::{Ask, say, say_json};
use crate::exit::{Code, Error, Result};
use crate::target::Spec;

/// Targets, where to ask, how to answer.
#[derive(Debug, Args)]
pub(crate) struct Targets {
    /// Addresses, networks or flows (`allow`: services too), in the notations below
    #[arg(required = true, value_name = "TARGET")]
    pub(crate) targets: Vec<Spec>,
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// What came of each request.
pub(crate) struct Answers<T> {
    done: Vec<T>,
    failures: Vec<Error>,
}

/// Makes the requests one after the other; a refused one stops none.
pub(crate) async fn each<Q, T>(
    requests: impl IntoIterator<Item = Q>,
    mut ask: impl AsyncFnMut(Q) -> Result<T>,
) -> Answers<T> {
    let mut answers = Answers { done: Vec::new(), failures: Vec::new() };
    for request in requests {
        match ask(request).await {
            Ok(answer) => answers.done.push(answer),
            Err(error) => answers.failures.push(error),
        }
    }
    answers
}

impl<T> Answers<T> {
    /// Shows what was done, a line each or as one JSON document, and ends with the code for what was not.
    pub(crate) fn show(self, json: bool, view: impl Fn(&[T]) -> Value, line: impl Fn(&T) -> String) -> Result {
        if json {
            say_json(&view(&self.done))?;
        } else {
            self.done.iter().try_for_each(|answer| say(&line(answer)))?;
        }
        let all = self.done.len() + self.failures.len();
        sum_up(self.failures, all)
    }
}

impl Answers<String> {
    /// Shows the names of what was taken back.
    pub(crate) fn show_removed(self, json: bool, no_longer: &str) -> Result {
        self.show(json, |names| json!({ "removed": names }), |name| format!("{name}: no longer {no_longer}"))
    }
}

/// The code for `failures` of `all` targets; the single failure keeps its own error.
fn sum_up(mut failures: Vec<Error>, all: usize) -> Result {
    let failed = failures.len();
    match failures.pop() {
        None => Ok(Code::Ok),
        Some(only) if all == 1 => Err(only),
        Some(last) if failed == all => {
            for failure in &failures {
                eprintln!("ganglion: {failure}");
            }
            Err(last)
        }
        Some(last) => {
            for failure in failures.iter().chain([&last]) {
                eprintln!("ganglion: {failure}");
            }
            Err(Error::Partial { failed, all })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::ExitCode;

    async fn code(failing: &[u32]) -> ExitCode {
        let ask = async |number: u32| match failing.contains(&number) {
            true => Err(Error::Refused(number.to_string())),
            false => Ok(number.to_string()),
        };
        each([1, 2], ask).await.show_removed(false, "there").map_or_else(|error| error.exit_code(), ExitCode::from)
    }

    #[tokio::test]
    async fn all_none_and_some_have_codes_of_their_own() {
        assert_eq!(code(&[]).await, ExitCode::from(0));
        assert_eq!(code(&[2]).await, ExitCode::from(3));
        assert_eq!(code(&[1, 2]).await, ExitCode::from(6));
    }
}
