use authorstack_core::migrate::{Kind, Record};
use authorstack_core::{
    AuthProvider, Book, BookMetadata, BookStatus, Id, NewCompetitor, NewPost, Preferences,
    SubscriptionTier, Theme, User, fields::Fields, migrate::Problems, time,
};
use bson::{Binary, Bson, Decimal128, Document, RawDocumentBuf, doc, oid::ObjectId};
use proptest::prelude::*;
use serde_json::json;

use super::{decode, encode, encode_with_arrays, key::key_of};

const ID: &str = "6b0379ca3f6979be1a457c2c";

fn oid() -> ObjectId {
    ObjectId::parse_str(ID).unwrap()
}

fn bytes(document: &Document) -> Vec<u8> {
    RawDocumentBuf::try_from(document).unwrap().into_bytes()
}

fn a_user() -> Document {
    doc! {"_id": oid(), "authId": "a", "email": "Ada@Example.org"}
}

fn a_book() -> Document {
    doc! {"_id": oid(), "userId": oid(), "title": ""}
}

fn user(bytes: &[u8]) -> Result<User, Problems> {
    decode(bytes)
}

fn book(bytes: &[u8]) -> Result<Book, Problems> {
    decode(bytes)
}

fn user_with(field: &str, value: impl Into<Bson>) -> Result<User, Problems> {
    let mut document = a_user();
    document.insert(field, value);
    user(&bytes(&document))
}

fn book_with(field: &str, value: impl Into<Bson>) -> Result<Book, Problems> {
    let mut document = a_book();
    document.insert(field, value);
    book(&bytes(&document))
}

fn dec(text: &str) -> Bson {
    Bson::Decimal128(text.parse::<Decimal128>().unwrap())
}

/// The only problem, as `field: problem`.
fn problem<T: std::fmt::Debug>(result: Result<T, Problems>) -> String {
    let problems = result.expect_err("the document should have been refused");
    assert_eq!(problems.0.len(), 1, "{problems}");
    problems.to_string()
}

#[test]
fn what_is_missing_has_the_schemas_meaning() {
    let user = user(&bytes(&a_user())).unwrap();
    assert_eq!(user.email.as_str(), "ada@example.org");
    assert_eq!((user.credits, user.name.as_str()), (0, ""));
    assert_eq!(user.subscription_tier, SubscriptionTier::Free);
    assert_eq!(user.auth_provider, AuthProvider::APPWRITE);
    assert_eq!(user.created_at, user.id.created_at());
    assert_eq!(user.updated_at, user.created_at);
    assert!(user.connected_platforms.is_empty() && user.extra.is_empty());

    let at = bson::DateTime::from_millis(1_700_000_000_123);
    let book = book_with("createdAt", at).unwrap();
    assert_eq!(book.updated_at.timestamp_millis(), 1_700_000_000_123);
    assert_eq!(book.status, BookStatus::Draft);
    assert_eq!(book.metadata, BookMetadata::default());
}

#[test]
fn null_is_missing() {
    let mut nulls = a_user();
    for field in User::FIELDS {
        if !nulls.contains_key(field.name) {
            nulls.insert(field.name, Bson::Null);
        }
    }
    assert_eq!(
        user(&bytes(&nulls)).unwrap(),
        user(&bytes(&a_user())).unwrap()
    );
    let mut nulls = a_book();
    for field in Book::FIELDS {
        if !nulls.contains_key(field.name) {
            nulls.insert(field.name, Bson::Null);
        }
    }
    nulls.insert(
        "metadata",
        doc! {"pageCount": null, "series": null, "seriesPosition": null},
    );
    assert_eq!(
        book(&bytes(&nulls)).unwrap(),
        book(&bytes(&a_book())).unwrap()
    );
    let empty = user_with(
        "preferences",
        doc! {"theme": null, "emailNotifications": null},
    );
    assert_eq!(empty.unwrap().preferences, Preferences::default());
}

#[test]
fn numbers_are_read_from_every_type() {
    let ten: [Bson; 6] = [
        10_i32.into(),
        10_i64.into(),
        10.0.into(),
        dec("10"),
        dec("1.0E+1"),
        "10".into(),
    ];
    for value in ten {
        assert_eq!(user_with("credits", value.clone()).unwrap().credits, 10);
        let metadata = doc! {"pageCount": value.clone(), "seriesPosition": value};
        let metadata = book_with("metadata", metadata).unwrap().metadata;
        assert_eq!(
            (metadata.page_count, metadata.series_position),
            (Some(10), Some(10.0))
        );
    }
    let half = book_with("metadata", doc! {"seriesPosition": dec("1.5")}).unwrap();
    assert_eq!(half.metadata.series_position, Some(1.5));
}

#[test]
fn numbers_that_are_not_exact_are_problems() {
    let wrong: [(Bson, &str); 9] = [
        (10.5.into(), "double 10.5"),
        (f64::NAN.into(), "double NaN"),
        (f64::INFINITY.into(), "double inf"),
        (1e19.into(), "double 10000000000000000000"),
        ((-1).into(), "int32 -1"),
        (dec("0.1"), "decimal 0.1"),
        ("ten".into(), "string \"ten\""),
        (true.into(), "bool true"),
        (doc! {}.into(), "object"),
    ];
    for (value, shown) in wrong {
        let text = problem(user_with("credits", value));
        let expected = format!("credits: expected a whole number of zero or more, found {shown}; ");
        assert!(text.starts_with(&expected), "{text}");
    }
    let text = problem(book_with("metadata", doc! {"pageCount": 1_i64 << 32}));
    assert!(
        text.starts_with("metadata.pageCount: expected a whole number from 0 to 4294967295"),
        "{text}"
    );
    let text = problem(book_with("metadata", doc! {"seriesPosition": f64::NAN}));
    assert!(
        text.starts_with("metadata.seriesPosition: expected a finite number"),
        "{text}"
    );
}

#[test]
fn a_wrong_type_is_a_problem_of_its_field() {
    for (field, value, expected) in [
        (
            "name",
            Bson::Int32(5),
            "name: expected a string, found int32 5; store a string or remove the field",
        ),
        (
            "name",
            Bson::Array(vec![]),
            "name: expected a string, found array;",
        ),
        (
            "email",
            Bson::Boolean(true),
            "email: expected a string, found bool true;",
        ),
        (
            "authId",
            Bson::ObjectId(oid()),
            "authId: expected a string, found objectId 6b03",
        ),
        (
            "_id",
            Bson::String(ID.into()),
            "_id: expected an objectId, found string \"6b03",
        ),
        (
            "createdAt",
            Bson::String("2020-03-01T00:00:00".into()),
            "createdAt: expected a date, found string \"2020-03-01T00:00:00\";",
        ),
        (
            "updatedAt",
            Bson::Double(0.5),
            "updatedAt: expected a date, found double 0.5;",
        ),
        (
            "preferences",
            Bson::String("dark".into()),
            "preferences: expected an object, found string \"dark\";",
        ),
        (
            "connectedPlatforms",
            Bson::String("kdp".into()),
            "connectedPlatforms: expected an array, found string",
        ),
        (
            "connectedPlatforms",
            Bson::Int32(1),
            "connectedPlatforms: expected an array, found int32 1;",
        ),
        (
            "email",
            Bson::String("nobody".into()),
            "email: \"nobody\" has no @",
        ),
        (
            "email",
            Bson::Null,
            "email: is missing; a user needs an e-mail address",
        ),
        (
            "authId",
            Bson::String(String::new()),
            "authId: is 0 bytes long",
        ),
        (
            "subscriptionTier",
            Bson::String("gold".into()),
            "subscriptionTier: \"gold\" is not one of free",
        ),
        (
            "createdAt",
            bson::DateTime::MAX.into(),
            "createdAt: the date, 9223372036854775807 ms",
        ),
        (
            "preferences",
            doc! {"emailNotifications": 2}.into(),
            "preferences.emailNotifications: expected true or false, found int32 2;",
        ),
    ] {
        let text = problem(user_with(field, value));
        assert!(text.starts_with(expected), "{text}");
    }
}

#[test]
fn a_wrong_type_in_a_book_is_a_problem_of_its_field() {
    for (field, value, expected) in [
        (
            "isbn",
            Bson::String("9783161484101".into()),
            "isbn: \"9783161484101\" ends in a wrong check digit",
        ),
        (
            "asin",
            Bson::String("short".into()),
            "asin: \"short\" is not an ASIN",
        ),
        (
            "status",
            Bson::String("gone".into()),
            "status: \"gone\" is not one of draft",
        ),
        (
            "userId",
            Bson::String("6b0379ca".into()),
            "userId: expected an objectId, found string",
        ),
        ("userId", Bson::Null, "userId: is missing"),
        (
            "genres",
            Bson::Int32(1),
            "genres: expected an array, found int32 1",
        ),
        (
            "genres",
            Bson::Array(vec!["a".into(), 5.into()]),
            "genres.1: expected a string, found int32 5",
        ),
        (
            "genres",
            Bson::Array(vec![Bson::Null]),
            "genres.0: expected a string, found null",
        ),
        (
            "platforms",
            Bson::Array(vec!["".into()]),
            "platforms.0: \"\" is not a name",
        ),
        (
            "title",
            doc! {"en": "x"}.into(),
            "title: expected a string, found object",
        ),
    ] {
        let text = problem(book_with(field, value));
        assert!(text.starts_with(expected), "{text}");
    }
}

#[test]
fn lists_and_empty_numbers_are_read_as_mongoose_does() {
    let book = book_with("genres", "Mystery").unwrap();
    assert_eq!(book.genres, ["Mystery"]);
    let book = book_with("platforms", "kdp").unwrap();
    assert_eq!(book.platforms, [authorstack_core::Platform::KDP]);
    assert_eq!(book_with("isbn", "").unwrap().isbn, None);
    assert_eq!(book_with("asin", " ").unwrap().asin, None);
    assert_eq!(
        book_with("asin", "b08n5wrwnw")
            .unwrap()
            .asin
            .unwrap()
            .as_str(),
        "B08N5WRWNW"
    );
}

#[test]
fn what_mongoose_casts_in_one_way_is_read() {
    let mut undefined = a_user();
    for field in User::FIELDS {
        if !undefined.contains_key(field.name) {
            undefined.insert(field.name, Bson::Undefined);
        }
    }
    let plain = user(&bytes(&a_user())).unwrap();
    assert_eq!(user(&bytes(&undefined)).unwrap(), plain);

    let book = book_with("userId", format!(" {} ", ID.to_uppercase())).unwrap();
    assert_eq!(book.user_id.to_string(), ID);
    let at = "2020-03-01T12:30:05.250Z";
    for value in [
        Bson::from(at),
        "2020-03-01T13:30:05.25+01:00".into(),
        1_583_065_805_250_i64.into(),
        1_583_065_805_250.0.into(),
        dec("1583065805250"),
        "1583065805250".into(),
    ] {
        let book = book_with("createdAt", value).unwrap();
        assert_eq!(
            book.created_at,
            at.parse::<chrono::DateTime<chrono::Utc>>().unwrap()
        );
        assert_eq!(book.updated_at, book.created_at);
    }
    let book = book_with("publishedDate", " ").unwrap();
    assert_eq!(book.published_date, None);

    for (value, expected) in [
        (Bson::from("false"), false),
        (0.into(), false),
        ("yes".into(), true),
        (1.0.into(), true),
    ] {
        let user = user_with("preferences", doc! {"emailNotifications": value}).unwrap();
        assert_eq!(user.preferences.email_notifications, Some(expected));
    }
    assert_eq!(user_with("credits", " 12 ").unwrap().credits, 12);
    assert_eq!(user_with("credits", "").unwrap().credits, 0);

    let user = user_with("subscriptionTier", "Free ").unwrap();
    assert_eq!(user.subscription_tier, SubscriptionTier::Free);
    assert_eq!(
        user_with("authProvider", " appwrite")
            .unwrap()
            .auth_provider,
        AuthProvider::APPWRITE
    );
    assert_eq!(
        user_with("email", " Ada@example.org\n")
            .unwrap()
            .email
            .as_str(),
        "ada@example.org"
    );
    assert_eq!(
        book_with("status", "PUBLISHED").unwrap().status,
        BookStatus::Published
    );
    let book = book_with("platforms", vec!["KDP "]).unwrap();
    assert_eq!(book.platforms, [authorstack_core::Platform::KDP]);
}

#[test]
fn a_single_object_is_a_list_of_one() {
    let user = user_with(
        "connectedPlatforms",
        doc! {"platform": " KDP", "_id": oid()},
    )
    .unwrap();
    assert_eq!(user.connected_platforms.len(), 1);
    assert_eq!(
        user.connected_platforms[0].platform,
        authorstack_core::Platform::KDP
    );
    let document = encode(&user).unwrap();
    assert_eq!(decode::<User>(document.as_bytes()), Ok(user));
    let text = problem(user_with("connectedPlatforms", "kdp"));
    assert!(text.contains("expected an array, found string"), "{text}");
    let text = problem(user_with("connectedPlatforms", doc! {"lastSync": 1}));
    assert!(
        text.starts_with("connectedPlatforms.platform: is missing"),
        "{text}"
    );
    let text = problem(book_with("genres", doc! {"a": 1}));
    assert!(
        text.starts_with("genres: expected an array, found object"),
        "{text}"
    );
}

#[test]
fn ids_of_parts_come_back() {
    let part = |more: Document| {
        let mut part = doc! {"_id": oid()};
        part.extend(more);
        part
    };
    let user = user_with("preferences", part(doc! {"theme": "Dark"})).unwrap();
    assert_eq!(user.preferences.theme, Some(Theme::Dark));
    assert_eq!(user.preferences.extra["_id"], json!({"$oid": ID}));
    let book = book_with("metadata", part(doc! {"pageCount": " 12 "})).unwrap();
    let again = encode(&book).unwrap();
    let metadata = again.get_document("metadata").unwrap();
    assert_eq!(metadata.get_object_id("_id").unwrap(), oid());
    assert_eq!(metadata.get_i32("pageCount").unwrap(), 12);

    let tasks = part(doc! {"id": "1", "title": "t", "completed": "true", "dueDate": "2020-03-01"});
    let list = doc! {"_id": oid(), "userId": ID, "bookId": ID, "name": "", "tasks": tasks};
    let list: authorstack_core::Checklist = decode(&bytes(&list)).unwrap();
    assert!(list.tasks[0].completed && list.tasks[0].due_date.is_some());
    assert_eq!(list.progress, 100);
    assert_eq!(list.tasks[0].extra["_id"], json!({"$oid": ID}));
    let files = part(doc! {"type": "image", "url": " https://example.org/a.png"});
    let post = doc! {"_id": oid(), "authorId": ID, "attachments": files, "visibility": "PUBLIC"};
    let post: authorstack_core::Post = decode(&bytes(&post)).unwrap();
    assert_eq!(
        post.attachments[0].url.as_str(),
        "https://example.org/a.png"
    );
    assert_eq!(post.attachments[0].extra["_id"], json!({"$oid": ID}));

    let comment = part(doc! {"id": "1", "authorId": ID, "createdAt": 5});
    let envelope = doc! {"postId": oid(), "comments": comment};
    let comment = super::comment(&bytes(&envelope), None).unwrap();
    assert_eq!(comment.created_at.timestamp_millis(), 5);
    let item = super::encode_comment(&comment).unwrap();
    assert_eq!(item.get_object_id("_id").unwrap(), oid());
    let price = part(doc! {"price": " 4.99 ", "date": "2020-03-01T00:00:00Z"});
    let price = super::point(&bytes(&doc! {"competitorId": oid(), "priceHistory": price})).unwrap();
    let item = encode(&price).unwrap();
    assert_eq!(item.get_object_id("_id").unwrap(), oid());
    let number = item.get("price").unwrap();
    assert_eq!(number, Some(bson::RawBsonRef::Double(4.99)));
}

#[test]
fn a_key_of_text_is_no_id() {
    let mut document = a_user();
    document.insert("_id", ID);
    let text = problem(user(&bytes(&document)));
    let expected = format!(
        "_id: expected an objectId, found string \"{ID}\"; copy the document to one whose _id is \
         an objectId, and delete this one"
    );
    assert_eq!(text, expected);
    // The parts of such a document are not those of the document with the objectId.
    let comment = doc! {"postId": ID, "comments": {"id": "1", "authorId": oid()}};
    assert!(problem(super::comment(&bytes(&comment), None)).starts_with("postId: "));
    let like = doc! {"postId": ID, "likes": oid()};
    assert!(problem(decode::<authorstack_core::Like>(&bytes(&like))).starts_with("postId: "));
    let like = doc! {"postId": oid(), "likes": ID};
    let like: authorstack_core::Like = decode(&bytes(&like)).unwrap();
    assert_eq!(like.user_id.to_string(), ID);
}

#[test]
fn problems_say_the_way_out() {
    for (text, expected) in [
        (
            problem(user_with("credits", -3)),
            "credits: expected a whole number of zero or more, found int32 -3; store a whole number \
             of zero or more or remove the field",
        ),
        (
            problem(user_with("subscriptionTier", "gold")),
            "subscriptionTier: \"gold\" is not one of free, starter, professional, enterprise; correct it or remove the field",
        ),
        (
            problem(book_with("genres", vec![5])),
            "genres.0: expected a string, found int32 5; store a string or remove the item",
        ),
        (
            problem(super::comment(
                &bytes(&doc! {"postId": oid(), "comments": 5}),
                None,
            )),
            "comments: expected an object, found int32; store an object or remove the item",
        ),
        (
            problem(super::point(&bytes(&doc! {
                "competitorId": oid(), "priceHistory": {"price": -3, "date": 0}
            }))),
            "priceHistory.price: -3 is below zero; correct it",
        ),
        (
            problem(user_with("extra", doc! {"a": {"": {"$oid": 1}}})),
            "extra.a.\"\".$oid: is a name that Extended JSON reserves, so the value would look like a type; rename the field",
        ),
    ] {
        assert_eq!(text, expected);
    }
    let damaged = book(&[5, 0, 0, 0, 1]).unwrap_err().to_string();
    let expected = "the document is damaged: its bytes are not a BSON document; restore it from a \
                    backup; _id: is missing";
    assert!(damaged.starts_with(expected), "{damaged}");
}

#[test]
fn nested_fields_are_named_by_their_path() {
    let items = vec![
        doc! {"platform": "kdp", "connectedAt": "yesterday"},
        doc! {"lastSync": null},
        doc! {"platform": 5},
    ];
    let problems = user_with("connectedPlatforms", items).unwrap_err();
    let fields: Vec<_> = problems.0.iter().map(|p| p.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "connectedPlatforms.0.connectedAt",
            "connectedPlatforms.1.platform",
            "connectedPlatforms.2.platform"
        ]
    );
    let text = problem(user_with("preferences", doc! {"theme": "blue"}));
    assert!(
        text.starts_with("preferences.theme: \"blue\" is not one of light, dark, system"),
        "{text}"
    );
    let twice = vec![
        doc! {"platform": "kdp"},
        doc! {"platform": "kdp", "lastSync": bson::DateTime::from_millis(0)},
    ];
    assert_eq!(
        user_with("connectedPlatforms", twice)
            .unwrap()
            .connected_platforms
            .len(),
        2
    );
}

#[test]
fn all_problems_are_collected() {
    let document = doc! {"_id": 1, "email": "x", "credits": -1, "name": 2};
    let problems = user(&bytes(&document)).unwrap_err();
    let fields: Vec<_> = problems.0.iter().map(|p| p.field.as_str()).collect();
    assert_eq!(fields, ["_id", "authId", "email", "name", "credits"]);
}

#[test]
fn unknown_fields_are_extra_at_every_level() {
    let user = user_with("preferences", doc! {"theme": "dark", "font": {"size": 1.0}}).unwrap();
    assert_eq!(user.preferences.theme, Some(Theme::Dark));
    assert_eq!(
        user.preferences.extra,
        *json!({"font": {"size": 1.0}}).as_object().unwrap()
    );
    let item = doc! {"platform": "kdp", "_id": oid()};
    let user = user_with("connectedPlatforms", vec![item]).unwrap();
    assert_eq!(
        user.connected_platforms[0].extra["_id"],
        json!({"$oid": ID})
    );
    let book = book_with("__v", 3).unwrap();
    assert_eq!(book.extra, *json!({"__v": 3}).as_object().unwrap());
}

#[test]
fn doubles_survive_jsonb() {
    let numbers: Vec<Bson> = [
        5.0,
        1.5,
        999_999_999_999_999.0,
        1e15,
        -1e300,
        -0.0,
        f64::NAN,
        f64::NEG_INFINITY,
    ]
    .map(Bson::Double)
    .into();
    let book = book_with("n", numbers).unwrap();
    assert_eq!(
        book.extra["n"].to_string(),
        r#"[5.0,1.5,999999999999999.0,{"$numberDouble":"1000000000000000.0"},{"$numberDouble":"-1e300"},{"$numberDouble":"-0.0"},{"$numberDouble":"NaN"},{"$numberDouble":"-Infinity"}]"#
    );
}

#[test]
fn a_secret_in_an_unknown_field_is_never_shown() {
    let mut raw = RawDocumentBuf::try_from(&a_user()).unwrap();
    raw.append(bson::raw::cstr!("apiToken"), "hunter2");
    raw.append(bson::raw::cstr!("apiToken"), "hunter2");
    let text = problem(user(raw.as_bytes()));
    assert_eq!(
        text,
        "apiToken: appears more than once in one document; keep one of them"
    );
    let text = problem(user_with("password", doc! {"$oid": "hunter2"}));
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn a_field_twice_is_a_problem() {
    let mut raw = RawDocumentBuf::try_from(&a_book()).unwrap();
    raw.append(bson::raw::cstr!("title"), "again");
    assert!(problem(book(raw.as_bytes())).starts_with("title: appears more than once"));
}

/// Replaces the bytes `??` of a document.
fn damaged(document: &Document, with: [u8; 2]) -> Vec<u8> {
    let mut bytes = bytes(document);
    let at = bytes.windows(2).position(|two| two == b"??").unwrap();
    bytes[at..at + 2].copy_from_slice(&with);
    bytes
}

#[test]
fn text_that_is_not_utf8_is_a_problem_of_its_field() {
    let mut document = a_book();
    document.insert("description", "ab??");
    let text = problem(book(&damaged(&document, [0xc3, 0x28])));
    assert_eq!(
        text,
        "description: holds bytes that are not UTF-8, from byte 2 on; store the text as UTF-8"
    );
    let mut document = a_book();
    document.insert("old", doc! {"x": ["??"]});
    let text = problem(book(&damaged(&document, [0xff, 0xfe])));
    assert!(text.starts_with("old.x.0: holds bytes"), "{text}");
    let mut document = a_book();
    document.insert("k??", 1);
    let text = problem(book(&damaged(&document, [0xff, 0xfe])));
    assert!(text.contains("not UTF-8"), "{text}");
}

#[test]
fn nul_is_carried() {
    let book = book_with("title", "a\0b").unwrap();
    assert_eq!(book.title, "a\0b");
    assert!(book.check().is_err());
}

#[test]
fn damage_is_a_problem() {
    let whole = bytes(&a_book());
    for bytes in [&[][..], &whole[..20], &[5, 0, 0, 0, 1]] {
        let problems = book(bytes).unwrap_err();
        assert!(problems.to_string().contains("damaged"), "{problems}");
    }
}

#[test]
fn a_binary_of_the_old_subtype_is_extra() {
    let binary = Binary {
        subtype: bson::spec::BinarySubtype::BinaryOld,
        bytes: vec![1, 2, 3],
    };
    let book = book_with("blob", binary).unwrap();
    assert_eq!(
        book.extra["blob"],
        json!({"$binary": {"base64": "AQID", "subType": "02"}})
    );
}

fn names(document: &RawDocumentBuf) -> Vec<&str> {
    let elements = document.iter_elements();
    elements.map(|it| it.unwrap().key().as_str()).collect()
}

#[test]
fn new_wholes_have_empty_arrays_where_the_schema_has_them() {
    let post = NewPost::new("x").into_post(Id::new());
    let document = encode_with_arrays(&post, "visibility").unwrap();
    assert_eq!(
        names(&document),
        [
            "_id",
            "authorId",
            "content",
            "attachments",
            "likes",
            "comments",
            "visibility",
            "createdAt",
            "updatedAt"
        ]
    );
    assert_eq!(
        decode::<authorstack_core::Post>(document.as_bytes()),
        Ok(post)
    );
    let mut rival = NewCompetitor::new("B08N5WRWNW".parse().unwrap());
    rival.currency = Some("EUR".parse().unwrap());
    let rival = rival.into_competitor(Id::new());
    let document = encode_with_arrays(&rival, "genre").unwrap();
    assert_eq!(
        names(&document),
        [
            "_id",
            "userId",
            "asin",
            "currency",
            "priceHistory",
            "createdAt"
        ]
    );
}

#[test]
fn whole_numbers_have_the_types_of_the_schema() {
    let boost = authorstack_core::NewBoost::new(Id::new(), 7, 30).into_boost(Id::new(), u32::MAX);
    let document = encode(&boost).unwrap();
    let number = |name| document.get(name).unwrap().unwrap();
    assert_eq!(number("duration").as_i32(), Some(7));
    assert_eq!(number("position").as_i64(), Some(i64::from(u32::MAX)));
    assert_eq!(number("credits_spent").as_i64(), Some(30));
}

#[test]
fn a_field_that_must_be_there_is_not_to_be_removed() {
    let text = problem(user_with("authId", 5));
    assert!(text.ends_with("store a string"), "{text}");
    let text = problem(user_with("name", 5));
    assert!(
        text.ends_with("store a string or remove the field"),
        "{text}"
    );
    let tasks = vec![doc! {"id": "a", "title": 5}];
    let list = doc! {"_id": oid(), "userId": oid(), "bookId": oid(), "name": "", "tasks": tasks};
    let text = problem(decode::<authorstack_core::Checklist>(&bytes(&list)));
    assert!(
        text.starts_with("tasks.0.title: ") && text.ends_with("store a string"),
        "{text}"
    );
}

#[test]
fn a_reserved_name_is_read_over_but_not_twice() {
    let mut document = doc! {"_id": oid(), "authorId": oid(), "likes": 7};
    let post = decode::<authorstack_core::Post>(&bytes(&document)).unwrap();
    assert!(post.extra.is_empty());
    document.remove("likes");
    let mut raw = RawDocumentBuf::try_from(&document).unwrap();
    raw.append(bson::raw::cstr!("likes"), 1);
    raw.append(bson::raw::cstr!("likes"), 2);
    let text = problem(decode::<authorstack_core::Post>(raw.as_bytes()));
    assert!(text.starts_with("likes: appears more than once"), "{text}");
}

#[test]
fn records_read_back_as_they_were_written() {
    let mut new = authorstack_core::NewBook::new("T");
    new.metadata.page_count = Some(u32::MAX);
    new.metadata.series_position = Some(2.0);
    new.extra = json!({"n": 5.0, "d": {"$date": "2020-01-01T00:00:00Z"}})
        .as_object()
        .unwrap()
        .clone();
    let mut written = new.into_book(Id::new());
    written.published_date = Some(time::now());
    let document = encode(&written).unwrap();
    assert_eq!(book(document.as_bytes()).unwrap(), written);
    let names = names(&document);
    assert_eq!(
        names,
        [
            "_id",
            "userId",
            "title",
            "genres",
            "platforms",
            "publishedDate",
            "status",
            "metadata",
            "createdAt",
            "updatedAt",
            "d",
            "n"
        ]
    );
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = (user(&bytes), book(&bytes), key_of(&bytes));
    }

    #[test]
    fn no_damage_panics(at: prop::sample::Index, byte: u8) {
        let mut document = a_user();
        document.insert("connectedPlatforms", vec![doc! {"platform": "kdp"}]);
        document.insert("x", vec![Bson::from(1), Bson::RegularExpression(bson::Regex {
            pattern: "a".try_into().unwrap(),
            options: "i".try_into().unwrap(),
        })]);
        let mut bytes = bytes(&document);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = (user(&bytes), book(&bytes), key_of(&bytes));
    }
}

/// A document, as a migration reads it: the record, and the fields that it sets aside.
fn aside(kind: Kind, document: &Document) -> (Record, Vec<String>) {
    let (record, aside) = super::record_setting_aside(kind, &bytes(document));
    let fields = aside.0.into_iter().map(|problem| problem.field).collect();
    (record.unwrap(), fields)
}

#[test]
fn what_makes_no_sense_is_set_aside_and_comes_back() {
    let now = bson::DateTime::from_millis(1_700_000_000_000);
    let book = doc! {
        "_id": oid(), "userId": oid(), "title": "A", "isbn": "978-3-16-148410-1",
        "genres": ["a", 5], "metadata": {"pageCount": f64::NAN, "keywords": ["k"]},
        "createdAt": now, "updatedAt": now,
    };
    let (record, fields) = aside(Kind::Books, &book);
    assert_eq!(fields, ["isbn", "genres.1", "metadata.pageCount"]);
    let Record::Book(read) = record else {
        unreachable!()
    };
    assert!(read.isbn.is_none() && read.genres.is_empty());
    assert_eq!(
        read.extra["_setAside"],
        serde_json::json!({"isbn": "978-3-16-148410-1", "genres": ["a", 5]})
    );
    let back = super::to_document(super::encode(read.as_ref()).unwrap()).unwrap();
    for name in ["isbn", "genres"] {
        assert_eq!(back.get(name), book.get(name), "{name}");
    }
    assert!(!back.contains_key("_setAside"));
    let pages = back.get_document("metadata").unwrap();
    assert!(pages.get_f64("pageCount").unwrap().is_nan());
    assert!(!pages.contains_key("_setAside"));
    // Read again, it is the same record.
    assert_eq!(aside(Kind::Books, &back).0, Record::Book(read.clone()));
    // A value that was given since stays.
    let mut edited = *read;
    edited.genres = vec!["new".to_owned()];
    let back = super::to_document(super::encode(&edited).unwrap()).unwrap();
    assert_eq!(back.get_array("genres").unwrap().len(), 1);
    assert!(
        back.get_document("_setAside")
            .unwrap()
            .contains_key("genres")
    );
    // Strictly, and in every other read, the record cannot be read.
    assert!(super::record(Kind::Books, &bytes(&book)).is_err());
}

#[test]
fn ownership_and_identity_are_never_set_aside() {
    let book = doc! {"_id": oid(), "userId": 5, "title": "A", "isbn": "x"};
    let (read, aside) = super::record_setting_aside(Kind::Books, &bytes(&book));
    let fields: Vec<String> = read.unwrap_err().0.into_iter().map(|it| it.field).collect();
    assert_eq!(fields, ["userId", "isbn"]);
    assert!(aside.is_empty());
}

#[test]
fn a_text_with_a_nul_is_set_aside_as_base64() {
    let now = bson::DateTime::from_millis(1_700_000_000_000);
    let book = doc! {
        "_id": oid(), "userId": oid(), "title": "A", "description": "a\0b", "old": "c\0",
        "createdAt": now, "updatedAt": now,
    };
    let (record, fields) = aside(Kind::Books, &book);
    assert_eq!(fields.len(), 2, "{fields:?}");
    let Record::Book(read) = record else {
        unreachable!()
    };
    let kept = &read.extra["_setAside"];
    assert!(kept.to_string().contains("$base64"), "{kept}");
    let back = super::to_document(super::encode(read.as_ref()).unwrap()).unwrap();
    assert_eq!(back.get_str("description").unwrap(), "a\0b");
    assert_eq!(back.get_str("old").unwrap(), "c\0");
}
