//! Operations on follows, posts and boosts, and the last look at everything.

use super::{Both, PartTwin, Twin, both, walk};
use crate::{
    Attachment, AttachmentKind, BookFilter, ChecklistFilter, DateRange, Feed, NewBoost, NewPost,
    Order, PageRequest, PostPatch, User, Visibility,
};

impl Both<'_> {
    pub(super) async fn step_with_follows(&mut self) {
        let (follower, author) = (self.user(), self.user());
        match self.number(7) {
            0..3 => {
                both!(self, "follow".into(), |store, side| store
                    .follows()
                    .follow(follower.on(side), author.on(side)));
                self.follows.push((follower, author));
            }
            3 => {
                // Any two users seldom follow each other.
                let held = self.follows.clone();
                let held = self.pick(&held).filter(|_| self.chance(80));
                let (follower, author) = held.unwrap_or((follower, author));
                both!(self, "unfollow".into(), |store, side| store
                    .follows()
                    .unfollow(follower.on(side), author.on(side)));
            }
            4 => {
                both!(self, "counts of follows".into(), |store, side| store
                    .follows()
                    .counts(author.on(side)));
                both!(self, "is following".into(), |store, side| store
                    .follows()
                    .is_following(follower.on(side), author.on(side)));
            }
            5 => walk!(self, "followers".into(), false, |store, side, page| store
                .follows()
                .followers(author.on(side), page)),
            _ => walk!(self, "following".into(), false, |store, side, page| store
                .follows()
                .following(follower.on(side), page)),
        }
    }

    fn attachments(&mut self) -> Vec<Attachment> {
        let url = "https://example.org/a?b=$c".parse().unwrap();
        let attachment = Attachment::new(AttachmentKind::LINK, url);
        vec![attachment; self.number(3) as usize]
    }

    fn visibility(&mut self) -> Visibility {
        self.pick(Visibility::ALL).unwrap_or(Visibility::Public)
    }

    pub(super) async fn step_with_posts(&mut self) {
        let posts = self.posts.clone();
        let (author, post) = self.owned(&posts);
        let viewer = self.user();
        match self.number(22) {
            0..3 => {
                let author = self.user();
                let mut new = NewPost::new(self.text());
                new.visibility = self.visibility();
                new.attachments = self.attachments();
                let what = format!("create a post {new:?}");
                let created = both!(self, what, |store, side| store
                    .community()
                    .create(author.on(side), new.clone()));
                self.posts
                    .extend(created.as_ref().map(|post| (author, Twin::of(post))));
            }
            3..6 => {
                both!(self, "like".into(), |store, side| store
                    .community()
                    .like(viewer.on(side), post.on(side)));
            }
            6..8 => {
                both!(self, "unlike".into(), |store, side| store
                    .community()
                    .unlike(viewer.on(side), post.on(side)));
            }
            8..11 => {
                let content = self.text();
                let what = format!("comment {content:?}");
                let comment = both!(self, what, |store, side| store.community().comment(
                    viewer.on(side),
                    post.on(side),
                    content.clone()
                ));
                if let Some(comment) = comment {
                    let texts = comment.each_ref().map(|comment| comment["id"].as_str());
                    let texts = texts.map(|id| id.unwrap_or_default().to_owned());
                    self.comments.push(PartTwin { of: post, texts });
                }
            }
            11..13 => {
                let comments = self.comments.clone();
                if let Some(comment) = self.pick(&comments) {
                    let by = if self.chance(50) { author } else { viewer };
                    let what = "remove a comment".into();
                    both!(self, what, |store, side| store.community().delete_comment(
                        by.on(side),
                        comment.of.on(side),
                        comment.texts[side].parse().unwrap()
                    ));
                }
            }
            13 => walk!(self, "comments".into(), true, |store, side, page| store
                .community()
                .comments(viewer.on(side), post.on(side), page)),
            14 => walk!(self, "likers".into(), false, |store, side, page| store
                .community()
                .likers(viewer.on(side), post.on(side), page)),
            15..18 => {
                let author = self.user();
                let kind = self.number(3);
                let what = format!("feed {kind}");
                let feeds = [0, 1].map(|side| match kind {
                    0 => Feed::Following,
                    1 => Feed::Everyone,
                    _ => Feed::Author(author.on(side)),
                });
                walk!(self, what, false, |store, side, page| store
                    .community()
                    .feed(viewer.on(side), feeds[side], page));
            }
            18 => {
                let patch = PostPatch {
                    content: self.chance(50).then(|| self.text()),
                    attachments: self.chance(30).then(|| self.attachments()),
                    visibility: self.chance(40).then(|| self.visibility()),
                    expected_updated_at: self.chance(10).then(|| self.moment()),
                };
                let what = format!("update a post: {patch:?}");
                both!(self, what, |store, side| store.community().update(
                    author.on(side),
                    post.on(side),
                    patch.clone()
                ));
            }
            19 if self.chance(40) => {
                both!(self, "delete a post".into(), |store, side| store
                    .community()
                    .delete(author.on(side), post.on(side)));
            }
            _ => {
                both!(self, "get a post".into(), |store, side| store
                    .community()
                    .get(viewer.on(side), post.on(side)));
            }
        }
    }

    pub(super) async fn step_with_boosts(&mut self) {
        let boosts = self.boosts.clone();
        let (user, boost) = self.owned(&boosts);
        match self.number(10) {
            0..5 => {
                let books = self.books.clone();
                let (user, book) = self.owned(&books);
                let mut new = NewBoost::new(book.on(0), self.number(5), i64::from(self.number(30)));
                new.position = self.chance(60).then(|| self.number(4));
                new.starts_at = self.moment();
                let times = if self.chance(20) { 2 } else { 1 };
                for time in 0..times {
                    // A client that repeats a purchase starts it later; some change it.
                    if time > 0 {
                        new.starts_at = self.moment();
                        new.credits += i64::from(self.chance(20));
                        new.position = new.position.filter(|_| !self.chance(20));
                    }
                    let what = format!("purchase {new:?}");
                    let orders = [0, 1].map(|side| NewBoost {
                        book_id: book.on(side),
                        ..new.clone()
                    });
                    let bought = both!(self, what, |store, side| store
                        .boosts()
                        .purchase(user.on(side), orders[side].clone()));
                    self.boosts
                        .extend(bought.as_ref().map(|boost| (user, Twin::of(boost))));
                }
            }
            5..7 => {
                let (at, limit) = (self.moment(), self.number(5));
                let what = format!("leaderboard of {limit} at {at}");
                both!(self, what, |store, side| store
                    .boosts()
                    .leaderboard(at, limit));
            }
            7 if self.chance(50) => {
                let at = self.moment();
                let what = format!("expire what is due at {at}");
                both!(self, what, |store, side| store.boosts().expire_due(at));
            }
            8 => walk!(self, "boosts".into(), false, |store, side, page| store
                .boosts()
                .list(user.on(side), page)),
            _ => {
                both!(self, "get a boost".into(), |store, side| store
                    .boosts()
                    .get(user.on(side), boost.on(side)));
            }
        }
    }

    /// Compares all that both sides hold, as far as calls show it.
    pub(super) async fn look_at_everything(&mut self) {
        let all = || PageRequest::first(PageRequest::MAX_LIMIT).order(Order::OldestFirst);
        let users: Vec<Twin<User>> = self.users.clone();
        both!(self, "all users".into(), |store, side| store
            .users()
            .list(all()));
        for user in users {
            both!(self, "all books".into(), |store, side| store.books().list(
                user.on(side),
                BookFilter::default(),
                all()
            ));
            both!(self, "all checklists".into(), |store, side| store
                .checklists()
                .list(user.on(side), ChecklistFilter::default(), all()));
            both!(self, "all followers".into(), |store, side| store
                .follows()
                .followers(user.on(side), all()));
            both!(self, "all that is visible".into(), |store, side| store
                .community()
                .feed(user.on(side), Feed::Everyone, all()));
            both!(self, "all boosts".into(), |store, side| store
                .boosts()
                .list(user.on(side), all()));
            both!(self, "all competitors".into(), |store, side| store
                .competitors()
                .list(user.on(side), all()));
            for (_, post) in self.posts.clone() {
                both!(self, "all comments".into(), |store, side| store
                    .community()
                    .comments(user.on(side), post.on(side), all()));
            }
        }
        for (user, rival) in self.competitors.clone() {
            both!(self, "all prices".into(), |store, side| store
                .competitors()
                .history(
                    user.on(side),
                    rival.on(side),
                    DateRange::default(),
                    all()
                ));
        }
    }
}
