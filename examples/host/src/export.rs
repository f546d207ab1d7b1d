//! All that is a user's, as lines of JSON. Records come page by page, so an export of any size needs no
//! more memory than a page.

use authorstack_core::{
    BookFilter, ChecklistFilter, Days, Feed, Order, Page, PageRequest, Result, SalesFilter, User,
    chrono::NaiveDate,
};
use axum::body::Body;
use bytes::Bytes;
use futures::{SinkExt, StreamExt, channel::mpsc};
use serde::Serialize;
use serde_json::json;

use crate::{app::App, problem::Problem};

/// Where the lines go.
type Lines = mpsc::Sender<std::io::Result<Bytes>>;

/// The export of a user. A line with a `problem` says that the export is not complete.
pub fn body(app: App, user: User) -> Body {
    let (mut lines, body) = mpsc::channel(16);
    tokio::spawn(async move {
        if let Err(error) = write(&app, &user, &mut lines).await {
            send(&mut lines, "problem", &Problem::from(error)).await;
        }
    });
    Body::from_stream(body)
}

async fn write(app: &App, user: &User, lines: &mut Lines) -> Result<()> {
    let (stack, id) = (&app.stack, user.id);
    send(lines, "user", user).await;
    let preferences = stack.preferences().get(&user.auth_id).await?;
    send(lines, "preferences", &preferences).await;
    pages(lines, "book", |page| {
        stack.books().list(id, BookFilter::default(), page)
    })
    .await?;
    let all = ChecklistFilter::default;
    pages(lines, "checklist", |page| {
        stack.checklists().list(id, all(), page)
    })
    .await?;
    pages(lines, "follow", |page| stack.follows().following(id, page)).await?;
    pages(lines, "post", |page| {
        stack.community().feed(id, Feed::Author(id), page)
    })
    .await?;
    pages(lines, "boost", |page| stack.boosts().list(id, page)).await?;
    pages(lines, "competitor", |page| {
        stack.competitors().list(id, page)
    })
    .await?;
    pages(lines, "import", |page| {
        stack.sync_logs().list(id, None, page)
    })
    .await?;
    let days = Days::new(first_day(), last_day())?;
    let mut sales = stack.sales().stream(id, SalesFilter::of(days));
    while let Some(sale) = sales.next().await {
        send(lines, "sale", &sale?).await;
    }
    Ok(())
}

/// Sends every record of a list.
async fn pages<T: Serialize, F>(
    lines: &mut Lines,
    kind: &str,
    list: impl Fn(PageRequest) -> F,
) -> Result<()>
where
    F: Future<Output = Result<Page<T>>>,
{
    let request = || PageRequest::first(PageRequest::MAX_LIMIT).order(Order::OldestFirst);
    let mut page = list(request()).await?;
    loop {
        for record in &page.items {
            send(lines, kind, record).await;
        }
        match page.next {
            Some(cursor) if !lines.is_closed() => page = list(request().after(cursor)).await?,
            _ => return Ok(()),
        }
    }
}

async fn send(lines: &mut Lines, kind: &str, record: &impl Serialize) {
    let line = format!("{}\n", json!({ "kind": kind, "record": record }));
    // A client that has gone away needs no more lines.
    let _ = lines.send(Ok(line.into())).await;
}

/// The days that sales may have.
fn first_day() -> NaiveDate {
    NaiveDate::from_ymd_opt(1, 1, 1).unwrap_or(NaiveDate::MIN)
}

fn last_day() -> NaiveDate {
    NaiveDate::from_ymd_opt(9999, 12, 31).unwrap_or(NaiveDate::MAX)
}
