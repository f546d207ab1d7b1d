//! The collections of the kinds, and what stands under their names.

use authorstack_core::{Error, ErrorKind, Result, migrate::Kind};
use bson::{RawDocumentBuf, doc};
use mongodb::Collection;

use crate::{error::driver, store::MongoStore};

/// What stands under a collection's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CollectionForm {
    Collection,
    /// A collection without an index of `_id` beside its documents.
    Clustered,
    View,
    TimeSeries,
}

impl MongoStore {
    pub(super) fn collection(&self, kind: Kind) -> Result<&Collection<RawDocumentBuf>> {
        match kind {
            Kind::Users => Ok(&self.users),
            Kind::Books => Ok(&self.books),
            Kind::Checklists => Ok(&self.checklists),
            Kind::Follows => Ok(&self.follows),
            Kind::CommunityPosts | Kind::PostLikes | Kind::PostComments => Ok(&self.posts),
            Kind::MarketplaceBoosts => Ok(&self.boosts),
            Kind::Competitors | Kind::CompetitorPrices => Ok(&self.competitors),
            Kind::SalesData
            | Kind::DailyAggregates
            | Kind::SyncLogs
            | Kind::AiInsights
            | Kind::RevenueForecasts => Err(no_such(kind)),
        }
    }

    /// What a kind's collection is.
    pub(super) async fn form(&self, kind: Kind) -> Result<CollectionForm> {
        let name = self.collection(kind)?.name();
        let list = doc! {"listCollections": 1, "filter": {"name": name}};
        let answer = match driver(self.deadline, self.database.run_command(list)).await {
            // Who may not list collections may still read one.
            Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied { .. }) => {
                return Ok(CollectionForm::Collection);
            }
            answer => answer?,
        };
        let listed = answer.get_document("cursor").ok();
        let listed = listed.and_then(|cursor| cursor.get_array("firstBatch").ok());
        let listed = listed.and_then(|batch| batch.first()?.as_document());
        let form = listed.and_then(|listed| listed.get_str("type").ok());
        let is_clustered = listed
            .and_then(|listed| listed.get_document("options").ok())
            .is_some_and(|options| options.contains_key("clusteredIndex"));
        Ok(match form {
            Some("timeseries") => CollectionForm::TimeSeries,
            Some("view") => CollectionForm::View,
            _ if is_clustered => CollectionForm::Clustered,
            _ => CollectionForm::Collection,
        })
    }
}

/// The error for a kind that MongoDB does not hold.
pub(super) fn no_such(kind: Kind) -> Error {
    Error::new(ErrorKind::Unsupported {
        what: format!("MongoDB holds no {kind}").into(),
    })
}
