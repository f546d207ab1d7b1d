//! The conformance suites, directly and through both kinds of pooler.

mod direct {
    use crate::common::{Fresh, Via};

    async fn fresh() -> Fresh {
        Fresh::new(Via::Direct).await
    }

    authorstack_core::conformance!(fresh);

    mod analytics {
        use super::fresh;

        authorstack_core::analytics_conformance!(fresh);
    }
}

mod transaction_pooler {
    use crate::common::{Fresh, Via};

    async fn fresh() -> Fresh {
        Fresh::new(Via::Pooler).await
    }

    authorstack_core::conformance!(fresh);

    mod analytics {
        use super::fresh;

        authorstack_core::analytics_conformance!(fresh);
    }
}

mod session_pooler {
    use crate::common::{Fresh, Via};

    async fn fresh() -> Fresh {
        Fresh::new(Via::SessionPooler).await
    }

    authorstack_core::conformance!(fresh);

    mod analytics {
        use super::fresh;

        authorstack_core::analytics_conformance!(fresh);
    }
}
