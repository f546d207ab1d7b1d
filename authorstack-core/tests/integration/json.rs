//! The JSON of records, as `docs/json.md` describes it: what a host sends and receives.

use authorstack_core::{
    AccountPatch, AccountPreferencesPatch, Book, BookPatch, BookStatus, Boost, Change, Checklist,
    ChecklistPatch, Comment, Competitor, CompetitorPatch, DailyAggregate, Forecast, Id, Insight,
    Like, NewBook, NewBoost, NewChecklist, NewCompetitor, NewForecast, NewInsight, NewPost,
    NewSale, NewSyncLog, NewTask, NewUser, Overview, Platform, Post, PostPatch, Sale, SalesTotal,
    SubscriptionTier, Sums, TaskPatch, TotalsGroup, User, UserPatch, Visibility,
    migrate::{Kind, Record},
    services::{DashboardSummary, Period},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, from_value, json, to_value};

const ID: &str = "6b0379ca3f6979be1a457c2c";

/// Reads it, and compares what is written of it.
fn becomes<T: Serialize + DeserializeOwned>(read: &Value, written: &Value) -> T {
    let record: T = from_value(read.clone()).unwrap();
    assert_eq!(to_value(&record).unwrap(), *written);
    from_value(written.clone()).unwrap()
}

fn refusal<T: DeserializeOwned>(json: Value) -> String {
    match from_value::<T>(json) {
        Ok(_) => panic!("this is refused"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_document_of_mongoose_is_read() {
    let user: User = becomes(
        &json!({
            "_id": ID, "authId": "66f2a1", "email": "Ada@Example.org", "name": "Ada",
            "createdAt": "2024-05-31T12:00:00.000Z", "__v": 3, "nickname": {"en": "A"},
            "preferences": {"theme": "dark", "beta": true},
        }),
        &json!({
            "id": ID, "authId": "66f2a1", "authProvider": "appwrite", "email": "ada@example.org",
            "name": "Ada", "subscriptionTier": "free", "credits": 0,
            "preferences": {"theme": "dark", "beta": true}, "connectedPlatforms": [],
            "createdAt": "2024-05-31T12:00:00Z", "updatedAt": "2024-05-31T12:00:00Z",
            "__v": 3, "nickname": {"en": "A"},
        }),
    );
    assert_eq!(user.subscription_tier, SubscriptionTier::Free);
    assert_eq!(user.extra["nickname"], json!({"en": "A"}));
    assert_eq!(user.preferences.extra["beta"], true);

    let boost: Boost = becomes(
        &json!({
            "_id": ID, "bookId": ID, "userId": ID, "duration": 7, "position": 1,
            "credits_spent": 120, "active": true, "startedAt": "2024-05-01T00:00:00Z",
        }),
        &json!({
            "id": ID, "bookId": ID, "userId": ID, "duration": 7, "position": 1,
            "creditsSpent": 120, "active": true, "startedAt": "2024-05-01T00:00:00Z",
            "expiresAt": "2024-05-08T00:00:00Z",
        }),
    );
    assert_eq!(boost.credits_spent, 120);

    let post: Post = from_value(json!({
        "_id": ID, "authorId": ID, "content": "Out!", "likes": [ID], "comments": [{}],
    }))
    .unwrap();
    assert_eq!(post.visibility, Visibility::Followers);
    post.check().unwrap();
    assert!(
        post.extra.is_empty(),
        "likes and comments are records of their own"
    );
    let rival: Competitor = from_value(json!({
        "_id": ID, "userId": ID, "asin": "B08N5WRWNW", "currentPrice": 4.99, "priceHistory": [],
        "isbn": "",
    }))
    .unwrap();
    rival.check().unwrap();
    assert_eq!(to_value(&rival).unwrap()["currentPrice"], "4.99");
}

#[test]
fn a_row_of_the_analytics_is_read() {
    let sale: Sale = becomes(
        &json!({
            "id": 7, "user_id": ID, "book_id": ID, "platform": "kdp", "date": "2024-03-01",
            "revenue": 27.93, "units": 7.0, "currency": "usd",
        }),
        &json!({
            "id": 7, "userId": ID, "bookId": ID, "platform": "kdp", "date": "2024-03-01",
            "revenue": "27.93", "units": 7, "pageReads": 0, "currency": "USD",
        }),
    );
    assert_eq!(sale.revenue.cents(), 2_793);

    let sums = json!({"revenue": "9.50", "units": 3, "pageReads": 120});
    let day: DailyAggregate = becomes(
        &json!({
            "id": 1, "user_id": ID, "date": "2024-03-01", "total_revenue": "9.50",
            "total_units": 3, "total_page_reads": 120,
            "platform_breakdown": {"kdp": {"revenue": 9.5, "units": 3, "page_reads": 120}},
            "book_breakdown": {ID: {"revenue": 9.5, "units": 3, "pageReads": 120}},
        }),
        &json!({
            "id": 1, "userId": ID, "date": "2024-03-01", "totalRevenue": "9.50", "totalUnits": 3,
            "totalPageReads": 120,
            "platformBreakdown": {"kdp": {"revenue": "9.5", "units": 3, "pageReads": 120}},
            "bookBreakdown": {ID: {"revenue": "9.5", "units": 3, "pageReads": 120}},
        }),
    );
    assert_eq!(day.platform_breakdown[&Platform::KDP].page_reads, 120);
    becomes::<Sums>(&sums, &sums);

    becomes::<Insight>(
        &json!({
            "id": 1, "user_id": ID, "insight_type": "trend", "content": null, "confidence": 0.5,
        }),
        &json!({
            "id": 1, "userId": ID, "insightType": "trend", "content": null, "confidence": "0.50",
        }),
    );
    becomes::<Forecast>(
        &json!({"id": 1, "user_id": ID, "forecast_date": "2024-03-01", "predicted_revenue": 110}),
        &json!({
            "id": 1, "userId": ID, "forecastDate": "2024-03-01", "predictedRevenue": "110.00",
        }),
    );
}

#[test]
fn likes_and_comments_name_their_post() {
    let like = json!({"postId": ID, "userId": ID});
    becomes::<Like>(&like, &like);
    let comment = json!({
        "postId": ID, "id": "c1", "authorId": ID, "content": "Bravo",
        "createdAt": "2024-05-31T12:00:00.500Z", "mood": "glad",
    });
    let read: Comment = becomes(&comment, &comment);
    assert_eq!(read.extra["mood"], "glad");
}

#[test]
fn rankings_are_objects() {
    let sums = Sums {
        revenue: "9.50".parse().unwrap(),
        units: 3,
        page_reads: 0,
    };
    let book: Id<Book> = ID.parse().unwrap();
    let day = "2024-03-01".parse().unwrap();
    let overview = Overview {
        totals: sums,
        previous: Sums::default(),
        days: vec![(day, sums)],
        platforms: vec![(Platform::KDP, sums)],
        books: vec![(book, sums)],
        unreadable: Vec::new(),
    };
    let json = to_value(&overview).unwrap();
    assert_eq!(
        json,
        json!({
            "totals": {"revenue": "9.50", "units": 3, "pageReads": 0},
            "previous": {"revenue": "0", "units": 0, "pageReads": 0},
            "days": [{"date": "2024-03-01", "revenue": "9.50", "units": 3, "pageReads": 0}],
            "platforms": [{"platform": "kdp", "revenue": "9.50", "units": 3, "pageReads": 0}],
            "books": [{"bookId": ID, "revenue": "9.50", "units": 3, "pageReads": 0}],
        })
    );
    assert_eq!(from_value::<Overview>(json).unwrap(), overview);

    let summary = json!({
        "days": {"first": "2024-03-01", "last": "2024-03-01"},
        "totals": {"revenue": "9.50", "units": 3, "pageReads": 0},
        "previous": {"revenue": "0", "units": 0, "pageReads": 0},
        "revenueChange": null,
        "series": [{"date": "2024-03-01", "revenue": "9.50", "units": 3, "pageReads": 0}],
        "books": [{"bookId": ID, "revenue": "9.50", "units": 3, "pageReads": 0}],
        "platforms": [{"platform": "kdp", "revenue": "9.50", "units": 3, "pageReads": 0}],
        "insights": [], "forecasts": [], "gaps": [],
        "accuracy": {"days": 1, "mape": "17.5000", "bias": null},
    });
    becomes::<DashboardSummary>(&summary, &summary);
    let total = SalesTotal {
        group: TotalsGroup::Platform(Platform::KDP),
        currency: "USD".parse().unwrap(),
        sums,
    };
    let json = json!({
        "group": {"platform": "kdp"}, "currency": "USD", "revenue": "9.50", "units": 3,
        "pageReads": 0,
    });
    assert_eq!(becomes::<SalesTotal>(&json, &json), total);
    assert_eq!(
        to_value(Period::LastDays(7)).unwrap(),
        json!({"lastDays": 7})
    );
}

#[test]
fn a_field_that_is_left_out_is_kept_and_null_clears_it() {
    let patch: BookPatch = from_value(json!({
        "title": "The Tide House", "subtitle": null, "isbn": "", "status": "published",
        "expectedUpdatedAt": "2024-05-31T12:00:00Z",
    }))
    .unwrap();
    let expected = BookPatch {
        title: Some("The Tide House".to_owned()),
        subtitle: Change::Clear,
        isbn: Change::Clear,
        status: Some(BookStatus::Published),
        expected_updated_at: Some("2024-05-31T12:00:00Z".parse().unwrap()),
        ..BookPatch::default()
    };
    assert_eq!(patch, expected);
    assert_eq!(
        from_value::<BookPatch>(json!({})).unwrap(),
        BookPatch::default()
    );
    assert_eq!(
        from_value::<UserPatch>(json!({})).unwrap(),
        UserPatch::default()
    );
    assert_eq!(
        from_value::<PostPatch>(json!({})).unwrap(),
        PostPatch::default()
    );
    let patch: TaskPatch = from_value(json!({"dueDate": null, "category": "Press"})).unwrap();
    assert_eq!(patch.due_date, Change::Clear);
    assert_eq!(patch.category, Change::Set("Press".to_owned()));
    assert_eq!(patch.description, Change::Keep);
    let patch: CompetitorPatch = from_value(json!({"currency": "eur"})).unwrap();
    assert_eq!(patch.currency, Change::Set("EUR".parse().unwrap()));
    let patch: ChecklistPatch = from_value(json!({"name": "Launch"})).unwrap();
    assert_eq!(patch.name.as_deref(), Some("Launch"));
}

#[test]
fn a_refused_patch_names_the_field() {
    for (json, refused) in [
        (
            json!({"title": null}),
            "title: cannot be empty; leave it out to keep what is there",
        ),
        (
            json!({"titel": "x"}),
            "titel: is unknown; the fields are title, subtitle, ",
        ),
        (
            json!({"genres": ["a", 5]}),
            "genres.1: is a number, not a text",
        ),
        (json!({"isbn": "12"}), "isbn: "),
        (
            json!({"status": "gone"}),
            "status: \"gone\" is not one of draft, published, archived",
        ),
        (
            json!({"metadata": {"pageCount": -1}}),
            "metadata.pageCount: ",
        ),
        (
            json!({"publishedDate": "soon"}),
            "publishedDate: is another text, not a moment like ",
        ),
        (json!([]), "is a list, not an object"),
        (
            json!({"subtitle": 5, "author": true}),
            "subtitle: is a number, not a text; author: is true or false, not a text",
        ),
    ] {
        let found = refusal::<BookPatch>(json);
        assert!(found.starts_with(refused), "{found}");
    }
}

#[test]
fn what_creates_a_record_is_read() {
    let mut book = NewBook::new("The Tide House");
    book.extra.insert("mood".to_owned(), json!("grey"));
    book.platforms = vec![Platform::KDP];
    let json = json!({"title": "The Tide House", "platforms": ["kdp"], "extra": {"mood": "grey"}});
    assert_eq!(from_value::<NewBook>(json).unwrap(), book);

    let user: NewUser =
        from_value(json!({"authId": "66f2a1", "email": "ada@example.org"})).unwrap();
    let expected = NewUser::new(
        "66f2a1".parse().unwrap(),
        "ada@example.org".parse().unwrap(),
        "",
    );
    assert_eq!(user, expected);

    let list: NewChecklist = from_value(json!({
        "bookId": ID, "name": "Launch",
        "tasks": [{"title": "Send copies", "dueDate": "2024-05-31T12:00:00Z"}],
    }))
    .unwrap();
    let mut task = NewTask::new("Send copies");
    task.due_date = Some("2024-05-31T12:00:00Z".parse().unwrap());
    assert_eq!(list.tasks, [task]);

    let boost: NewBoost = from_value(json!({
        "id": ID, "bookId": ID, "duration": 7, "creditsSpent": 120,
    }))
    .unwrap();
    assert_eq!(boost.id.to_string(), ID);
    assert_eq!(
        (boost.duration_days, boost.credits, boost.position),
        (7, 120, None)
    );

    let post: NewPost = from_value(json!({"content": "Out!"})).unwrap();
    assert_eq!(
        post.visibility,
        Visibility::Followers,
        "nothing becomes public by omission"
    );
    let rival: NewCompetitor = from_value(json!({"asin": "B08N5WRWNW", "title": null})).unwrap();
    assert_eq!(rival, NewCompetitor::new("B08N5WRWNW".parse().unwrap()));
    let sale: NewSale = from_value(json!({
        "bookId": ID, "platform": "kdp", "date": "2024-03-01", "revenue": 0.1, "currency": "USD",
    }))
    .unwrap();
    assert_eq!((sale.revenue.cents(), sale.units), (10, 0));
    let log: NewSyncLog = from_value(json!({"platform": "kdp", "status": "partial"})).unwrap();
    assert_eq!(log.records_synced, 0);
    let insight: NewInsight =
        from_value(json!({"insightType": "trend", "content": {"a": 1}, "confidence": "0.9"}))
            .unwrap();
    assert_eq!(insight.content, json!({"a": 1}));
    let forecast: NewForecast =
        from_value(json!({"forecastDate": "2024-03-01", "predictedRevenue": "110"})).unwrap();
    assert_eq!(forecast.predicted.cents(), 11_000);
}

#[test]
fn what_cannot_create_a_record_names_the_field() {
    assert_eq!(
        refusal::<NewBook>(json!({})),
        "title: is missing; a book needs a title"
    );
    let found = refusal::<NewBook>(json!({"title": "T", "autor": "A"}));
    assert!(
        found.starts_with("autor: is unknown; the fields are title, "),
        "{found}"
    );
    let found = refusal::<NewChecklist>(json!({
        "bookId": "x", "name": "Launch", "tasks": [{"title": "a"}, {"titel": "b"}],
    }));
    for part in [
        "bookId: ",
        "tasks.1.title: is missing",
        "tasks.1.titel: is unknown",
    ] {
        assert!(found.contains(part), "{part}: {found}");
    }
    let sale = json!({
        "bookId": ID, "platform": "kdp", "date": "2024-03-01", "revenue": 0.1 + 0.2,
        "currency": "USD",
    });
    let found = refusal::<NewSale>(sale);
    assert!(
        found.starts_with("revenue: 0.30000000000000004 has more than 15 digits"),
        "{found}"
    );
}

/// Gives each field of an input what it does not take, and sees that the refusal names that field.
fn each_field_is_named<T: DeserializeOwned>(sound: &Value, needed: &[&str]) {
    let with = |field: &str, value: Value| {
        let mut input = sound.clone();
        input[field] = value;
        input
    };
    let unknown = refusal::<T>(with("titel", json!(1)));
    let (_, fields) = unknown.split_once("the fields are ").unwrap();
    let fields = fields.split(';').next().unwrap();
    let fields: Vec<&str> = fields
        .split([',', ' '])
        .filter(|name| !name.is_empty())
        .collect();
    let fields = fields.into_iter().filter(|name| *name != "and");
    for field in fields {
        let wrong = [
            json!(true),
            json!(7.5),
            json!("?\u{1}"),
            json!({"a": 1}),
            json!([[1]]),
        ];
        let refused = wrong.into_iter().filter_map(|value| {
            let read = from_value::<T>(with(field, value));
            let refusal = read.err().map(|error| error.to_string())?;
            refusal
                .split("; ")
                .find(|part| {
                    let rest = part.strip_prefix(field);
                    rest.is_some_and(|rest| rest.starts_with(": ") || rest.starts_with('.'))
                })
                .filter(|part| !part.contains("is missing"))
                .map(str::to_owned)
        });
        let refused = refused.count();
        // What a model wrote may be any JSON.
        let takes_all = ["content", "factors"].contains(&field) && needed != ["none"];
        assert!(
            refused >= 2 || takes_all,
            "{field} of {}",
            std::any::type_name::<T>()
        );
    }
    if needed == ["none"] {
        assert!(from_value::<T>(json!({})).is_ok());
        return;
    }
    let found = refusal::<T>(json!({}));
    let missing: Vec<&str> = found
        .split("; ")
        .filter_map(|part| {
            part.strip_suffix(": is missing")
                .or(part.split_once(": is missing").map(|(field, _)| field))
        })
        .collect();
    assert_eq!(missing, needed, "{found}");
}

#[test]
fn every_field_of_every_input_is_named_when_it_is_wrong() {
    const NONE: &[&str] = &["none"];
    // More than five problems at once are not all listed.
    let sale = json!({
        "bookId": ID, "platform": "kdp", "date": "2024-03-01", "revenue": "0.10", "currency": "USD",
    });
    each_field_is_named::<NewUser>(&json!({}), &["authId", "email"]);
    each_field_is_named::<NewBook>(&json!({}), &["title"]);
    each_field_is_named::<NewChecklist>(&json!({}), &["bookId", "name"]);
    each_field_is_named::<NewTask>(&json!({}), &["title"]);
    each_field_is_named::<NewBoost>(&json!({}), &["bookId", "duration", "creditsSpent"]);
    each_field_is_named::<NewCompetitor>(&json!({}), &["asin"]);
    each_field_is_named::<NewPost>(&json!({}), NONE);
    each_field_is_named::<NewSale>(
        &sale,
        &["bookId", "platform", "date", "revenue", "currency"],
    );
    each_field_is_named::<NewSyncLog>(&json!({}), &["platform", "status"]);
    each_field_is_named::<NewInsight>(&json!({}), &["insightType", "content"]);
    each_field_is_named::<NewForecast>(&json!({}), &["forecastDate", "predictedRevenue"]);
    each_field_is_named::<UserPatch>(&json!({}), NONE);
    each_field_is_named::<BookPatch>(&json!({}), NONE);
    each_field_is_named::<ChecklistPatch>(&json!({}), NONE);
    each_field_is_named::<TaskPatch>(&json!({}), NONE);
    each_field_is_named::<PostPatch>(&json!({}), NONE);
    each_field_is_named::<CompetitorPatch>(&json!({}), NONE);
    each_field_is_named::<AccountPatch>(&json!({}), NONE);
    each_field_is_named::<AccountPreferencesPatch>(&json!({}), NONE);
}

/// Rejects of earlier versions are replayed, and digests compared: this form does not change.
#[test]
fn the_stored_form_stays() {
    for (kind, stored) in [
        (
            Kind::MarketplaceBoosts,
            json!({
                "id": ID, "bookId": ID, "userId": ID, "duration": 7, "position": 1,
                "credits_spent": 120, "active": true, "startedAt": "2024-05-01T00:00:00Z",
                "expiresAt": "2024-05-08T00:00:00Z", "extra": {"campaign": "spring"},
            }),
        ),
        (Kind::PostLikes, json!({"postId": ID, "userId": ID})),
        (
            Kind::SalesData,
            json!({
                "id": 7, "user_id": ID, "book_id": ID, "platform": "kdp", "date": "2024-03-01",
                "revenue": "27.93", "units": 7, "page_reads": 0, "currency": "USD",
                "synced_at": "2024-05-01T00:00:00Z",
            }),
        ),
        (
            Kind::DailyAggregates,
            json!({
                "id": 1, "user_id": ID, "date": "2024-03-01", "total_revenue": "9.50",
                "total_units": 3, "total_page_reads": 120,
                "platform_breakdown": {"kdp": {"revenue": "9.5", "units": 3, "page_reads": 120}},
                "book_breakdown": {ID: {"revenue": "9.5", "units": 3, "page_reads": 120}},
            }),
        ),
        (
            Kind::RevenueForecasts,
            json!({
                "id": 1, "user_id": ID, "forecast_date": "2024-03-01",
                "predicted_revenue": "110.00", "actual_revenue": "1.00", "confidence": "0.50",
                "factors": {"a": [0.1]}, "created_at": "2024-05-01T00:00:00Z",
            }),
        ),
        (
            Kind::AiInsights,
            json!({"id": 1, "user_id": ID, "insight_type": "trend", "content": null}),
        ),
        (
            Kind::Checklists,
            json!({
                "id": ID, "bookId": ID, "userId": ID, "name": "Launch", "progress": 0,
                "tasks": [{"id": "t1", "title": "a", "completed": false, "mood": "glad"}],
                "createdAt": "2024-05-01T00:00:00Z", "updatedAt": "2024-05-01T00:00:00Z",
            }),
        ),
        (
            Kind::CompetitorPrices,
            json!({
                "competitorId": ID, "price": "4.99", "date": "2024-05-01T00:00:00Z",
                "extra": {"shop": "de"},
            }),
        ),
    ] {
        let record = Record::from_json(kind, stored.clone()).unwrap();
        assert_eq!(record.to_json(), stored);
    }
    let problems = Record::from_json(Kind::Checklists, json!({"id": ID, "bookId": 5})).unwrap_err();
    let fields: Vec<&str> = problems.0.iter().map(|it| it.field.as_str()).collect();
    assert_eq!(fields, ["bookId", "userId", "name"]);
}

#[test]
fn checklists_compute_their_progress() {
    let list: Checklist = from_value(json!({
        "_id": ID, "bookId": ID, "userId": ID, "name": "Launch", "progress": 7,
        "tasks": [{"id": "t1", "title": "a", "completed": true}, {"id": "t2", "title": "b"}],
    }))
    .unwrap();
    assert_eq!(list.progress, 50);
    list.check().unwrap();
}
