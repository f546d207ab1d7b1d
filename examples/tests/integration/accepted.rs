//! `verify --accept-rejects` accepts exactly the rejects that a file lists: documents and rows.

use crate::common;

use std::fs;

use authorstack_core::{migrate::Kind, testing::servers};
use authorstack_examples::{
    dataset::{self, Size},
    tool::{Answer, Tool},
};
use common::fresh;
use serde_json::Value;

const SIZE: Size = Size {
    users: 10,
    books: 30,
};

/// A verification that accepts these lines.
fn accepting(tool: &Tool, lines: &[&str]) -> Answer {
    fs::write(tool.folder().join("accepted.jsonl"), lines.join("\n")).unwrap();
    let arguments = ["verify", "--accept-rejects", "accepted.jsonl"];
    tool.ask(&arguments).unwrap()
}

/// The sum of a count over the kinds' acceptances.
fn sum(answer: &Answer, count: &str) -> u64 {
    let kinds = answer.json["kinds"].as_array().unwrap().iter();
    kinds
        .map(|kind| kind["acceptance"][count].as_u64().unwrap())
        .sum()
}

#[tokio::test]
async fn exactly_the_listed_rejects_are_accepted() {
    let (scratch, _) = fresh().await;
    let postgres = servers::setting("AUTHORSTACK_TEST_POSTGRES_URL");
    let scratch = scratch.with_postgres(&postgres).await.unwrap();
    let tool = Tool::new(common::TOOL, &scratch).unwrap();
    let data = dataset::generate(61, SIZE);
    data.insert(&scratch.mongodb().await.unwrap())
        .await
        .unwrap();
    let analytics = data.analytics(61, SIZE, 40);
    let mut database = scratch.postgres().await.unwrap();
    analytics.insert(&mut database).await.unwrap();
    let run = tool.ask(&["run"]).unwrap();
    assert_eq!(run.code, Some(1), "{}", run.stderr);

    let text = tool.rejects_text().unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let total = lines.len() as u64;
    assert_eq!(tool.ask(&["verify"]).unwrap().code, Some(1));
    let exact = accepting(&tool, &lines);
    assert_eq!(exact.code, Some(0), "{} {}", exact.json, exact.stderr);
    assert_eq!(exact.json["status"], "complete");
    assert_eq!(
        (sum(&exact, "accepted"), exact.sum("rejected")),
        (total, total)
    );

    for kind in [Kind::Users, Kind::SalesData] {
        let is_of = |line: &&&str| {
            let line: Value = serde_json::from_str(line).unwrap();
            line["kind"] == kind.as_str()
        };
        let one = *lines.iter().find(is_of).unwrap();
        let others = lines.iter().copied().filter(|line| *line != one);
        let others: Vec<&str> = others.collect();
        let answer = accepting(&tool, &others);
        assert_eq!(answer.code, Some(1), "{kind} {}", answer.json);
        assert_eq!(sum(&answer, "not_accepted"), 1, "{kind} {}", answer.json);
        assert_eq!(sum(&answer, "no_longer"), 0, "{kind} {}", answer.json);

        // One more than there are.
        let mut more: Value = serde_json::from_str(one).unwrap();
        more["key"] = match kind {
            Kind::Users => "0123456789abcdef01234567".into(),
            _ => "987654321".into(),
        };
        let more = more.to_string();
        let answer = accepting(&tool, &[&lines[..], &[more.as_str()]].concat());
        assert_eq!(answer.code, Some(1), "{kind} {}", answer.json);
        assert_eq!(sum(&answer, "no_longer"), 1, "{kind} {}", answer.json);

        // The record that was accepted was another.
        let mut other: Value = serde_json::from_str(one).unwrap();
        other["source_digest"] = "0".repeat(64).into();
        let other = other.to_string();
        let answer = accepting(&tool, &[&others[..], &[other.as_str()]].concat());
        assert_eq!(answer.code, Some(1), "{kind} {}", answer.json);
        assert_eq!(sum(&answer, "not_accepted"), 1, "{kind} {}", answer.json);
    }

    let answer = accepting(&tool, &["{}"]);
    assert_eq!(answer.code, Some(2), "{}", answer.stderr);
    scratch.remove().await.unwrap();
}
