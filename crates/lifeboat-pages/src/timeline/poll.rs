//! Polls: what was asked, and how often each answer was chosen.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::event::{self, Event, extensible_text};

/// Answers of a poll.
const ANSWERS: usize = 20;

/// A poll and its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poll {
    /// What was asked.
    pub question: String,
    /// What could be answered, as often as it was.
    pub answers: Vec<Answer>,
    /// How many voted.
    pub voters: usize,
    /// Whether it was closed.
    pub is_closed: bool,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    id: String,
    /// What it says.
    pub text: String,
    /// How many chose it.
    pub votes: usize,
}

/// Whether the event votes in a poll, or closes one.
pub(super) fn is_vote(event: &Event) -> bool {
    is_end(event)
        || matches!(event.kind.as_str(), "m.poll.response" | "org.matrix.msc3381.poll.response")
}

fn is_end(event: &Event) -> bool {
    matches!(event.kind.as_str(), "m.poll.end" | "org.matrix.msc3381.poll.end")
}

impl Poll {
    /// Counts the last vote of each, until the author closed the poll. `cast` is in order.
    pub(super) fn count<'a>(
        content: &Map<String, Value>,
        author: &str,
        cast: impl Iterator<Item = &'a Event>,
    ) -> Option<Self> {
        let asked = ["m.poll", "org.matrix.msc3381.poll.start"];
        let asked = asked.iter().find_map(|key| content.get(*key)?.as_object())?;
        let mut answers: Vec<Answer> = answers(asked).collect();
        let most = asked.get("max_selections").and_then(Value::as_u64).unwrap_or(1).max(1);
        let mut chosen: HashMap<&str, Vec<&str>> = HashMap::new();
        let mut is_closed = false;
        for vote in cast {
            if is_end(vote) {
                is_closed |= vote.sender == author;
            } else if !is_closed {
                let mut picks = selections(&vote.content);
                picks.truncate(usize::try_from(most).unwrap_or(ANSWERS));
                chosen.insert(&vote.sender, picks);
            }
        }
        for answer in &mut answers {
            let picks = chosen.values().filter(|picks| picks.contains(&answer.id.as_str()));
            answer.votes = picks.count();
        }
        let voters = chosen.values().filter(|picks| !picks.is_empty()).count();
        let question = asked.get("question").map_or("", says).to_owned();
        Some(Self { question, answers, voters, is_closed })
    }
}

fn answers(asked: &Map<String, Value>) -> impl Iterator<Item = Answer> {
    let answers = asked.get("answers").and_then(Value::as_array).into_iter().flatten();
    answers.take(ANSWERS).filter_map(|answer| {
        let id = answer.get("m.id").or_else(|| answer.get("id"))?.as_str()?;
        Some(Answer { id: id.to_owned(), text: says(answer).to_owned(), votes: 0 })
    })
}

/// The text of a question or an answer, in any of the forms it had.
fn says(value: &Value) -> &str {
    let object = value.as_object();
    let text = object.map(event::body).filter(|text| !text.is_empty());
    text.or_else(|| extensible_text(value)).unwrap_or_default()
}

fn selections(content: &Map<String, Value>) -> Vec<&str> {
    let older = || content.get("org.matrix.msc3381.poll.response")?.get("answers");
    let picks = content.get("m.selections").or_else(older).and_then(Value::as_array);
    picks.into_iter().flatten().filter_map(Value::as_str).collect()
}
