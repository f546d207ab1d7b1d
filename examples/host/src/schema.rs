//! The schemas of AuthorStack's records, made from the lists of their fields: a new field of a record
//! is in the `OpenAPI` document by itself.

use std::{borrow::Cow, collections::BTreeMap};

use authorstack_core::{
    self as core,
    fields::{Fields, Shape},
};
use serde_json::Value;
use utoipa::{
    IntoResponses, PartialSchema, ToSchema,
    openapi::{
        ArrayBuilder, Content, Object, ObjectBuilder, Ref, RefOr, ResponseBuilder, Schema,
        response::Response,
        schema::{AdditionalProperties, KnownFormat, SchemaFormat, SchemaType, Type},
    },
};

use crate::problem::Problem;

/// All answers that are no success: problem details.
#[derive(Debug)]
pub struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let problem = Content::new(Some(Ref::from_schema_name(Problem::name())));
        let refusal = ResponseBuilder::new()
            .description("Why the request was refused, or failed")
            .content("application/problem+json", problem)
            .build();
        BTreeMap::from([("default".to_owned(), RefOr::T(refusal))])
    }
}

/// A page of a list, in the document.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "it stands for Page in the document")]
pub struct PageOf<T: ToSchema> {
    /// The records.
    items: Vec<T>,
    /// What to send as `after` for the next page; none on the last one.
    next: Option<String>,
    /// The names of stored records that cannot be read.
    #[schema(required = false)]
    unreadable: Vec<Value>,
}

/// The schema of the values of a shape.
fn of_shape(shape: Shape) -> Object {
    let text = |format| {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(format)
    };
    let known = |format| Some(SchemaFormat::KnownFormat(format));
    match shape {
        Shape::Id => text(None).pattern(Some("^[0-9a-f]{24}$")).build(),
        Shape::Text | Shape::TextOrEmpty | Shape::Decimal => text(None).build(),
        Shape::Day => text(known(KnownFormat::Date)).build(),
        Shape::Moment => text(known(KnownFormat::DateTime)).build(),
        Shape::Bool => Object::with_type(Type::Boolean),
        Shape::Float => Object::with_type(Type::Number),
        Shape::Whole(..) => Object::with_type(Type::Integer),
        Shape::Part => Object::with_type(Type::Object),
        // Its values are not the document's business.
        Shape::Json | Shape::Texts | Shape::Sums | Shape::Parts => {
            Object::with_type(SchemaType::AnyValue)
        }
    }
}

fn schema_of(shape: Shape) -> Schema {
    let items = match shape {
        Shape::Texts => Type::String,
        Shape::Sums | Shape::Parts => Type::Object,
        _ => return Schema::Object(of_shape(shape)),
    };
    let items = Object::with_type(items);
    Schema::Array(ArrayBuilder::new().items(items).build())
}

/// A record, as an answer has it.
fn record<T: Fields>() -> RefOr<Schema> {
    let mut object = ObjectBuilder::new();
    for field in T::FIELDS {
        let name = field.json_name();
        object = object.property(name.clone(), schema_of(field.shape));
        if field.required {
            object = object.required(name);
        }
    }
    RefOr::T(Schema::Object(object.build()))
}

/// What texts look like that are names out of a few, or have a form of their own.
const FORMS: &[(&str, &str)] = &[
    ("asin", "^[A-Za-z0-9]{10}$"),
    ("currency", "^[A-Z]{3}$"),
    ("status", "^(draft|published|archived)$"),
    ("theme", "^(light|dark|system)$"),
    ("visibility", "^(public|followers)$"),
];

/// What creates a record, or changes it: some of its fields.
fn input<T: Fields>(taken: &[&str], needed: &[&str]) -> ObjectBuilder {
    let mut object =
        ObjectBuilder::new().additional_properties(Some(AdditionalProperties::FreeForm(false)));
    for field in T::FIELDS {
        let name = field.json_name();
        if taken.contains(&name.as_ref()) {
            let form = FORMS.iter().find(|(known, _)| *known == name);
            let text = ObjectBuilder::new().schema_type(Type::String);
            let schema = match form {
                Some((_, form)) => Schema::Object(text.pattern(Some(*form)).build()),
                None => schema_of(field.shape),
            };
            object = object.property(name, schema);
        }
    }
    for name in needed {
        object = object.required(*name);
    }
    object
}

fn new<T: Fields>(taken: &[&str], needed: &[&str]) -> RefOr<Schema> {
    RefOr::T(Schema::Object(input::<T>(taken, needed).build()))
}

fn patch<T: Fields>(taken: &[&str]) -> RefOr<Schema> {
    let condition = of_shape(Shape::Moment);
    let object = input::<T>(taken, &[]).property("expectedUpdatedAt", condition);
    RefOr::T(Schema::Object(object.build()))
}

/// Types that stand for records in the document.
macro_rules! schemas {
    ($($(#[$doc:meta])* $name:ident = $schema:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                $schema
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    )+};
}

const BOOK: &[&str] = &[
    "title",
    "subtitle",
    "author",
    "description",
    "isbn",
    "asin",
    "coverUrl",
    "genres",
    "platforms",
    "publishedDate",
    "status",
    "metadata",
];

schemas! {
    /// A user's profile.
    User = record::<core::User>();
    /// Changes of a profile.
    UserPatch = patch::<core::User>(&["name", "preferences"]);
    /// A book.
    Book = record::<core::Book>();
    /// A book to be created.
    NewBook = new::<core::Book>(BOOK, &["title"]);
    /// Changes of a book.
    BookPatch = patch::<core::Book>(BOOK);
    /// A checklist.
    Checklist = record::<core::Checklist>();
    /// A checklist to be created.
    NewChecklist = new::<core::Checklist>(&["bookId", "name", "tasks"], &["bookId", "name"]);
    /// Changes of a checklist.
    ChecklistPatch = patch::<core::Checklist>(&["name"]);
    /// A task to be added.
    NewTask = new::<core::Task>(&["title", "description", "dueDate", "category"], &["title"]);
    /// A post.
    Post = record::<core::Post>();
    /// A post to be written.
    NewPost = new::<core::Post>(&["content", "attachments", "visibility"], &[]);
    /// Changes of a post.
    PostPatch = patch::<core::Post>(&["content", "attachments", "visibility"]);
    /// A comment.
    Comment = record::<core::Comment>();
    /// A boost.
    Boost = record::<core::Boost>();
    /// A boost to be bought.
    NewBoost = new::<core::Boost>(
        &["id", "bookId", "duration", "creditsSpent", "position", "startedAt"],
        &["bookId", "duration", "creditsSpent"],
    );
    /// A competitor.
    Competitor = record::<core::Competitor>();
    /// A competitor to be watched.
    NewCompetitor = new::<core::Competitor>(
        &["asin", "title", "author", "currency", "genre"],
        &["asin"],
    );
    /// Changes of a competitor.
    CompetitorPatch = patch::<core::Competitor>(&["title", "author", "currency", "genre"]);
    /// A price that was seen.
    PricePoint = record::<core::PricePoint>();
    /// A log of an import.
    SyncLog = record::<core::SyncLog>();
    /// An insight.
    Insight = record::<core::Insight>();
    /// A forecast.
    Forecast = record::<core::Forecast>();
    /// The settings of an account.
    AccountPreferences = record::<core::AccountPreferences>();
    /// Changes of settings.
    AccountPreferencesPatch = new::<core::AccountPreferences>(&["theme", "notifications"], &[]);
}
