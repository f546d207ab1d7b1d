//! Users and books on the in-memory stores: no server. `cargo run --example quickstart`

use authorstack_core::{AuthorStack, BookFilter, NewBook, NewUser, PageRequest, Platform, Result};

#[tokio::main]
async fn main() -> Result<()> {
    let stack = AuthorStack::memory();

    let ada = NewUser::new("66f2a1".parse()?, "Ada@Example.org".parse()?, "Ada");
    let ada = stack.users().create(ada).await?;
    stack.users().add_credits(ada.id, 100).await?;
    let ada = stack.users().spend_credits(ada.id, 30).await?;

    let mut book = NewBook::new("The Tide House");
    book.isbn = Some("978-3-16-148410-0".parse()?);
    book.platforms = vec![Platform::KDP];
    stack.books().create(ada.id, book).await?;

    let page = PageRequest::first(20);
    let books = stack
        .books()
        .list(ada.id, BookFilter::default(), page)
        .await?;
    println!(
        "{} has {} credits and {} book(s)",
        ada.name,
        ada.credits,
        books.items.len()
    );
    Ok(())
}
