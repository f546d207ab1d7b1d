//! The store's repositories, bundled.

use std::sync::Arc;

use authorstack_core::{DocumentStore, Documents};

use crate::{
    books::MongoBooks, boosts::MongoBoosts, checklists::MongoChecklists, community::MongoCommunity,
    competitors::MongoCompetitors, follows::MongoFollows, store::MongoStore, users::MongoUsers,
};

impl DocumentStore for MongoStore {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn documents(&self) -> Documents {
        Documents {
            users: Arc::new(MongoUsers(self.clone())),
            books: Arc::new(MongoBooks(self.clone())),
            checklists: Arc::new(MongoChecklists(self.clone())),
            follows: Arc::new(MongoFollows(self.clone())),
            community: Arc::new(MongoCommunity(self.clone())),
            boosts: Arc::new(MongoBoosts(self.clone())),
            competitors: Arc::new(MongoCompetitors(self.clone())),
        }
    }
}
