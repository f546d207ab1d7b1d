//! A host's logic against mocks: no store, and failures on demand.

use authorstack_core::{Error, Id, MockUserRepository, UserRepository};

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
