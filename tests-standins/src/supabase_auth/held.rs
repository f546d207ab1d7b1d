//! Requests and answers are held to the vendor's document.

use axum::{
    body::{Body, to_bytes},
    extract::{Query, Request, State},
    http::header::CONTENT_TYPE,
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{Auth, answers::Refusal};
use crate::openapi::{Answered, Asked};

const MOST_BYTES: usize = 8 << 20;

/// Answers 500 to what the document does not allow, and remembers it.
pub(super) async fn to_the_document(
    State(auth): State<Auth>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, MOST_BYTES).await.unwrap_or_default();
    let of = |name: &str| parts.headers.get(name).and_then(|it| it.to_str().ok());
    let path = parts.uri.path().split('/');
    let path: Vec<String> = path
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect();
    let query = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
    let query = query.map(|Query(pairs)| pairs).unwrap_or_default();
    let asked = Asked {
        method: parts.method.as_str(),
        path: &path,
        query: &query,
        content_type: of("content-type").unwrap_or_default(),
        body: &bytes,
    };
    let operation = match auth.document.check(&asked) {
        Ok(operation) => operation,
        Err(problem) => return auth.against_the_document(problem),
    };
    let place = format!("{} /{}", parts.method, path.join("/"));
    let is_new = of("x-supabase-api-version") == Some("2024-01-01");
    let request = Request::from_parts(parts, Body::from(bytes));
    let mut response = next.run(request).await;
    if is_new && let Some(refusal) = response.extensions().get::<Refusal>() {
        response = refusal.of_2024();
    }
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, MOST_BYTES).await.unwrap_or_default();
    let content_type = parts.headers.get(CONTENT_TYPE);
    let answered = Answered {
        status: parts.status.as_u16(),
        content_type: content_type
            .and_then(|it| it.to_str().ok())
            .unwrap_or_default(),
        body: &bytes,
    };
    match auth.document.check_answer(operation, &answered) {
        Ok(()) => Response::from_parts(parts, Body::from(bytes)),
        Err(problem) => auth.against_the_document(format!("{place}: {problem}")),
    }
}

impl Auth {
    fn against_the_document(&self, problem: String) -> Response {
        eprintln!("not in the OpenAPI document: {problem}");
        self.problems().push(problem);
        Refusal::new(500, "openapi_document", "not in the OpenAPI document").into_response()
    }
}
