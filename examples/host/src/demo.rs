//! What the backend in memory begins with: two authors, their books, sales, posts and a boost.

use authorstack_core::{
    Book, BookStatus, Credential, Id, NewAccount, NewBook, NewBoost, NewPost, NewSale, Password,
    Platform, Result, SaleKey, User, Visibility,
    chrono::{Datelike, TimeDelta},
    time,
};

use crate::app::App;

/// The password of both authors.
pub const PASSWORD: &str = "tide and time";

/// The address of the author with all the data.
pub const ADA: &str = "ada@example.org";

/// The address of the author whom Ada follows.
pub const BOB: &str = "bob@example.org";

/// Fills an empty store.
///
/// # Errors
/// None that is to be expected.
pub async fn fill(app: &App) -> Result<()> {
    let (ada, bob) = (
        author(app, ADA, "Ada Marsh").await?,
        author(app, BOB, "Bob Reed").await?,
    );
    app.stack.users().add_credits(ada.id, 500).await?;
    app.stack.users().add_credits(bob.id, 500).await?;
    app.stack.follows().follow(ada.id, bob.id).await?;

    let tide = book(app, ada.id, "The Tide House", "B08N5WRWNW").await?;
    book(app, ada.id, "Salt and Ash", "B07XJ8C8F5").await?;
    let reeds = book(app, bob.id, "Among the Reeds", "B0B1N6F8JK").await?;
    sales(app, ada.id, tide).await?;

    for text in [
        "The cover is out!",
        "Chapter twelve is done. It took three tries.",
    ] {
        let mut post = NewPost::new(text);
        post.visibility = Visibility::Public;
        app.stack.community().create(bob.id, post).await?;
    }
    let boost = NewBoost::new(reeds, 7, 50);
    app.stack.boosts().purchase(bob.id, boost).await?;
    Ok(())
}

async fn author(app: &App, email: &str, name: &str) -> Result<User> {
    let mut account = NewAccount::new(email.parse()?);
    account.name = name.to_owned();
    account.email_verified = true;
    account.credential = Credential::Password(Password::new(PASSWORD)?);
    let account = app.stack.accounts().create(account).await?;
    Ok(app.profiles.run(&account.id).await?.0)
}

async fn book(app: &App, author: Id<User>, title: &str, asin: &str) -> Result<Id<Book>> {
    let mut new = NewBook::new(title);
    new.asin = Some(asin.parse()?);
    new.platforms = vec![Platform::KDP];
    new.status = BookStatus::Published;
    Ok(app.stack.books().create(author, new).await?.id)
}

/// Thirty days of sales on two platforms.
async fn sales(app: &App, author: Id<User>, book: Id<Book>) -> Result<()> {
    let today = time::now().date_naive();
    for platform in [Platform::KDP, "gumroad".parse()?] {
        let mut sales = Vec::new();
        for back in 0..30 {
            let date = today - TimeDelta::days(back);
            let units = 2 + date.num_days_from_ce() % 7;
            let units = if platform == Platform::KDP {
                units
            } else {
                units / 2
            };
            let key = SaleKey::new(book, platform.clone(), date);
            let revenue = format!("{}.{:02}", units * 3, units * 7 % 100).parse()?;
            let mut sale = NewSale::new(key, revenue, "USD".parse()?);
            sale.units = units;
            sales.push(sale);
        }
        app.ingest
            .run(author, &platform, sales, &app.conversion)
            .await?;
    }
    Ok(())
}
