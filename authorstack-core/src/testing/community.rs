//! The cases of [`CommunityRepository`](crate::CommunityRepository).

use chrono::{DateTime, Utc};
use futures::future::join_all;
use serde_json::json;

use super::{author, clock_moved, users::assert_kind};
use crate::{
    Attachment, AttachmentKind, AuthorStack, CommentId, Cursor, ErrorKind, Feed, Id, NewPost,
    Order, PageRequest, Post, PostPatch, User, Visibility, limits,
};

async fn post(store: &AuthorStack, author: Id<User>, visibility: Visibility) -> Post {
    let mut new = NewPost::new("Out now");
    new.visibility = visibility;
    store.community().create(author, new).await.unwrap()
}

/// An author, a follower of theirs and a stranger.
async fn circle(store: &AuthorStack) -> [Id<User>; 3] {
    let author_id = author(store, "author").await.id;
    let follower = author(store, "follower").await.id;
    let stranger = author(store, "stranger").await.id;
    store.follows().follow(follower, author_id).await.unwrap();
    [author_id, follower, stranger]
}

async fn feed(store: &AuthorStack, viewer: Id<User>, feed: Feed) -> Vec<Id<Post>> {
    let (mut request, mut found) = (PageRequest::first(2), Vec::new());
    loop {
        let page = store
            .community()
            .feed(viewer, feed, request.clone())
            .await
            .unwrap();
        found.extend(page.items.iter().map(|view| view.post.id));
        match page.next {
            Some(cursor) => request = request.after(cursor),
            None => return found,
        }
    }
}

pub async fn every_field_of_a_post_survives(store: &AuthorStack) {
    let ada = author(store, "ada").await.id;
    let url = "https://Example.org/a?b=$c#d";
    let mut attachment = Attachment::new("audio".parse().unwrap(), url.parse().unwrap());
    attachment.extra = json!({"seconds": 12.5, "_id": {"$oid": "6b0379ca3f6979be1a457c2c"}})
        .as_object()
        .unwrap()
        .clone();
    let new = NewPost {
        content: "$set \u{2028} 'x' {\"a\"} 🦀".to_owned(),
        attachments: vec![attachment],
        visibility: Visibility::Followers,
        extra: json!({"__v": 0, "tags": ["a", 1]})
            .as_object()
            .unwrap()
            .clone(),
    };
    let created = store.community().create(ada, new.clone()).await.unwrap();
    let view = store.community().get(ada, created.id).await.unwrap();
    assert_eq!(view.post, created);
    assert_eq!(
        (view.like_count, view.comment_count, view.liked),
        (0, 0, false)
    );
    assert_eq!((created.author_id, created.content), (ada, new.content));
    assert_eq!(
        (created.attachments, created.extra),
        (new.attachments, new.extra)
    );
}

pub async fn a_post_says_something_and_has_an_author(store: &AuthorStack) {
    let ada = author(store, "ada").await.id;
    let community = store.community();
    let refused = community.create(ada, NewPost::new(" ")).await;
    assert_kind!(refused, ErrorKind::Invalid { field, .. } if field == "content");
    let refused = community.create(ada, NewPost::new("a\0b")).await;
    assert_kind!(refused, ErrorKind::Invalid { field, .. } if field == "content");
    let refused = community.create(Id::new(), NewPost::new("x")).await;
    assert_kind!(refused, ErrorKind::NotFound);
    let mut picture = NewPost::new("");
    let url = "https://example.org/a.jpg".parse().unwrap();
    picture.attachments = vec![Attachment::new(AttachmentKind::IMAGE, url)];
    community.create(ada, picture).await.unwrap();
}

pub async fn long_posts_and_comments_are_refused(store: &AuthorStack) {
    let ada = author(store, "ada").await.id;
    let most = "x".repeat(limits::LONG_TEXT);
    let (community, long) = (store.community(), format!("{most}x"));
    let post = community.create(ada, NewPost::new(most.clone())).await;
    let post = post.unwrap().id;
    let comment = community.comment(ada, post, most).await.unwrap();
    assert_eq!(comment.content.len(), limits::LONG_TEXT);
    let refused = community.create(ada, NewPost::new(long.clone())).await;
    assert_kind!(refused, ErrorKind::Invalid { field, .. } if field == "content");
    let refused = community.comment(ada, post, long).await;
    assert_kind!(refused, ErrorKind::Invalid { field, .. } if field == "comments.content");
}

pub async fn followers_posts_are_for_followers_and_their_author(store: &AuthorStack) {
    let [writer, follower, stranger] = circle(store).await;
    let hidden = post(store, writer, Visibility::Followers).await;
    let public = post(store, writer, Visibility::Public).await;
    let community = store.community();
    for viewer in [writer, follower] {
        assert_eq!(community.get(viewer, hidden.id).await.unwrap().post, hidden);
        for which in [Feed::Following, Feed::Everyone, Feed::Author(writer)] {
            assert_eq!(
                feed(store, viewer, which).await,
                [public.id, hidden.id],
                "{which:?}"
            );
        }
    }
    let id = hidden.id;
    assert_kind!(community.get(stranger, id).await, ErrorKind::NotFound);
    assert_kind!(community.like(stranger, id).await, ErrorKind::NotFound);
    assert_kind!(community.unlike(stranger, id).await, ErrorKind::NotFound);
    let all = PageRequest::default;
    assert_kind!(
        community.likers(stranger, id, all()).await,
        ErrorKind::NotFound
    );
    assert_kind!(
        community.comments(stranger, id, all()).await,
        ErrorKind::NotFound
    );
    let comment = community.comment(stranger, id, "psst".to_owned()).await;
    assert_kind!(comment, ErrorKind::NotFound);
    assert_eq!(feed(store, stranger, Feed::Everyone).await, [public.id]);
    assert_eq!(
        feed(store, stranger, Feed::Author(writer)).await,
        [public.id]
    );
    assert_eq!(feed(store, stranger, Feed::Following).await, []);
    store.follows().unfollow(follower, writer).await.unwrap();
    assert_kind!(community.get(follower, id).await, ErrorKind::NotFound);
    assert_eq!(feed(store, follower, Feed::Following).await, []);
}

pub async fn the_feed_stays_right_while_posts_arrive(store: &AuthorStack) {
    let [writer, follower, stranger] = circle(store).await;
    let mut posts = Vec::new();
    for n in 0..6 {
        let by = if n == 2 { stranger } else { writer };
        posts.push(post(store, by, Visibility::Public).await.id);
    }
    let community = store.community();
    let request = PageRequest::first(2);
    let first = community
        .feed(follower, Feed::Following, request.clone())
        .await
        .unwrap();
    let ids: Vec<_> = first.items.iter().map(|view| view.post.id).collect();
    assert_eq!(ids, [posts[5], posts[4]]);
    post(store, writer, Visibility::Public).await;
    community.delete(writer, posts[4]).await.unwrap();
    let request = request.after(first.next.unwrap());
    let second = community
        .feed(follower, Feed::Following, request)
        .await
        .unwrap();
    let ids: Vec<_> = second.items.iter().map(|view| view.post.id).collect();
    assert_eq!(ids, [posts[3], posts[1]]);
    let oldest = PageRequest::first(1).order(Order::OldestFirst);
    let oldest = community
        .feed(follower, Feed::Following, oldest)
        .await
        .unwrap();
    assert_eq!(oldest.items[0].post.id, posts[0]);
    let own = feed(store, stranger, Feed::Following).await;
    assert_eq!(own, [posts[2]], "one's own posts are in one's feed");
}

pub async fn likes_count_once(store: &AuthorStack) {
    let [writer, follower, stranger] = circle(store).await;
    let id = post(store, writer, Visibility::Public).await.id;
    let community = store.community();
    assert_eq!(community.like(follower, id).await.unwrap(), 1);
    assert_eq!(community.like(follower, id).await.unwrap(), 1);
    assert_eq!(community.like(stranger, id).await.unwrap(), 2);
    let view = community.get(follower, id).await.unwrap();
    assert_eq!((view.like_count, view.liked), (2, true));
    assert!(!community.get(writer, id).await.unwrap().liked);
    assert_eq!(community.unlike(follower, id).await.unwrap(), 1);
    assert_eq!(community.unlike(follower, id).await.unwrap(), 1);
    let view = community.get(follower, id).await.unwrap();
    assert_eq!((view.like_count, view.liked), (1, false));
    assert_eq!(
        view.post.updated_at, view.post.created_at,
        "a like is no edit"
    );
    assert_kind!(community.like(Id::new(), id).await, ErrorKind::NotFound);
    assert_kind!(community.like(writer, Id::new()).await, ErrorKind::NotFound);
}

pub async fn a_like_repeated_later_changes_nothing(store: &AuthorStack) {
    let [writer, follower, _] = circle(store).await;
    let id = post(store, writer, Visibility::Public).await.id;
    let community = store.community();
    assert_eq!(community.like(follower, id).await.unwrap(), 1);
    let view = community.get(follower, id).await.unwrap();
    clock_moved().await;
    assert_eq!(community.like(follower, id).await.unwrap(), 1);
    assert_eq!(community.get(follower, id).await.unwrap(), view);
    let likers = community.likers(writer, id, PageRequest::default()).await;
    assert_eq!(likers.unwrap().items, [follower]);
}

pub async fn likes_at_once_are_all_counted(store: &AuthorStack) {
    let writer = author(store, "writer").await.id;
    let id = post(store, writer, Visibility::Public).await.id;
    let community = store.community();
    let mut users = Vec::new();
    for n in 0..30 {
        users.push(author(store, &format!("user{n}")).await.id);
    }
    for user in &users[..10] {
        community.like(*user, id).await.unwrap();
    }
    // Ten take their like back, twenty like the post, five of them twice.
    let unlikes = users[..10].iter().map(|user| community.unlike(*user, id));
    let likes = users[10..].iter().chain(&users[10..15]);
    let likes = likes.map(|user| community.like(*user, id));
    let (unlikes, likes) = futures::join!(join_all(unlikes), join_all(likes));
    for call in unlikes.into_iter().chain(likes) {
        call.unwrap();
    }
    assert_eq!(community.get(writer, id).await.unwrap().like_count, 20);
    let all = PageRequest::first(200).order(Order::OldestFirst);
    let left = community.likers(writer, id, all).await.unwrap();
    assert_eq!(left.items, users[10..]);
}

pub async fn likers_come_in_pages(store: &AuthorStack) {
    let writer = author(store, "writer").await.id;
    let id = post(store, writer, Visibility::Public).await.id;
    let community = store.community();
    let mut users = Vec::new();
    for n in 0..5 {
        let user = author(store, &format!("user{n}")).await.id;
        community.like(user, id).await.unwrap();
        users.push(user);
    }
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let (mut request, mut found) = (PageRequest::first(2).order(order), Vec::new());
        loop {
            let page = community.likers(writer, id, request.clone()).await.unwrap();
            found.extend(page.items);
            match page.next {
                Some(cursor) => request = request.after(cursor),
                None => break,
            }
        }
        if order == Order::NewestFirst {
            found.reverse();
        }
        assert_eq!(found, users);
    }
    let foreign = PageRequest::default().after(Cursor::behind_moment(Utc::now(), "x"));
    let refused = community.likers(writer, id, foreign).await;
    assert_kind!(refused, ErrorKind::Invalid { field, .. } if field == "cursor");
}

pub async fn comments_come_by_date(store: &AuthorStack) {
    let [writer, follower, stranger] = circle(store).await;
    let id = post(store, writer, Visibility::Public).await.id;
    let community = store.community();
    let mut made = Vec::new();
    for (n, by) in [follower, writer, stranger, follower, writer]
        .into_iter()
        .enumerate()
    {
        let text = format!("$comment {n} \u{2028}");
        made.push(community.comment(by, id, text).await.unwrap());
    }
    assert_eq!(community.get(stranger, id).await.unwrap().comment_count, 5);
    for order in [Order::OldestFirst, Order::NewestFirst] {
        for limit in [1, 2, 200] {
            let (mut request, mut found) = (PageRequest::first(limit).order(order), Vec::new());
            loop {
                let page = community
                    .comments(stranger, id, request.clone())
                    .await
                    .unwrap();
                found.extend(page.items);
                match page.next {
                    Some(cursor) => {
                        let cursor: Cursor = cursor.to_string().parse().unwrap();
                        request = request.after(cursor);
                    }
                    None => break,
                }
            }
            if order == Order::NewestFirst {
                found.reverse();
            }
            assert_eq!(found, made);
        }
    }
    let refused = community.comment(writer, id, "\t".to_owned()).await;
    assert_kind!(refused, ErrorKind::Invalid { field, .. } if field == "comments.content");
    let unknown = community.comment(Id::new(), id, "x".to_owned()).await;
    assert_kind!(unknown, ErrorKind::NotFound);
}

pub async fn a_comment_goes_by_its_author_or_the_posts(store: &AuthorStack) {
    let [writer, follower, stranger] = circle(store).await;
    let id = post(store, writer, Visibility::Followers).await.id;
    let community = store.community();
    let mut ids: Vec<CommentId> = Vec::new();
    for _ in 0..2 {
        let comment = community.comment(follower, id, "Bravo".to_owned()).await;
        ids.push(comment.unwrap().id);
    }
    let refused = community.delete_comment(stranger, id, ids[0].clone()).await;
    assert_kind!(refused, ErrorKind::NotFound);
    assert_eq!(community.get(writer, id).await.unwrap().comment_count, 2);
    // A user who no longer sees the post can still remove their comment.
    store.follows().unfollow(follower, writer).await.unwrap();
    community
        .delete_comment(follower, id, ids[0].clone())
        .await
        .unwrap();
    community
        .delete_comment(writer, id, ids[1].clone())
        .await
        .unwrap();
    let again = community.delete_comment(writer, id, ids[1].clone()).await;
    assert_kind!(again, ErrorKind::NotFound);
    assert_eq!(community.get(writer, id).await.unwrap().comment_count, 0);
}

pub async fn comments_at_once_are_all_kept(store: &AuthorStack) {
    let writer = author(store, "writer").await.id;
    let id = post(store, writer, Visibility::Public).await.id;
    let community = store.community();
    let calls = (0..20).map(|n| community.comment(writer, id, format!("c{n}")));
    let mut made: Vec<_> = join_all(calls)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let all = PageRequest::first(200).order(Order::OldestFirst);
    let found = community.comments(writer, id, all).await.unwrap().items;
    made.sort_by_key(|comment| (comment.created_at, comment.id.clone()));
    assert_eq!(found, made);
    assert_eq!(community.get(writer, id).await.unwrap().comment_count, 20);
}

pub async fn a_post_is_edited_by_its_author(store: &AuthorStack) {
    let [writer, follower, _] = circle(store).await;
    let created = post(store, writer, Visibility::Public).await;
    let community = store.community();
    community.like(follower, created.id).await.unwrap();
    let patch = PostPatch {
        content: Some("$unset".to_owned()),
        visibility: Some(Visibility::Followers),
        expected_updated_at: Some(created.updated_at),
        ..PostPatch::default()
    };
    let theirs = community.update(follower, created.id, patch.clone()).await;
    assert_kind!(theirs, ErrorKind::NotFound);
    let changed = community
        .update(writer, created.id, patch.clone())
        .await
        .unwrap();
    assert_eq!(
        (changed.content.as_str(), changed.visibility),
        ("$unset", Visibility::Followers)
    );
    assert!(changed.updated_at > created.updated_at);
    let view = community.get(follower, created.id).await.unwrap();
    assert_eq!((view.post, view.like_count), (changed, 1));
    let refused = community.update(writer, created.id, patch).await;
    assert_kind!(refused, ErrorKind::Conflict { .. });
    let empty = PostPatch {
        content: Some(String::new()),
        ..PostPatch::default()
    };
    let refused = community.update(writer, created.id, empty).await;
    assert_kind!(refused, ErrorKind::Invalid { field, .. } if field == "content");
}

pub async fn deleting_a_post_takes_likes_and_comments(store: &AuthorStack) {
    let [writer, follower, _] = circle(store).await;
    let id = post(store, writer, Visibility::Public).await.id;
    let community = store.community();
    community.like(follower, id).await.unwrap();
    let comment = community
        .comment(follower, id, "Bravo".to_owned())
        .await
        .unwrap();
    assert_kind!(community.delete(follower, id).await, ErrorKind::NotFound);
    community.delete(writer, id).await.unwrap();
    assert_kind!(community.delete(writer, id).await, ErrorKind::NotFound);
    assert_kind!(community.get(writer, id).await, ErrorKind::NotFound);
    let refused = community.delete_comment(follower, id, comment.id).await;
    assert_kind!(refused, ErrorKind::NotFound);
}

pub async fn far_cursors_are_no_error(store: &AuthorStack) {
    let writer = author(store, "writer").await.id;
    let id = post(store, writer, Visibility::Public).await.id;
    store
        .community()
        .comment(writer, id, "x".to_owned())
        .await
        .unwrap();
    for (date, found) in [("0001-01-01T00:00:00Z", 1), ("9999-01-01T00:00:00Z", 0)] {
        let date: DateTime<Utc> = date.parse().unwrap();
        let after = Cursor::behind_moment(date, "~");
        let page = PageRequest::default()
            .order(Order::OldestFirst)
            .after(after);
        let comments = store.community().comments(writer, id, page).await.unwrap();
        assert_eq!(comments.items.len(), found);
    }
}
