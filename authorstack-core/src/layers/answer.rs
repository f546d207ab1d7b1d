//! What layers may know of answers.

use chrono::NaiveDate;

use crate::{
    Account, AccountPreferences, Book, Boost, Checklist, Comment, Competitor, Done,
    ErasedAnalytics, Follow, FollowCounts, Forecast, ForecastAccuracy, Identity, Insight, Listed,
    Overview, Page, Post, PostView, Principal, RefreshReport, Sale, Session, SyncLog, UpsertCounts,
    User,
};

/// The answer of a call.
pub(super) trait Answer {
    /// How many records it leaves out because they cannot be read.
    fn unreadable(&self) -> u64 {
        0
    }
}

impl<T> Answer for Page<T> {
    fn unreadable(&self) -> u64 {
        self.unreadable.len() as u64
    }
}

impl<T> Answer for Listed<T> {
    fn unreadable(&self) -> u64 {
        self.unreadable.len() as u64
    }
}

impl Answer for Done {
    fn unreadable(&self) -> u64 {
        self.unreadable.len() as u64
    }
}

impl Answer for Overview {
    fn unreadable(&self) -> u64 {
        self.unreadable.len() as u64
    }
}

/// Answers that leave nothing out.
macro_rules! whole {
    ($($answer:ty),+ $(,)?) => {
        $(impl Answer for $answer {})+
    };
}

whole! {
    (), bool, u64, Book, Boost, Checklist, Comment, Competitor, Follow, FollowCounts,
    ErasedAnalytics, ForecastAccuracy, Insight, Post, PostView, RefreshReport, Sale, SyncLog, UpsertCounts, User,
    Vec<Forecast>, Vec<NaiveDate>, Account, Identity, Vec<Identity>, Vec<Session>,
    AccountPreferences, Principal,
}
