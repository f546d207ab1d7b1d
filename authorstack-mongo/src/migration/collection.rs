//! The collections of the kinds, and what stands under their names.

use authorstack_core::{Error, ErrorKind, Result, migrate::Kind};
use bson::{Bson, Document, RawDocumentBuf, doc};
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
            | Kind::RevenueForecasts
            | Kind::Accounts
            | Kind::Identities => Err(no_such(kind)),
        }
    }

    /// What a kind's collection is.
    pub(super) async fn form(&self, kind: Kind) -> Result<CollectionForm> {
        let listed = self.listed(kind).await?;
        let listed = listed.as_ref();
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

    /// A text that tells a kind's collection from all others; `None` for a view, which has none.
    pub(super) async fn origin_of(&self, kind: Kind) -> Result<Option<String>> {
        let listed = self.listed(kind).await?;
        let id = listed.as_ref().and_then(|listed| {
            let info = listed.get_document("info").ok()?;
            match info.get("uuid")? {
                Bson::Binary(id) => id.to_uuid().ok(),
                _ => None,
            }
        });
        Ok(id.map(|id| format!("mongodb:{id}")))
    }

    /// What the server says about a kind's collection; `None` if there is none, or if it may not be
    /// asked.
    async fn listed(&self, kind: Kind) -> Result<Option<Document>> {
        let name = self.collection(kind)?.name();
        let list = doc! {"listCollections": 1, "filter": {"name": name}};
        let answer = match driver(self.deadline, self.database.run_command(list)).await {
            // Who may not list collections may still read one.
            Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied { .. }) => {
                return Ok(None);
            }
            answer => answer?,
        };
        let listed = answer.get_document("cursor").ok();
        let listed = listed.and_then(|cursor| cursor.get_array("firstBatch").ok());
        Ok(listed.and_then(|batch| batch.first()?.as_document().cloned()))
    }
}

/// The error for a kind that MongoDB does not hold.
pub(super) fn no_such(kind: Kind) -> Error {
    Error::new(ErrorKind::Unsupported {
        what: format!("MongoDB holds no {kind}").into(),
    })
}
