//! The results of pipelines: posts as a viewer sees them, and tasks that are due.

use authorstack_core::{
    Checklist, DueTask, Post, PostView,
    fields::{Read, Shape},
    migrate::{Problem, Problems},
};

use crate::{
    document::decode::{Place, decode},
    extended_json::{Path, malformed},
    raw::{Elements, Raw, Tagged},
};

/// Reads `{post, likeCount, commentCount, liked}`.
pub(crate) fn post_view(bytes: &[u8]) -> Result<PostView, Problems> {
    let mut problems = Problems::default();
    let (mut post, mut like_count, mut comment_count, mut liked) = (None, None, None, None);
    let mut elements = Elements::new(bytes);
    while let Some(element) = elements.next_tagged() {
        let Ok((key, value)) = element else {
            return Err(malformed(&Path::Root).into());
        };
        match key {
            // The problems use the field names of the post's own document.
            b"post" => post = Some(decode::<Post>(value.bytes)?),
            b"likeCount" => like_count = count("likeCount", value, &mut problems),
            b"commentCount" => comment_count = count("commentCount", value, &mut problems),
            b"liked" => liked = Some(value.read() == Raw::Bool(true)),
            _ => {}
        }
    }
    let (Some(post), Some(like_count), Some(comment_count), Some(liked)) =
        (post, like_count, comment_count, liked)
    else {
        problems.push(Problem::new("", "the server's answer lacks a part of it"));
        return Err(problems);
    };
    Ok(PostView {
        post,
        like_count,
        comment_count,
        liked,
    })
}

fn count(name: &str, value: Tagged<'_>, problems: &mut Problems) -> Option<u64> {
    let mut place = Place {
        path: Path::Field(&Path::Root, name),
        required: true,
        problems,
        aside: None,
    };
    match place.scalar::<i64>(Shape::COUNT, value) {
        Read::Value(count) => u64::try_from(count).ok(),
        Read::Missing | Read::Refused => None,
    }
}

/// Reads a checklist reduced to one task, which is due.
pub(crate) fn due_task(bytes: &[u8]) -> Result<DueTask, Problems> {
    let mut checklist = decode::<Checklist>(bytes)?;
    let task = checklist.tasks.pop();
    let due = task.and_then(|task| Some((task.due_date?, task)));
    let Some((due_date, task)) = due else {
        let problem = "is missing; a due task has a date";
        return Err(Problem::new("tasks.dueDate", problem).into());
    };
    Ok(DueTask {
        checklist_id: checklist.id,
        checklist_name: checklist.name,
        book_id: checklist.book_id,
        due_date,
        task,
    })
}
