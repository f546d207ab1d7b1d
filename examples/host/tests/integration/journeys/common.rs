//! What the journeys share.

use serde_json::json;

use crate::client::Client;

pub(super) async fn id_of(client: &Client) -> String {
    let me = client.get("/api/me").await.of(200);
    me["id"].as_str().unwrap().to_owned()
}

pub(crate) async fn book(client: &Client, title: &str, asin: &str) -> String {
    let new = json!({ "title": title, "asin": asin, "status": "published" });
    let book = client.post("/api/books", &new).await.of(201);
    book["id"].as_str().unwrap().to_owned()
}

pub(super) const REPORT: &str = "date,asin,marketplace,units,refunds,royalty,currency,kenp\n\
    2024-03-01,B08N5WRWNW,Amazon.com,5,1,13.96,USD,120\n\
    2024-03-01,B08N5WRWNW,Amazon.com,1,0,3.49,USD,\n\
    2024-03-01,B08N5WRWNW,Amazon.de,2,0,5.00,EUR,\n\
    2024-03-02,B08N5WRWNW,Amazon.com,0,1,-3.49,USD,\n";

pub(super) const UPLOAD: &str = "/api/sales/reports?platform=kdp";
pub(crate) const DAYS: &str = "first=2024-03-01&last=2024-03-31";
