//! A host's logic against mocks: no store, and failures on demand.

use std::sync::Arc;

use authorstack_core::{
    AuthorStack, BearerToken, BookFilter, Error, ErrorKind, Id, MemoryStore, NewBook, NewUser,
    PageRequest, UserRepository,
    layers::{Operation, Switched},
    mocks::{MockAccountRepository, MockAuthenticator, MockUserRepository},
};

async fn greeting(users: &dyn UserRepository, id: Id<authorstack_core::User>) -> String {
    match users.get(id).await {
        Ok(user) => format!("Hello {}", user.name),
        Err(error) if error.is_retryable() => "One moment, please".to_owned(),
        Err(_) => "Who are you?".to_owned(),
    }
}

#[tokio::test]
async fn a_mock_stands_in_for_a_repository() {
    let mut users = MockUserRepository::new();
    let mut calls = 0;
    users.expect_get().times(2).returning(move |_| {
        calls += 1;
        Err(if calls == 1 {
            Error::unavailable("failing over")
        } else {
            Error::not_found()
        })
    });
    let id = Id::new();
    assert_eq!(greeting(&users, id).await, "One moment, please");
    assert_eq!(greeting(&users, id).await, "Who are you?");
}

#[tokio::test]
async fn a_stack_is_built_of_parts() {
    let stack = AuthorStack::builder().users(not_found()).build();

    // The layers are around a part as around a store.
    let error = stack.users().get(Id::new()).await.unwrap_err();
    assert_eq!(error.operation(), Some(Operation::UsersGet));
    let missing = stack.books().get(Id::new(), Id::new()).await.unwrap_err();
    assert!(matches!(missing.kind(), ErrorKind::Unsupported { .. }));
}

#[tokio::test]
async fn a_part_replaces_that_of_a_store() {
    let store = MemoryStore::new();
    let whole = store.stack();
    let ada = NewUser::new(
        "66f2a1".parse().unwrap(),
        "ada@example.org".parse().unwrap(),
        "Ada",
    );
    let ada = whole.users().create(ada).await.unwrap();
    whole
        .books()
        .create(ada.id, NewBook::new("Tide"))
        .await
        .unwrap();

    // Also when the part is given first.
    for builder in [
        AuthorStack::builder().store(&store).users(not_found()),
        AuthorStack::builder().users(not_found()).store(&store),
    ] {
        let stack = builder.build();
        assert!(stack.users().get(ada.id).await.unwrap_err().is_not_found());
        let page = PageRequest::first(10);
        let books = stack
            .books()
            .list(ada.id, BookFilter::default(), page)
            .await;
        assert_eq!(books.unwrap().items.len(), 1);
    }
}

fn not_found() -> MockUserRepository {
    let mut users = MockUserRepository::new();
    users.expect_get().returning(|_| Err(Error::not_found()));
    users
}

#[tokio::test]
async fn calls_are_switched_to_a_stack_of_parts() {
    let mut users = MockUserRepository::new();
    users
        .expect_get()
        .returning(|_| Err(ErrorKind::Unauthenticated.into()));
    let switched = Switched::new();
    let stack = AuthorStack::builder()
        .store(&MemoryStore::new())
        .shared_layer(Arc::new(switched.clone()))
        .build();
    let parts = AuthorStack::builder().users(users).build();
    let _calls_under_way = switched.to(parts);
    let error = stack.users().get(Id::new()).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Unauthenticated);
    let other = stack.books().get(Id::new(), Id::new()).await.unwrap_err();
    assert!(matches!(other.kind(), ErrorKind::Unsupported { .. }));
}

#[tokio::test]
async fn the_accounts_are_mocked_too() {
    let mut accounts = MockAccountRepository::new();
    accounts
        .expect_get()
        .returning(|_| Err(Error::unavailable("failing over")));
    let mut authenticator = MockAuthenticator::new();
    authenticator
        .expect_authenticate()
        .returning(|_| Err(Error::unauthenticated()));
    // A host gives a repository of its own to a store's stack.
    let store = MemoryStore::new();
    let stack = AuthorStack::builder()
        .accounts(&store)
        .account_repository(accounts)
        .authenticator(authenticator)
        .build();
    let id = "66f2a1".parse().unwrap();
    assert!(stack.accounts().get(&id).await.unwrap_err().is_retryable());
    let token = BearerToken::new("abc").unwrap();
    let nobody = stack.authenticator().authenticate(&token).await;
    assert_eq!(nobody.unwrap_err().kind(), &ErrorKind::Unauthenticated);
    assert_eq!(stack.sessions().list(&id).await.unwrap(), []);
    let missing = stack.users().get(Id::new()).await.unwrap_err();
    assert!(matches!(missing.kind(), ErrorKind::Unsupported { .. }));
}
