//! Who follows whom.

use authorstack_core::{Extra, Follow, Id, User, migrate::Problems};
use chrono::{DateTime, Utc};

use super::{Parts, Reader, raw::Raw, require};
use crate::extended_json::Path;

/// Reads a follow's document.
pub(crate) fn follow(bytes: &[u8]) -> Result<Follow, Problems> {
    let mut reader = Reader::default();
    let mut follow = FollowParts::default();
    reader.fields(bytes, &Path::Root, Follow::FIELDS, &mut follow);
    follow.finish(reader.problems)
}

#[derive(Debug, Default)]
struct FollowParts {
    id: Option<Id<Follow>>,
    follower_id: Option<Id<User>>,
    author_id: Option<Id<User>>,
    created_at: Option<DateTime<Utc>>,
    extra: Extra,
}

impl Parts for FollowParts {
    fn take(&mut self, reader: &mut Reader, path: &Path<'_>, name: &str, value: Raw<'_>) {
        match name {
            "_id" => self.id = reader.id(path, value),
            "followerId" => self.follower_id = reader.id(path, value),
            "authorId" => self.author_id = reader.id(path, value),
            "createdAt" => self.created_at = reader.date(path, value),
            _ => {}
        }
    }

    fn extra(&mut self) -> &mut Extra {
        &mut self.extra
    }
}

impl FollowParts {
    fn finish(self, mut problems: Problems) -> Result<Follow, Problems> {
        for (field, present, way_out) in [
            ("_id", self.id.is_some(), "a follow needs an id"),
            ("followerId", self.follower_id.is_some(), "say who follows"),
            ("authorId", self.author_id.is_some(), "say who is followed"),
        ] {
            require(&mut problems, field, present, way_out);
        }
        let (Some(id), Some(follower_id), Some(author_id), true) = (
            self.id,
            self.follower_id,
            self.author_id,
            problems.is_empty(),
        ) else {
            return Err(problems);
        };
        Ok(Follow {
            id,
            follower_id,
            author_id,
            created_at: self.created_at.unwrap_or_else(|| id.created_at()),
            extra: self.extra,
        })
    }
}
