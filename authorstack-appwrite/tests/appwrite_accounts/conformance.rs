//! The suite of the accounts: on both APIs of rows, without Realtime, with both authenticators.

mod tables {
    use crate::project::Project;

    async fn fresh() -> Project {
        Project::new().await
    }

    authorstack_core::accounts_conformance!(fresh);
}

mod documents_without_realtime_by_tokens {
    use authorstack_appwrite::{AuthenticatorKind, RowsApi};

    use crate::project::Project;

    async fn fresh() -> Project {
        Project::with(|config| {
            let config = config.rows_api(RowsApi::Documents).realtime(false);
            config.authenticator(AuthenticatorKind::Token)
        })
        .await
    }

    authorstack_core::accounts_conformance!(fresh);
}
