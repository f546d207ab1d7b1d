use crate::{
    Competitor, Id, PricePoint, Result,
    fields::{Field, FieldReader, FieldValue, FieldWriter, Fields, Read, Shape},
    records::json::json,
};

/// One entry of a competitor's price history, with the competitor's id.
#[derive(Debug, Clone, PartialEq)]
pub struct CompetitorPrice {
    /// The competitor.
    pub competitor_id: Id<Competitor>,
    /// The price and its date.
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
const PRICE_FIELDS: &[Field; 1 + PricePoint::FIELDS.len()] = &{
    let competitor = Field {
        name: "competitorId",
        column: Some("competitor_id"),
        shape: Shape::Id,
        required: true,
        vital: true,
        most: 0,
    };
    let mut fields = [competitor; 1 + PricePoint::FIELDS.len()];
    let mut index = 0;
    while index < PricePoint::FIELDS.len() {
        fields[1 + index] = PricePoint::FIELDS[index];
        index += 1;
    }
    fields
};

json!(CompetitorPrice);

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
