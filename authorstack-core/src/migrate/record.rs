use serde::{Deserialize, Serialize};

use crate::{
    Competitor, Id, PricePoint, Result,
    fields::{Field, FieldReader, FieldValue, FieldWriter, Fields, Read, Shape},
};

/// One entry of a competitor's price history, with the competitor's id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompetitorPrice {
    /// The competitor.
    pub competitor_id: Id<Competitor>,
    /// The price and its date.
    #[serde(flatten)]
    pub point: PricePoint,
}

impl CompetitorPrice {
    /// Checks that every backend can store the record.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        self.point.check()
    }
}

/// The competitor, then the fields of the price.
impl Fields for CompetitorPrice {
    const FIELDS: &'static [Field] = &[
        Field {
            name: "competitorId",
            column: Some("competitor_id"),
            shape: Shape::Id,
        },
        PricePoint::FIELDS[0],
        PricePoint::FIELDS[1],
    ];
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
        let competitor_id = match FieldValue::read(&Self::FIELDS[0], reader) {
            Read::Missing => {
                let way_out = "the competitor needs an id that is an objectId";
                reader.missing(&Self::FIELDS[0], way_out);
                Read::Refused
            }
            found => found,
        };
        let point = PricePoint::read(reader)?;
        match competitor_id {
            Read::Value(competitor_id) => Some(Self {
                competitor_id,
                point,
            }),
            Read::Missing | Read::Refused => None,
        }
    }
}

// The list above must name each field of a price.
const _: () = assert!(PricePoint::FIELDS.len() == 2);
