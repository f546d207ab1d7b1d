//! The record type of each kind: what goes through the fields of any kind begins here.

use serde::{Serialize, de::DeserializeOwned};

use super::{CompetitorPrice, Kind, Record};
use crate::{
    Book, Boost, Checklist, Comment, Competitor, DailyAggregate, Follow, Forecast, Insight, Like,
    Post, PricePoint, Result, Sale, SyncLog, User,
    fields::{Field, FieldReader, FieldValue, FieldWriter, Fields, Read, Shape},
};

/// A record that has a table of its own.
pub trait Stored: Fields + Into<Record> + Serialize + DeserializeOwned {
    /// The kind of the record.
    const KIND: Kind;
}

macro_rules! stored {
    ($($kind:ident: $variant:ident($record:ty),)+) => {
        $(impl Stored for $record {
            const KIND: Kind = Kind::$kind;
        })+

        impl Kind {
            /// The fields of its records.
            #[must_use]
            pub const fn fields(self) -> &'static [Field] {
                match self {
                    $(Self::$kind => <$record>::FIELDS,)+
                }
            }

            /// Whether its records keep unknown fields beside.
            #[must_use]
            pub const fn has_extra(self) -> bool {
                match self {
                    $(Self::$kind => <$record>::HAS_EXTRA,)+
                }
            }

            /// The columns of its table that hold the fields, in the order of the list.
            #[must_use]
            pub fn column_names(self) -> Vec<&'static str> {
                let columns = self.fields().iter().filter_map(|field| field.column);
                columns.chain(self.has_extra().then_some("extra")).collect()
            }

            /// Reads a record of the kind.
            pub fn read<R: FieldReader>(self, reader: &mut R) -> Option<Record> {
                match self {
                    $(Self::$kind => <$record>::read(reader).map(Record::from),)+
                }
            }
        }

        impl Record {
            /// Hands each field to a writer.
            ///
            /// # Errors
            /// The writer's first.
            pub fn write<W: FieldWriter>(&self, writer: &mut W) -> Result<()> {
                match self {
                    $(Self::$variant(record) => record.write(writer),)+
                }
            }
        }
    };
}

stored! {
    Users: User(User),
    Books: Book(Book),
    Checklists: Checklist(Checklist),
    Follows: Follow(Follow),
    CommunityPosts: Post(Post),
    PostLikes: Like(Like),
    PostComments: Comment(Comment),
    MarketplaceBoosts: Boost(Boost),
    Competitors: Competitor(Competitor),
    CompetitorPrices: Price(CompetitorPrice),
    SalesData: Sale(Sale),
    DailyAggregates: DailyAggregate(DailyAggregate),
    SyncLogs: SyncLog(SyncLog),
    AiInsights: Insight(Insight),
    RevenueForecasts: Forecast(Forecast),
}

/// The competitor, then the fields of the price.
const PRICE_FIELDS: &[Field; 1 + PricePoint::FIELDS.len()] = &{
    let competitor = Field {
        name: "competitorId",
        column: Some("competitor_id"),
        shape: Shape::Id,
    };
    let mut fields = [competitor; 1 + PricePoint::FIELDS.len()];
    let mut index = 0;
    while index < PricePoint::FIELDS.len() {
        fields[1 + index] = PricePoint::FIELDS[index];
        index += 1;
    }
    fields
};

impl Fields for CompetitorPrice {
    const FIELDS: &'static [Field] = PRICE_FIELDS;
    const HAS_EXTRA: bool = PricePoint::HAS_EXTRA;

    fn write<W: FieldWriter>(&self, writer: &mut W) -> Result<()> {
        let Self {
            competitor_id,
            point,
        } = self;
        competitor_id.write(&Self::FIELDS[0], writer)?;
        point.write(writer)
    }

    fn read<R: FieldReader>(reader: &mut R) -> Option<Self> {
        let field = &Self::FIELDS[0];
        let competitor_id = FieldValue::read(field, reader);
        if competitor_id == Read::Missing {
            reader.missing(field, "say which competitor's price it is");
        }
        let point = PricePoint::read(reader);
        match (competitor_id, point) {
            (Read::Value(competitor_id), Some(point)) => Some(Self {
                competitor_id,
                point,
            }),
            _ => None,
        }
    }
}
