//! The suite of the accounts, on projects of both families of keys.

mod new_keys {
    use crate::accounts::project::{Family, Project};

    async fn fresh() -> Project {
        Project::new(Family::New).await
    }

    authorstack_core::accounts_conformance!(fresh);
}

mod legacy_keys {
    use crate::accounts::project::{Family, Project};

    async fn fresh() -> Project {
        Project::new(Family::Legacy).await
    }

    authorstack_core::accounts_conformance!(fresh);
}
