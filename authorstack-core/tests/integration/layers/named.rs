//! `Named`: what failed, and for which record.

use async_trait::async_trait;
use authorstack_core::{
    AuthorStack, BookFilter, BookPatch, ChecklistFilter, ChecklistPatch, CompetitorPatch, Cursor,
    DateRange, Error, ErrorKind, Feed, Id, MemoryStore, NewBook, NewUser, PageRequest, PostPatch,
    Result, TaskChange, TaskPatch, UserPatch,
    layers::{Call, Fenced, Layer, Named, Next, Operation, Reply},
    testing::author,
};
use chrono::DateTime;
use futures::StreamExt;

use crate::layers::{
    calls::make_every_call,
    common::{all_sales, new_user, on_memory},
};

#[tokio::test]
async fn errors_name_the_operation_and_the_record() {
    let stack = AuthorStack::memory();
    let (user, book) = (Id::new(), Id::new());
    let error = stack.books().get(user, book).await.unwrap_err();
    assert!(error.is_not_found());
    assert_eq!(error.operation(), Some(Operation::BooksGet));
    assert_eq!(error.record(), Some(book.to_string().as_str()));
    assert_eq!(error.to_string(), format!("books.get {book}: not found"));

    let email = "nobody@example.org".parse().unwrap();
    let error = stack.users().get_by_email(&email).await.unwrap_err();
    assert_eq!(error.operation(), Some(Operation::UsersGetByEmail));
    assert_eq!(error.record(), None);
}

/// Fails with names of its own.
#[derive(Debug)]
struct Failing;

#[async_trait]
impl Layer for Failing {
    async fn call(&self, _: &Call<'_>, _: Next<'_>) -> Result<Reply> {
        let error = Error::not_found().in_operation(Operation::Load);
        Err(error.for_record("the innermost"))
    }
}

#[tokio::test]
async fn the_innermost_names_stay() {
    // The store names the user, since the book is not there yet.
    let stack = AuthorStack::memory();
    let user = Id::new();
    let new = NewBook::new("A book");
    let error = stack.books().create(user, new).await.unwrap_err();
    assert_eq!(error.operation(), Some(Operation::BooksCreate));
    assert_eq!(error.record(), Some(format!("user {user}").as_str()));

    let stack = on_memory().layer(Named).layer(Failing).build();
    let error = stack.users().get(Id::new()).await.unwrap_err();
    assert_eq!(error.operation(), Some(Operation::Load));
    assert_eq!(error.record(), Some("the innermost"));
}

#[tokio::test]
async fn errors_of_a_layer_are_named_too() {
    let fence = Fenced::new();
    let stack = on_memory().layer(fence.clone()).build();
    fence.close().await;
    let id = Id::new();
    let error = stack.users().delete(id).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Moving);
    assert_eq!(error.operation(), Some(Operation::UsersDelete));
    assert_eq!(error.record(), Some(id.to_string().as_str()));
}

/// Checks that a call is refused for what is passed to it, and named.
async fn is_invalid<T: std::fmt::Debug>(
    operation: Operation,
    call: impl Future<Output = Result<T>>,
) {
    let error = call.await.unwrap_err();
    let is_invalid = matches!(error.kind(), ErrorKind::Invalid { .. });
    assert!(is_invalid, "{operation}: {error}");
    assert_eq!(error.operation(), Some(operation));
}

/// What is passed in is checked before the record is looked for.
#[tokio::test]
async fn invalid_input_is_invalid_even_where_the_record_is_missing() {
    use Operation as Of;
    let stack = AuthorStack::memory();
    let (users, books, lists) = (stack.users(), stack.books(), stack.checklists());
    let (posts, rivals) = (stack.community(), stack.competitors());
    let (nul, user, id) = (|| "a\0b".to_owned(), Id::new(), Id::new());
    is_invalid(Of::UsersAddCredits, users.add_credits(user, 0)).await;
    is_invalid(Of::UsersSpendCredits, users.spend_credits(user, -1)).await;
    is_invalid(Of::FollowsFollow, stack.follows().follow(user, user)).await;
    let new = NewBook::new(" ");
    is_invalid(Of::BooksCreate, books.create(user, new)).await;
    let comment = posts.comment(user, Id::new(), nul());
    is_invalid(Of::CommunityComment, comment).await;
    let patch = UserPatch {
        name: Some(nul()),
        ..UserPatch::default()
    };
    is_invalid(Of::UsersUpdate, users.update(user, patch)).await;
    let patch = BookPatch {
        title: Some(nul()),
        ..BookPatch::default()
    };
    is_invalid(Of::BooksUpdate, books.update(user, id, patch)).await;
    let patch = ChecklistPatch {
        name: Some(" ".to_owned()),
        ..ChecklistPatch::default()
    };
    let updated = lists.update(user, Id::new(), patch);
    is_invalid(Of::ChecklistsUpdate, updated).await;
    let change = TaskChange::Edit {
        id: "t".parse().unwrap(),
        patch: TaskPatch {
            title: Some(nul()),
            ..TaskPatch::default()
        },
    };
    let changed = lists.change_tasks(user, Id::new(), change);
    is_invalid(Of::ChecklistsChangeTasks, changed).await;
    let patch = PostPatch {
        content: Some(String::new()),
        ..PostPatch::default()
    };
    let updated = posts.update(user, Id::new(), patch);
    is_invalid(Of::CommunityUpdate, updated).await;
    let patch = CompetitorPatch {
        title: authorstack_core::Change::Set(nul()),
        ..CompetitorPatch::default()
    };
    let updated = rivals.update(user, Id::new(), patch);
    is_invalid(Of::CompetitorsUpdate, updated).await;
}

#[tokio::test]
async fn the_cursor_of_another_list_is_invalid_even_where_the_record_is_missing() {
    use Operation as Of;
    let stack = AuthorStack::memory();
    let (user, at) = (Id::new(), DateTime::UNIX_EPOCH);
    let by_id = || PageRequest::first(1).after(Cursor::behind(Id::<()>::new()));
    let by_moment = || PageRequest::first(1).after(Cursor::behind_moment(at, "x"));
    is_invalid(Of::UsersList, stack.users().list(by_moment())).await;
    let (books, filter) = (stack.books(), BookFilter::default());
    is_invalid(Of::BooksList, books.list(user, filter, by_moment())).await;
    let (lists, filter) = (stack.checklists(), ChecklistFilter::default());
    let listed = lists.list(user, filter, by_moment());
    is_invalid(Of::ChecklistsList, listed).await;
    is_invalid(Of::ChecklistsDue, lists.due(user, at, by_id())).await;
    let follows = stack.follows();
    is_invalid(Of::FollowsFollowers, follows.followers(user, by_moment())).await;
    is_invalid(Of::FollowsFollowing, follows.following(user, by_moment())).await;
    let posts = stack.community();
    let feed = posts.feed(user, Feed::Everyone, by_moment());
    is_invalid(Of::CommunityFeed, feed).await;
    let likers = posts.likers(user, Id::new(), by_moment());
    is_invalid(Of::CommunityLikers, likers).await;
    let comments = posts.comments(user, Id::new(), by_id());
    is_invalid(Of::CommunityComments, comments).await;
    is_invalid(Of::BoostsList, stack.boosts().list(user, by_moment())).await;
    let (rivals, range) = (stack.competitors(), DateRange::default());
    is_invalid(Of::CompetitorsList, rivals.list(user, by_moment())).await;
    let history = rivals.history(user, Id::new(), range, by_id());
    is_invalid(Of::CompetitorsHistory, history).await;
    let logs = stack.sync_logs().list(user, None, by_id());
    is_invalid(Of::SyncLogsList, logs).await;
    let valid = stack.insights().list_valid(user, at, by_moment());
    is_invalid(Of::InsightsListValid, valid).await;
}

#[tokio::test]
async fn invalid_input_does_not_reach_the_store() {
    let store = MemoryStore::new();
    let stack = store.stack();
    let before = format!("{store:?}");
    let broken = NewUser {
        name: "a\0b".to_owned(),
        ..new_user("ada")
    };
    let error = stack.users().create(broken).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Invalid { field, .. } if field == "name"));
    assert_eq!(format!("{store:?}"), before);
}

#[tokio::test]
async fn a_part_that_is_not_there_is_unsupported() {
    let made = make_every_call(&AuthorStack::builder().build(), None).await;
    for made in made {
        let error = made.error.unwrap();
        let operation = made.operation;
        assert!(
            matches!(error.kind(), ErrorKind::Unsupported { .. }),
            "{error}"
        );
        assert_eq!(error.operation(), Some(operation), "{error}");
        assert_eq!(
            error.record().map(str::to_owned),
            made.record,
            "{operation}"
        );
    }

    // The other part answers.
    let store = MemoryStore::new();
    let user = author(&store.stack(), "ada").await;
    let documents = AuthorStack::builder().documents(&store).build();
    assert_eq!(documents.users().get(user.id).await.unwrap(), user);
    let mut sales = documents.sales().stream(user.id, all_sales());
    let error = sales.next().await.unwrap().unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Unsupported { .. }),
        "{error}"
    );
    assert_eq!(error.operation(), Some(Operation::SalesStream));
    let analytics = AuthorStack::builder().analytics(&store).build();
    assert!(analytics.users().get(user.id).await.is_err());
    let mut sales = analytics.sales().stream(user.id, all_sales());
    assert!(sales.next().await.is_none());
}
