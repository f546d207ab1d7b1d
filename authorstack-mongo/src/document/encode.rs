//! Records as documents: the schema's names in the schema's order, missing values left out.

use authorstack_core::{
    Book, BookMetadata, ConnectedPlatform, Error, Extra, Preferences, Result, User,
    migrate::Problems,
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
