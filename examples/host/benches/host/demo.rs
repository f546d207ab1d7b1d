//! What the benchmark asks for: an author with books, sales and people whom the author follows.

use anyhow::{Context, Result};
use authorstack_core::{
    Book, BookStatus, Conversion, Credential, Days, Id, InsightKind, NewAccount, NewBook,
    NewForecast, NewInsight, NewPost, NewSale, NewUser, Password, Platform, SaleKey, User,
    chrono::NaiveDate,
};
use authorstack_host::app::App;

/// Who asks.
pub(crate) struct Viewer {
    pub(crate) token: String,
}

const BOOKS: usize = 200;
const SOLD: usize = 20;
const AUTHORS: usize = 200;
const FOLLOWED: usize = 60;
const POSTS: usize = 20;

fn year() -> Result<Days> {
    let first = NaiveDate::from_ymd_opt(2023, 1, 1).context("no such day")?;
    Ok(Days::year(first))
}

/// A dashboard of thirty days; another one each time, so that none that is kept answers.
pub(crate) fn dashboard(n: usize) -> String {
    let (month, day) = (n % 11 + 1, n / 11 % 28 + 1);
    let next = month + 1;
    format!("/api/dashboard?first=2023-{month:02}-{day:02}&last=2023-{next:02}-{day:02}")
}

/// Writes everything through the app's own stack.
pub(crate) async fn fill(app: &App) -> Result<Viewer> {
    let stack = &app.stack;
    let password = "tide and time";
    let mut account = NewAccount::new("ada@example.org".parse()?);
    "Ada".clone_into(&mut account.name);
    account.credential = Credential::Password(Password::new(password)?);
    let account = stack.accounts().create(account).await?;
    let viewer = app.profiles.run(&account.id).await?.0.id;
    let memory = app.memory.as_ref().context("no accounts in memory")?;
    let email = "ada@example.org".parse()?;
    let token = memory.sign_in(&email, password)?.expose().to_owned();

    let mut books = Vec::new();
    for n in 0..BOOKS {
        books.push(stack.books().create(viewer, new_book(n)).await?.id);
    }
    for n in 0..AUTHORS {
        let (email, name) = (format!("author{n}@example.org"), format!("Author {n}"));
        let author = NewUser::new(format!("author{n}").parse()?, email.parse()?, name);
        let author = stack.users().create(author).await?.id;
        if n < FOLLOWED {
            stack.follows().follow(viewer, author).await?;
        }
        for post in 0..POSTS {
            let text =
                format!("Chapter {post} is done; the harbour is quiet and the lamps are lit.");
            let post = stack.community().create(author, NewPost::new(text)).await?;
            stack.community().like(viewer, post.id).await?;
            let said = "Well done.".to_owned();
            stack.community().comment(author, post.id, said).await?;
        }
    }
    sell(app, viewer, &books[..SOLD]).await?;
    Ok(Viewer { token })
}

fn new_book(n: usize) -> NewBook {
    let mut book = NewBook::new(format!("Book {n}"));
    book.subtitle = Some("A tale of salt and paper".to_owned());
    book.description = Some("harbour winter glass orchard signal quiet ember ".repeat(5));
    book.asin = format!("B{n:09}").parse().ok();
    book.genres = vec!["Mystery".to_owned(), "Sea".to_owned()];
    book.platforms = vec![Platform::KDP];
    book.status = BookStatus::Published;
    book.metadata.page_count = Some(312);
    book
}

/// A year of sales, with its roll-ups, insights and forecasts.
async fn sell(app: &App, viewer: Id<User>, books: &[Id<Book>]) -> Result<()> {
    let (stack, year) = (&app.stack, year()?);
    let mut sales = Vec::new();
    for (n, date) in year.iter().enumerate() {
        for book in books {
            for platform in [Platform::KDP, Platform::GUMROAD] {
                let key = SaleKey::new(*book, platform, date);
                let revenue = format!("{}.{:02}", n % 90 + 1, n % 100).parse()?;
                let mut sale = NewSale::new(key, revenue, "USD".parse()?);
                sale.units = 3;
                sale.page_reads = 250;
                sales.push(sale);
            }
        }
    }
    for some in sales.chunks(5_000) {
        stack.sales().upsert(viewer, some).await?;
    }
    let dollars = Conversion::into("USD".parse()?);
    stack.aggregates().refresh(viewer, year, &dollars).await?;
    let insight = NewInsight::new(InsightKind::TREND, serde_json::json!({ "text": "up" }));
    for _ in 0..20 {
        stack.insights().create(viewer, insight.clone()).await?;
    }
    let forecast = |date| Ok(NewForecast::new(date, "90.00".parse()?));
    let forecasts: Result<Vec<NewForecast>> = year.iter().map(forecast).collect();
    stack.forecasts().create(viewer, forecasts?).await?;
    Ok(())
}
