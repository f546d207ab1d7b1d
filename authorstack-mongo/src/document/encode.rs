//! Records as documents: the schema's names in the schema's order, missing values left out.

use authorstack_core::{
    Attachment, Book, BookMetadata, Boost, Checklist, Comment, Competitor, ConnectedPlatform,
    Error, Extra, Follow, Post, Preferences, Result, Task, User, migrate::Problems,
};
use bson::{
    DateTime, RawArrayBuf, RawDocumentBuf,
    raw::{CStr, cstr},
};
use chrono::Utc;

use crate::extended_json::{Path, append_fields};

fn date(moment: chrono::DateTime<Utc>) -> DateTime {
    DateTime::from_millis(moment.timestamp_millis())
}

fn text(document: &mut RawDocumentBuf, name: &CStr, value: Option<impl AsRef<str>>) {
    if let Some(value) = value {
        document.append(name, value.as_ref());
    }
}

fn number(document: &mut RawDocumentBuf, name: &CStr, value: Option<u32>) {
    match value.map(|value| (i32::try_from(value), value)) {
        None => {}
        Some((Ok(narrow), _)) => document.append(name, narrow),
        Some((Err(_), wide)) => document.append(name, i64::from(wide)),
    }
}

fn extra(document: &mut RawDocumentBuf, parent: &Path<'_>, fields: &Extra) -> Result<()> {
    let mut problems = Problems::default();
    append_fields(document, fields, parent, &mut problems);
    match problems.0.into_iter().next() {
        None => Ok(()),
        Some(problem) => Err(Error::invalid(problem.field, problem.problem)),
    }
}

/// A user's document.
pub(crate) fn user_document(user: &User) -> Result<RawDocumentBuf> {
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("_id"), user.id.to_object_id());
    document.append(cstr!("authId"), user.auth_id.as_str());
    document.append(cstr!("authProvider"), user.auth_provider.as_str());
    document.append(cstr!("email"), user.email.as_str());
    document.append(cstr!("name"), user.name.as_str());
    document.append(cstr!("subscriptionTier"), user.subscription_tier.as_str());
    document.append(cstr!("credits"), user.credits);
    document.append(
        cstr!("preferences"),
        fields_of_preferences(&user.preferences)?,
    );
    let connected: Result<Vec<_>> = user.connected_platforms.iter().map(connected).collect();
    document.append(
        cstr!("connectedPlatforms"),
        connected?.into_iter().collect::<RawArrayBuf>(),
    );
    document.append(cstr!("createdAt"), date(user.created_at));
    document.append(cstr!("updatedAt"), date(user.updated_at));
    extra(&mut document, &Path::Root, &user.extra)?;
    Ok(document)
}

fn connected(connected: &ConnectedPlatform) -> Result<RawDocumentBuf> {
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("platform"), connected.platform.as_str());
    if let Some(at) = connected.connected_at {
        document.append(cstr!("connectedAt"), date(at));
    }
    if let Some(at) = connected.last_sync {
        document.append(cstr!("lastSync"), date(at));
    }
    let path = Path::Field(&Path::Root, "connectedPlatforms");
    extra(&mut document, &path, &connected.extra)?;
    Ok(document)
}

/// The sub-document of a user's settings.
pub(crate) fn fields_of_preferences(preferences: &Preferences) -> Result<RawDocumentBuf> {
    let mut document = RawDocumentBuf::new();
    if let Some(yes) = preferences.email_notifications {
        document.append(cstr!("emailNotifications"), yes);
    }
    if let Some(yes) = preferences.weekly_digest {
        document.append(cstr!("weeklyDigest"), yes);
    }
    let theme = preferences.theme.map(authorstack_core::Theme::as_str);
    text(&mut document, cstr!("theme"), theme);
    text(
        &mut document,
        cstr!("timezone"),
        preferences.timezone.as_ref(),
    );
    text(
        &mut document,
        cstr!("currency"),
        preferences.currency.as_ref(),
    );
    let path = Path::Field(&Path::Root, "preferences");
    extra(&mut document, &path, &preferences.extra)?;
    Ok(document)
}

/// A book's document.
pub(crate) fn book_document(book: &Book) -> Result<RawDocumentBuf> {
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("_id"), book.id.to_object_id());
    document.append(cstr!("userId"), book.user_id.to_object_id());
    document.append(cstr!("title"), book.title.as_str());
    text(&mut document, cstr!("subtitle"), book.subtitle.as_ref());
    text(&mut document, cstr!("author"), book.author.as_ref());
    text(
        &mut document,
        cstr!("description"),
        book.description.as_ref(),
    );
    text(&mut document, cstr!("isbn"), book.isbn.as_ref());
    text(&mut document, cstr!("asin"), book.asin.as_ref());
    text(&mut document, cstr!("coverUrl"), book.cover_url.as_ref());
    let genres = book.genres.iter().map(String::as_str);
    document.append(cstr!("genres"), genres.collect::<RawArrayBuf>());
    let platforms = book
        .platforms
        .iter()
        .map(authorstack_core::Platform::as_str);
    document.append(cstr!("platforms"), platforms.collect::<RawArrayBuf>());
    if let Some(published) = book.published_date {
        document.append(cstr!("publishedDate"), date(published));
    }
    document.append(cstr!("status"), book.status.as_str());
    document.append(cstr!("metadata"), fields_of_metadata(&book.metadata)?);
    document.append(cstr!("createdAt"), date(book.created_at));
    document.append(cstr!("updatedAt"), date(book.updated_at));
    extra(&mut document, &Path::Root, &book.extra)?;
    Ok(document)
}

/// The sub-document of a book's lengths and series.
pub(crate) fn fields_of_metadata(metadata: &BookMetadata) -> Result<RawDocumentBuf> {
    let mut document = RawDocumentBuf::new();
    number(&mut document, cstr!("pageCount"), metadata.page_count);
    number(&mut document, cstr!("wordCount"), metadata.word_count);
    text(&mut document, cstr!("series"), metadata.series.as_ref());
    if let Some(position) = metadata.series_position {
        document.append(cstr!("seriesPosition"), position);
    }
    let path = Path::Field(&Path::Root, "metadata");
    extra(&mut document, &path, &metadata.extra)?;
    Ok(document)
}

/// A checklist's document.
pub(crate) fn checklist_document(checklist: &Checklist) -> Result<RawDocumentBuf> {
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("_id"), checklist.id.to_object_id());
    document.append(cstr!("bookId"), checklist.book_id.to_object_id());
    document.append(cstr!("userId"), checklist.user_id.to_object_id());
    text(
        &mut document,
        cstr!("templateId"),
        checklist.template_id.as_ref(),
    );
    document.append(cstr!("name"), checklist.name.as_str());
    let tasks: Result<Vec<_>> = checklist.tasks.iter().map(task_document).collect();
    document.append(cstr!("tasks"), tasks?.into_iter().collect::<RawArrayBuf>());
    document.append(cstr!("progress"), i32::from(checklist.progress));
    document.append(cstr!("createdAt"), date(checklist.created_at));
    document.append(cstr!("updatedAt"), date(checklist.updated_at));
    extra(&mut document, &Path::Root, &checklist.extra)?;
    Ok(document)
}

/// The sub-document of a task.
pub(crate) fn task_document(task: &Task) -> Result<RawDocumentBuf> {
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("id"), task.id.as_str());
    document.append(cstr!("title"), task.title.as_str());
    text(
        &mut document,
        cstr!("description"),
        task.description.as_ref(),
    );
    document.append(cstr!("completed"), task.completed);
    if let Some(due) = task.due_date {
        document.append(cstr!("dueDate"), date(due));
    }
    if let Some(completed) = task.completed_at {
        document.append(cstr!("completedAt"), date(completed));
    }
    text(&mut document, cstr!("category"), task.category.as_ref());
    let path = Path::Field(&Path::Root, "tasks");
    extra(&mut document, &path, &task.extra)?;
    Ok(document)
}

/// A follow's document.
pub(crate) fn follow_document(follow: &Follow) -> Result<RawDocumentBuf> {
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("_id"), follow.id.to_object_id());
    document.append(cstr!("followerId"), follow.follower_id.to_object_id());
    document.append(cstr!("authorId"), follow.author_id.to_object_id());
    document.append(cstr!("createdAt"), date(follow.created_at));
    extra(&mut document, &Path::Root, &follow.extra)?;
    Ok(document)
}

/// A post's document, without likes and comments yet.
pub(crate) fn post_document(post: &Post) -> Result<RawDocumentBuf> {
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("_id"), post.id.to_object_id());
    document.append(cstr!("authorId"), post.author_id.to_object_id());
    document.append(cstr!("content"), post.content.as_str());
    document.append(cstr!("attachments"), attachments_array(&post.attachments)?);
    document.append(cstr!("likes"), RawArrayBuf::new());
    document.append(cstr!("comments"), RawArrayBuf::new());
    document.append(cstr!("visibility"), post.visibility.as_str());
    document.append(cstr!("createdAt"), date(post.created_at));
    document.append(cstr!("updatedAt"), date(post.updated_at));
    extra(&mut document, &Path::Root, &post.extra)?;
    Ok(document)
}

/// What is attached to a post.
pub(crate) fn attachments_array(attachments: &[Attachment]) -> Result<RawArrayBuf> {
    let path = Path::Field(&Path::Root, "attachments");
    let mut array = RawArrayBuf::new();
    for attachment in attachments {
        let mut document = RawDocumentBuf::new();
        document.append(cstr!("type"), attachment.kind.as_str());
        document.append(cstr!("url"), attachment.url.as_str());
        extra(&mut document, &path, &attachment.extra)?;
        array.push(document);
    }
    Ok(array)
}

/// A comment as it stands in its post.
pub(crate) fn comment_document(comment: &Comment) -> Result<RawDocumentBuf> {
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("id"), comment.id.as_str());
    document.append(cstr!("authorId"), comment.author_id.to_object_id());
    document.append(cstr!("content"), comment.content.as_str());
    document.append(cstr!("createdAt"), date(comment.created_at));
    let path = Path::Field(&Path::Root, "comments");
    extra(&mut document, &path, &comment.extra)?;
    Ok(document)
}

/// A boost's document.
pub(crate) fn boost_document(boost: &Boost) -> Result<RawDocumentBuf> {
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("_id"), boost.id.to_object_id());
    document.append(cstr!("bookId"), boost.book_id.to_object_id());
    document.append(cstr!("userId"), boost.user_id.to_object_id());
    number(&mut document, cstr!("duration"), Some(boost.duration_days));
    number(&mut document, cstr!("position"), Some(boost.position));
    document.append(cstr!("credits_spent"), boost.credits_spent);
    document.append(cstr!("active"), boost.active);
    document.append(cstr!("startedAt"), date(boost.started_at));
    document.append(cstr!("expiresAt"), date(boost.expires_at));
    extra(&mut document, &Path::Root, &boost.extra)?;
    Ok(document)
}

/// A competitor's document, without a history yet.
pub(crate) fn competitor_document(competitor: &Competitor) -> Result<RawDocumentBuf> {
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("_id"), competitor.id.to_object_id());
    document.append(cstr!("userId"), competitor.user_id.to_object_id());
    document.append(cstr!("asin"), competitor.asin.as_str());
    text(&mut document, cstr!("title"), competitor.title.as_ref());
    text(&mut document, cstr!("author"), competitor.author.as_ref());
    if let Some(price) = competitor.current_price {
        document.append(cstr!("currentPrice"), price.to_f64());
    }
    text(
        &mut document,
        cstr!("currency"),
        competitor.currency.as_ref(),
    );
    document.append(cstr!("priceHistory"), RawArrayBuf::new());
    text(&mut document, cstr!("genre"), competitor.genre.as_ref());
    if let Some(checked) = competitor.last_checked {
        document.append(cstr!("lastChecked"), date(checked));
    }
    document.append(cstr!("createdAt"), date(competitor.created_at));
    extra(&mut document, &Path::Root, &competitor.extra)?;
    Ok(document)
}
